"""What a run returns, or raises with its last good state."""

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
    """What an adaptation returns.

    Attributes:
        gan: the adapted GAN, of averaged weights, adapters merged.
        spec: everything that determines the run.
        history: rows {"iteration", "stage", "seconds", "<player>/<term>", ...}, one every ten iterations.
        snapshots: [(iteration, images (16, C, H, W), -1..1)] from the same latents each time; the first is the start.
        iterations: how many steps were made, over all resumptions.
        seconds: wall time of training, likewise.
        finished: False if it was stopped by time or by Ctrl-C.
        training: what trained, with all that it found out on the way (AdAM's importance of filters).
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
    """Training left the finite or the diverse; `run` holds the last good state."""

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run
