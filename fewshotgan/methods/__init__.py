"""Adaptation methods: one paper per file, and the registry of their names."""

import difflib

from fewshotgan.files import UserError, clip
from fewshotgan.methods.acgan import ACGAN
from fewshotgan.methods.adafm import AdaFM, SmallHead
from fewshotgan.methods.adam import AdAM
from fewshotgan.methods.bsa import BSA
from fewshotgan.methods.cbn_transfer import CBNTransfer
from fewshotgan.methods.cdc import CDC
from fewshotgan.methods.conditional import Conditional
from fewshotgan.methods.dcl import DCL
from fewshotgan.methods.dip import DIP, DIPBSA, DIPFreezeD, DIPScratch
from fewshotgan.methods.ewc import EWC
from fewshotgan.methods.finetuning import FineTuning, FineTuningTraining
from fewshotgan.methods.freezed import FreezeD
from fewshotgan.methods.fsgan import FSGAN
from fewshotgan.methods.layer_transfer import GPHead, LayerTransfer
from fewshotgan.methods.method import Batch, Method, Penalty, Player, Stage, Task, Terms, Training
from fewshotgan.methods.minegan import MineGAN, Mining
from fewshotgan.methods.options import option, options_of
from fewshotgan.methods.rick import RICK
from fewshotgan.methods.scratch import Scratch
from fewshotgan.methods.transfergan import TransferGAN

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        *(Scratch, TransferGAN, FreezeD, EWC, CDC, DCL, AdAM, RICK, FSGAN, LayerTransfer, GPHead, SmallHead, AdaFM),
        *(BSA, Mining, MineGAN, ACGAN, CBNTransfer, DIP, DIPFreezeD, DIPScratch, DIPBSA),
    )
}

__all__ = [
    "METHODS",
    "Batch",
    "Conditional",
    "FineTuning",
    "FineTuningTraining",
    "Method",
    "Penalty",
    "Player",
    "Stage",
    "Task",
    "Terms",
    "Training",
    "TransferGAN",
    "create_method",
    "list_methods",
    "option",
    "options_of",
]


def list_methods() -> dict[str, str]:
    """Return the adaptation methods: {name: what it does (paper)}."""
    return {name: f"{method.summary} ({method.paper})" for name, method in METHODS.items()}


def create_method(name: str, /, **options: object) -> Method:
    """Return the method of that name with these options.

    Raises:
        UserError: if there is no such method, it has no such option, or a value is of another kind or out of range.
    """
    if name not in METHODS:
        close = difflib.get_close_matches(name[:60], METHODS, n=1) or ["freezed", "adam"]
        raise UserError(f"There is no method {clip(name, 60)!r}; did you mean {' or '.join(close)}?")
    known = options_of(METHODS[name])
    for given in options:
        if given not in known:
            raise UserError(
                f"The method {name} has no option {clip(given, 40)!r}; `fewshotgan methods {name}` lists its options."
            )
    return METHODS[name](**options)
