"""Adaptation methods: one paper per file, and the registry of their names."""

import dataclasses
import difflib
import sys
import types
import typing
from collections.abc import Callable

from fewshotgan.files import UserError
from fewshotgan.methods.adafm import AdaFM, SmallHead
from fewshotgan.methods.adam import AdAM
from fewshotgan.methods.bsa import BSA
from fewshotgan.methods.cdc import CDC
from fewshotgan.methods.conditional import Conditional
from fewshotgan.methods.dcl import DCL
from fewshotgan.methods.ewc import EWC
from fewshotgan.methods.freezed import FreezeD
from fewshotgan.methods.fsgan import FSGAN
from fewshotgan.methods.layer_transfer import GPHead, LayerTransfer
from fewshotgan.methods.method import Method, Penalty, Player, Stage, Task, Terms
from fewshotgan.methods.minegan import MineGAN, Mining
from fewshotgan.methods.rick import RICK
from fewshotgan.methods.scratch import Scratch
from fewshotgan.methods.transfergan import TransferGAN

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        *(Scratch, TransferGAN, FreezeD, EWC, CDC, DCL, AdAM, RICK, FSGAN, LayerTransfer, GPHead, SmallHead, AdaFM),
        *(BSA, Mining, MineGAN),
    )
}

__all__ = [
    "METHODS",
    "Conditional",
    "Method",
    "Penalty",
    "Player",
    "Stage",
    "Task",
    "Terms",
    "TransferGAN",
    "create_method",
    "list_methods",
]


def list_methods() -> dict[str, str]:
    """Return the adaptation methods: {name: what it does (paper)}."""
    return {name: f"{method.summary} ({method.paper})" for name, method in METHODS.items()}


def create_method(name: str, /, **options: object) -> Method:
    """Return the method of that name with these options.

    Raises:
        UserError: if there is no such method, it has no such option, or a value is of another kind.
    """
    if name not in METHODS:
        close = difflib.get_close_matches(name, METHODS, n=1) or list(METHODS)
        raise UserError(f"There is no method {name!r}; did you mean {' or '.join(close)}?")
    hints = typing.get_type_hints(METHODS[name])
    known = {field.name: hints[field.name] for field in dataclasses.fields(METHODS[name])}
    for option, value in options.items():
        if option not in known:
            raise UserError(f"The method {name} has no option {option!r}; it has {', '.join(known)}.")
        kinds = typing.get_args(known[option]) or (known[option],)
        if not any(_is_of(value, kind) for kind in kinds):
            raise UserError(f"{name}: {option}={value!r} must be {' or '.join(KINDS[kind] for kind in kinds)}.")
        for ending, too_small, least in LEAST:
            if isinstance(value, int | float) and option.endswith(ending) and too_small(value):
                raise UserError(f"{name}: {option}={value!r} is too small: give {least}.")
    return METHODS[name](**options)


# ends of options' names, when a value is too small, what is the least
LEAST: tuple[tuple[str, Callable[[float], bool], str], ...] = (
    ("every", lambda value: value < 1, "at least 1"),
    ("rate", lambda value: value <= 0, "more than 0"),
    ("scale", lambda value: value <= 0, "more than 0"),
    ("", lambda value: value < 0, "at least 0"),
)
KINDS = {float: "a finite number", int: "a whole number", str: "a word", types.NoneType: "none"}


def _is_of(value: object, kind: type) -> bool:
    """Return whether an option's value is of a kind; a whole number is a number too, true and false are none."""
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return isinstance(value, kind) and not isinstance(value, bool)
