"""What a metric is: a name, a direction, what it needs, where it comes from, and the function that measures it.

`fewshotgan.metrics.registry` lists them. A metric sees a `Comparison`, which computes features and whatever several
metrics share once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import log
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from fewshotgan.files import UserError
from fewshotgan.images import Images
from fewshotgan.metrics.cache import real_features
from fewshotgan.metrics.extractors import features

if TYPE_CHECKING:
    from fewshotgan.metrics.evaluation import Sampler

Direction = Literal["low", "high", "one"]
Need = Literal["shots", "mixture", "classes"]
T = TypeVar("T")
WORDS: dict[Direction | None, str] = {
    "low": "lower is better", "high": "higher is better", "one": "real images have 1", None: "",
}  # fmt: skip
SAID: dict[Need, str] = {
    "shots": "the images that were trained on; hand them over as train",
    "mixture": "a GAN mined from several sources; it has no value for any other",
    "classes": "a class-conditional GAN and labels of the real images, of as many classes, at least two images of each",
}


@dataclass(frozen=True)
class Comparison:
    """Generated images beside real ones, as a metric sees them.

    Attributes:
        fake: generated images (N, C, H, W), -1..1.
        real: held-out images of the same size.
        shots: the few images that were trained on, where they are known.
        gan: what generated the images, unless they were handed in.
        labels: the classes (N,) that the images were made for, of a class-conditional GAN.
    """

    fake: Tensor
    real: Images
    shots: Images | None = None
    gan: "Sampler | None" = None
    labels: Tensor | None = None
    _known: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, key: str, make: Callable[[], T]) -> T:
        """Return what `make` returned the first time it was asked for by this key."""
        if key not in self._known:
            self._known[key] = make()
        found: T = self._known[key]
        return found

    def features(self, extractor: str) -> tuple[np.ndarray, np.ndarray]:
        """Return features (M, d) of the real and (N, d) of the generated images."""
        return self.once(extractor, lambda: (real_features(self.real, extractor), features(self.fake, extractor)))

    def given_shots(self) -> Images:
        """Return the shots.

        Raises:
            UserError: if none were given.
        """
        if self.shots is None:
            raise UserError(f"This metric needs {SAID['shots']}.")
        return self.shots

    def given_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the classes (M,) of the real and (N,) of the generated images.

        Raises:
            UserError: if either have none, or a class fewer than two images of a kind.
        """
        if self.real.labels is None or self.labels is None or not have_classes(self.real, self.labels):
            raise UserError(f"This metric needs {SAID['classes']}.")
        return self.real.labels.numpy(), self.labels.numpy()


def have_classes(real: Images, labels: Tensor | None) -> bool:
    """Return whether real images and generated ones, made for the classes `labels` (N,), have at least two images of
    each of the same classes.
    """
    if real.labels is None or labels is None:
        return False
    counts = [torch.bincount(each, minlength=real.classes) for each in (real.labels, labels)]
    return len(counts[1]) == real.classes and all(int(count.min()) > 1 for count in counts)


@dataclass(frozen=True)
class Metric:
    """A metric. Adding one is a file with such an object, and a line in `fewshotgan.metrics.registry`.

    Attributes:
        name: as typed and recorded; never the name of a published metric unless it is computed exactly as that one.
        measure: computes the value.
        direction: which values are better: "low", "high", or "one" (nearest to 1); None for a number that describes
            and does not judge.
        digits: after the decimal point, where it is printed.
        version: raised whenever a change moves the value; scores of another version don't count.
        units: what the number counts.
        range: of the values.
        source: where the definition comes from.
        extractor: whose features it compares, if any.
        needs: what `evaluate` must be given beside generated and real images.
        default: whether `evaluate` measures it unasked, wherever its needs are met.
        is_distance: whether it measures the distance to real images, in which a method must beat the controls.
        of_controls: whether it is measured of the controls, which are not trained.
        is_ratio: whether its values compare by their ratio (all positive), not by their difference.
        detail: computes what the protocol says about this value.
    """

    name: str
    measure: Callable[[Comparison], float]
    direction: Direction | None
    digits: int
    version: int
    units: str
    range: str
    source: str
    extractor: str | None = None
    needs: tuple[Need, ...] = ()
    default: bool = False
    is_distance: bool = False
    of_controls: bool = True
    is_ratio: bool = True
    detail: Callable[[Comparison], object] | None = None

    @property
    def words(self) -> str:
        """Which values are better, in words; empty where none are."""
        return WORDS[self.direction]

    def text(self, value: float) -> str:
        """Return a value as printed."""
        return f"{value:.{self.digits}f}"

    def loss(self, value: float) -> float:
        """Return how bad a value is, on a scale on which differences compare; infinite at the worst end.

        The logarithm of a ratio-scaled value, its distance from 0 where 1 is best, and the negative where large values
        are better: a difference of 0.1 is one of about ten percent.
        """
        if self.direction is None:
            raise UserError(f"{self.name} describes and does not judge, so that no value of it is better or worse.")
        if self.is_ratio:
            value = log(value) if value > 0 else -float("inf")
        return {"low": value, "high": -value, "one": abs(value)}[self.direction]
