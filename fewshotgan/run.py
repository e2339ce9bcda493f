"""The result of a run, and the error that carries its last good state."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from fewshotgan.files import UserError, whole
from fewshotgan.gans.gan import GAN
from fewshotgan.kept import Kept
from fewshotgan.methods.method import Training

Row = dict[str, Any]
Viewer = Callable[[int, Tensor], None]


@dataclass
class Run:
    """The result of an adaptation.

    Attributes:
        gan: the adapted GAN: moving average of the weights, adapters merged; of the iteration `chosen`.
        spec: everything that determines the run, as plain values.
        history: a row {"iteration", "stage", "seconds", "<player>/<term>", ...} every ten iterations, with
            "augment/p" where ADA adapts its probability.
        snapshots: [(iteration, images (16, C, H, W), -1..1)], always from the same latents; the first is iteration 0.
        iterations: steps taken, resumed sessions included.
        seconds: wall time of training, resumed sessions included.
        finished: False if a time limit or a signal (Ctrl-C, SIGTERM, SIGHUP) stopped it.
        interrupted: True if it was a signal.
        training: what trained, with what it computed on the way (such as AdAM's filter importance).
        store: the GANs along the way, of each snapshot.
        choice: which iteration was kept and why, as plain values: {"iteration", "why", ...}; see `fewshotgan.stopping`.
    """

    gan: GAN
    spec: dict[str, Any]
    history: list[Row] = field(default_factory=list)
    snapshots: list[tuple[int, Tensor]] = field(default_factory=list)
    iterations: int = 0
    seconds: float = 0.0
    finished: bool = True
    interrupted: bool = False
    training: Training | None = None
    store: Kept | None = field(default=None, repr=False)
    choice: dict[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> list[int]:
        """The iterations whose GANs `at` returns, in order; the first is 0."""
        return self.store.iterations if self.store else []

    @property
    def chosen(self) -> int:
        """The iteration of `gan`: the last, unless another was chosen."""
        return int(self.choice.get("iteration", self.iterations))

    def at(self, iteration: int) -> GAN:
        """Return the GAN of an iteration, its weights rounded to half precision.

        Where none is kept of just this iteration, it is that of the nearest one, with a warning; its card says which.

        Raises:
            UserError: if the run kept none, or `iteration` is no whole number.
        """
        wanted = whole("iteration", iteration)
        if self.store is None:
            raise UserError("This run kept no GANs along its way; adapt keeps them.")
        nearest = self.store.nearest(wanted)
        if nearest != wanted:
            warnings.warn(f"No GAN of iteration {wanted} is kept; this is that of iteration {nearest}.", stacklevel=2)
        return self.store.load(nearest)


class CollapseError(UserError):
    """Training diverged or the samples collapsed; `run` holds the last good state."""

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run
