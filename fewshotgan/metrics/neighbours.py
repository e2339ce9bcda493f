"""What nearest neighbours in feature space tell: precision and recall, and memorisation.

Paper: Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models" (NeurIPS 2019,
arXiv 1904.06991), equations 1 and 2.
"""

import numpy as np

from fewshotgan.files import UserError
from fewshotgan.metrics.cache import real_features
from fewshotgan.metrics.metric import Comparison, Metric

NEIGHBOURS = 3
HELD_OUT_QUANTILE = 0.01


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Euclidean distances (N, M) between the rows of features (N, d) and (M, d)."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    squared = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * (a @ b.T)
    lengths: np.ndarray = np.sqrt(np.maximum(squared, 0))
    return lengths


def radii(x: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Return the distance (N,) of each row of (N, d) to its k-th nearest other row."""
    return np.partition(distances(x, x) + np.diag(np.full(len(x), -1.0)), k, axis=1)[:, k]


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Return (precision, recall) of features (N, d) and (M, d), both in 0..1.

    Precision is the share of generated images inside a ball of a real one, whose radius is the distance to its k-th
    nearest neighbour; recall is the same with the roles swapped.
    """
    between = distances(real, fake)
    precision = (between < radii(real, k)[:, None]).any(axis=0).mean()
    recall = (between < radii(fake, k)[None]).any(axis=1).mean()
    return float(precision), float(recall)


def memorisation(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> float:
    """Return the share of generated images that lie closer to a training image than real held-out images do.

    "Closer" is: nearer to its nearest training image than 99 % of the held-out images are to theirs, so real images
    score about 0.01, copies 1. Features (M, d), (N, d), (K, d).
    """
    usual = np.quantile(distances(held_out, train).min(axis=1), HELD_OUT_QUANTILE)
    return float((distances(fake, train).min(axis=1) < usual).mean())


def _precision_recall(images: Comparison) -> tuple[float, float]:
    return images.once("precision_recall", lambda: precision_recall(*images.features("efficientnet")))


def _memorisation(images: Comparison) -> float:
    real, fake = images.features("efficientnet")
    shots = images.given_shots()
    if len(images.real) == len(shots) and bool((images.real.pixels == shots.pixels).all()):
        raise UserError("memorisation needs other real images than those trained on; give some, or leave it out.")
    return memorisation(fake, real_features(shots, "efficientnet"), real)


_PAPER = f"Kynkäänniemi et al. 2019, arXiv 1904.06991, k = {NEIGHBOURS}, with EfficientNet-Lite0 features"
METRICS = (
    Metric(
        "precision",
        lambda images: _precision_recall(images)[0],
        direction="high",
        digits=3,
        version=2,
        units="share of generated images among the real ones",
        range="0 to 1",
        source=_PAPER,
        extractor="efficientnet",
        default=True,
        is_ratio=False,
    ),
    Metric(
        "recall",
        lambda images: _precision_recall(images)[1],
        direction="high",
        digits=3,
        version=2,
        units="share of real images among the generated ones",
        range="0 to 1",
        source=_PAPER,
        extractor="efficientnet",
        default=True,
        is_ratio=False,
    ),
    Metric(
        "memorisation",
        _memorisation,
        direction="low",
        digits=3,
        version=2,
        units=f"share nearer to a training image than {1 - HELD_OUT_QUANTILE:.0%} of the real held-out images are",
        range="0 to 1",
        source="this project",
        extractor="efficientnet",
        needs=("shots",),
        default=True,
        is_ratio=False,
    ),
)
