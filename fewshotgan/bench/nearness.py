"""How far a few images are from what a GAN makes, on the scale of the shipped domains.

The Fréchet distance of ten images is dominated by their number, and the mean feature of ten photographs of anything
lies amid everything. Here each image is compared with the source's nearest sample (EfficientNet-Lite0), so that five
images and fifty of one kind are equally far. Ten images of each shipped domain are nearest to a source of their own
collection (`tests/test_advice.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from statistics import median

import numpy as np

from fewshotgan.checkpoint import digest
from fewshotgan.gans import GAN, list_gans, load_gan
from fewshotgan.images import MIXTURES, Images, list_domains, load_images
from fewshotgan.metrics import features, real_features
from fewshotgan.metrics.cache import kept_features

SAMPLES = 32  # of a source
SHOTS = 10  # images of a domain that marks the scale
MOST = 100  # images that are measured
COLOURFUL = 8  # levels of 255 between the channels of an image that is not grey
POOR = 0.5  # ratio of a source that has hardly learnt its own domain
ALIKE = 1.1  # distances whose ratio is smaller count as equal


@dataclass(frozen=True)
class Nearness:
    """How far images are from a source.

    Attributes:
        gan: the source.
        distance: to it (`distance`).
        scale: {shipped domain: its distance to this source}, nearest first.
        makes: size and colours of its images, in words.
        classes: whether it is class-conditional, and is adapted as its mean class.
        greys: whether the source makes grey images, and these have colours.
        ratio: how well the source has learnt its own domain (`proximity.quality`); None if its card doesn't say.
    """

    gan: str
    distance: float
    scale: dict[str, float]
    makes: str
    classes: bool
    greys: bool
    ratio: float | None

    @property
    def poor(self) -> bool:
        """Whether the source has hardly learnt its own domain."""
        return self.ratio is not None and self.ratio > POOR

    @property
    def verdict(self) -> str:
        """ "near", "far", or "off the scale": nearer than the middle shipped domain, farther, or beyond all of them."""
        if self.distance > ALIKE * max(self.scale.values()):
            return "off the scale"
        return "near" if self.distance < median(self.scale.values()) else "far"

    @property
    def words(self) -> str:
        """The distance on the scale of the shipped domains."""
        name, mark = min(self.scale.items(), key=lambda pair: abs(pair[1] - self.distance))
        farthest, most = max(self.scale.items(), key=lambda pair: pair[1])
        if self.verdict == "off the scale":
            return f"farther than any shipped domain; the farthest, {farthest}, is at {most:.0f}"
        nearer = sum(value < self.distance for value in self.scale.values())
        return f"about as far as {name} ({mark:.0f}); {nearer} of {len(self.scale)} shipped domains are nearer"


def distance(rows: np.ndarray, made: np.ndarray) -> float:
    """Return how far images are from what a source makes: the mean over them of the cosine distance of their features
    (N, d) to the nearest of the samples' (M, d), in hundredths; about 20 for images of the source's own domain.

    It does not depend on N, but on M.
    """
    return float(100 * (1 - (_unit(rows) @ _unit(made).T).max(axis=1)).mean())


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def rank(images: Images, gans: Sequence[GAN], step: Callable[[str], None] = lambda _name: None) -> list[Nearness]:
    """Return how far images are from GANs, nearest first; those that would turn them grey come last.

    Args:
        images: in their own size and colours.
        gans: the sources.
        step: called with the name of what is measured next.
    """
    step("your images")
    rows, coloured, found = image_features(images), is_coloured(images), []
    for gan in gans:
        step(gan.name)
        made, ratio = source_features(gan), gan.card.get("quality", {}).get("ratio")
        marks = {name: distance(_marked(name), made) for name in scale_domains(gan)}
        scale = dict(sorted(marks.items(), key=lambda pair: pair[1]))
        makes = f"{gan.resolution} pixels, {'grey' if gan.channels == 1 else 'colour'}"
        greys = coloured and gan.channels == 1
        found.append(Nearness(gan.name, distance(rows, made), scale, makes, gan.classes > 0, greys, ratio))
    return sorted(found, key=lambda near: (near.greys, near.distance))


def best(found: Sequence[Nearness]) -> Nearness:
    """Return the source to start with: the nearest that keeps colours and has learnt its own domain, as far as there is
    one; of several about as near, one without classes.
    """
    fit = [near for near in found if near.greys == found[0].greys]
    fit = [near for near in fit if not near.poor] or fit
    close = [near for near in fit if near.distance <= ALIKE * fit[0].distance]
    return min(close, key=lambda near: (near.classes, near.distance))


def image_features(images: Images) -> np.ndarray:
    """Return features of the first images."""
    return real_features(images.part(0, MOST), "efficientnet")


@lru_cache(maxsize=32)  # a digest of all weights takes its time
def source_features(gan: GAN, n: int | None = None) -> np.ndarray:
    """Return features (n, d) of a GAN's samples; of 32 where n is not given."""
    n = SAMPLES if n is None else n
    content = f"{n} samples of {digest(gan.weights())} {gan.config}".encode()
    return kept_features(content, "efficientnet", lambda: features(gan.sample(n), "efficientnet"))


def is_coloured(images: Images) -> bool:
    """Return whether more than a few of the images have colours."""
    if images.channels == 1:
        return False
    pixels = images.pixels.short()
    spread = (pixels.amax(dim=1) - pixels.amin(dim=1)).flatten(1).float().quantile(0.95, dim=1)
    return bool((spread > COLOURFUL).float().mean() > 0.1)


def scale_domains(gan: GAN) -> list[str]:
    """Return the domains that mark a source's scale: those with its number of channels."""
    collection = "fashion/" if gan.channels == 1 else "avatars/"
    return [name for name in list_domains() if name.startswith(collection) and name not in MIXTURES]


@cache
def _marked(name: str) -> np.ndarray:
    return image_features(load_images(name, n=SHOTS))


@cache
def shipped_gans() -> tuple[GAN, ...]:
    """Return all shipped GANs, to be compared and never changed."""
    return tuple(load_gan(name) for name in list_gans())
