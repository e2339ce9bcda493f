"""How far each shipped domain is from a source, and which are close or distant (AdAM, arXiv 2210.16559, section 4)."""

from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any

import numpy as np

from fewshotgan.files import UserError
from fewshotgan.gans import GAN
from fewshotgan.images import MIXTURES, Images, list_domains, load_images
from fewshotgan.metrics import features, frechet_distance, precision_recall, real_features
from fewshotgan.metrics.extractors import VERSION
from fewshotgan.progress import watched

BAR = 0.25
GENERATED = 1000  # samples of a source that are measured
IMAGES = 150  # training images per domain: the distance depends on the number, and the smallest has this many


@dataclass(frozen=True)
class Proximity:
    """One row: a domain, its distance to the source (Fréchet, EfficientNet-Lite0), and "close" or "distant"."""

    domain: str
    distance: float
    verdict: str


@cache
def proximity(source: str = "avatars/personas") -> tuple[Proximity, ...]:
    """Return the other domains of the source's collection, mixtures excluded, nearest first.

    A domain is close if it is nearer to the source than the median domain, and distant otherwise.

    Raises:
        UserError: if the source is not a shipped domain.
    """
    if source not in list_domains():
        raise UserError(f"There is no shipped domain {source!r}; choose from {', '.join(list_domains())}.")
    collection = source.split("/")[0]
    others = [name for name in list_domains() if name.startswith(f"{collection}/") and name not in (source, *MIXTURES)]
    reference = _features(source)
    measured = sorted((frechet_distance(reference, _features(name)), name) for name in watched(others, "domains"))
    middle = median(distance for distance, _ in measured)
    return tuple(Proximity(name, d, "close" if d < middle else "distant") for d, name in measured)


def proximity_table(source: str = "avatars/personas") -> str:
    """Return the rows as text, followed by the protocol."""
    rows = [f"{'domain':<22}{'distance':>10}  verdict"]
    rows += [f"{row.domain:<22}{row.distance:>10.0f}  {row.verdict}" for row in proximity(source)]
    protocol = f"Fréchet distance to {source}, EfficientNet-Lite0 features, {IMAGES} training images of each domain;"
    return "\n".join([*rows, "", f"{protocol}\nclose: nearer than the median domain."])


def plane(names: list[str]) -> dict[str, np.ndarray]:
    """Return coordinates {name: (IMAGES, 2)} of each domain's images in the plane of their joint principal components.

    The features are those that distances are measured in.
    """
    return principal({name: _features(name) for name in names})


def principal(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Project points {name: (N, d)} on the first two principal components of all of them: {name: (N, 2)}."""
    stacked = np.concatenate(list(rows.values()))
    centre = stacked.mean(axis=0)
    axes = np.linalg.svd(stacked - centre, full_matrices=False)[2][:2]
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[
        :, None
    ]  # components have no inherent sign; fix one
    return {name: (value - centre) @ axes.T for name, value in rows.items()}


def quality(gan: GAN, source: str) -> dict[str, Any]:
    """Return how well a source GAN covers its domain, for its card.

    Returns:
        {"fd_efficientnet": distance to held-out images, "precision", "recall": of 1,000 samples, "closest": the nearest
        other domain, "closest_distance": between held-out images of both domains, "ratio": of the two distances,
        "bar": 0.25, "meets_bar", "protocol": version of the features}. A good source is four times nearer to its domain
        than the closest other.
    """

    def held_out(name: str) -> np.ndarray:
        images = load_images(name, split="held_out", resolution=gan.resolution, channels=gan.channels)
        return real_features(images, "efficientnet")

    real = held_out(source)
    left_out = MIXTURES.get(source)
    collection = source.split("/")[0]
    names = [f"{collection}/{name}" for name in left_out] if left_out else [row.domain for row in proximity(source)]
    others = {name: held_out(name) for name in names}
    closest, distance = min(
        ((name, frechet_distance(real, rows)) for name, rows in others.items()), key=lambda pair: pair[1]
    )
    made = features(gan.sample(GENERATED), "efficientnet")
    own, (precision, recall) = frechet_distance(real, made), precision_recall(real, made)
    return {
        "fd_efficientnet": round(own, 1), "precision": round(precision, 3), "recall": round(recall, 3),
        "closest": closest, "closest_distance": round(distance, 1),
        "ratio": round(own / distance, 3), "bar": BAR, "meets_bar": own <= BAR * distance, "protocol": VERSION,
    }  # fmt: skip


def _features(name: str) -> np.ndarray:
    images = load_images(name)
    return real_features(Images(images.pixels[:IMAGES], name), "efficientnet")
