"""The result of a run, and the error that carries its last good state."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.methods.method import Training

Row = dict[str, Any]
Viewer = Callable[[int, Tensor], None]


@dataclass
class Run:
    """The result of an adaptation.

    Attributes:
        gan: the adapted GAN: moving average of the weights, adapters merged.
        spec: everything that determines the run, as plain values.
        history: a row {"iteration", "stage", "seconds", "<player>/<term>", ...} every ten iterations.
        snapshots: [(iteration, images (16, C, H, W), -1..1)], always from the same latents; the first is iteration 0.
        iterations: steps taken, resumed sessions included.
        seconds: wall time of training, resumed sessions included.
        finished: False if a time limit or Ctrl-C stopped it.
        training: what trained, with what it computed on the way (such as AdAM's filter importance).
    """

    gan: GAN
    spec: dict[str, Any]
    history: list[Row] = field(default_factory=list)
    snapshots: list[tuple[int, Tensor]] = field(default_factory=list)
    iterations: int = 0
    seconds: float = 0.0
    finished: bool = True
    training: Training | None = None


class CollapseError(UserError):
    """Training diverged or the samples collapsed; `run` holds the last good state."""

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run
