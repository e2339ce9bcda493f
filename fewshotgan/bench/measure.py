"""Measure a run: the names of a cell's metrics on one side, `fewshotgan.evaluate` on the other."""

import math
from dataclasses import dataclass

from torch import Tensor

from fewshotgan.gans import GAN
from fewshotgan.images import Images
from fewshotgan.metrics import evaluate, get_metric


@dataclass(frozen=True)
class Measured:
    """Values by metric, those that are finite, and how many real images they were measured against."""

    values: dict[str, float]
    n_real: int


def metric_version(metric: str) -> int:
    """Return the present version of a metric; scores of another one don't count."""
    return get_metric(metric).version


def measure(
    gan: GAN | Tensor, images: str, metrics: tuple[str, ...], n_generated: int, seed: int, train: Images
) -> Measured:
    """Measure a GAN, or images (N, C, H, W), -1..1, against the held-out images of a domain.

    Args:
        gan: what is measured.
        images: the domain.
        metrics: which numbers.
        n_generated: images to sample.
        seed: of their latents.
        train: the few images that were trained on.
    """
    found = evaluate(gan, images, metrics=metrics, n=n_generated, seed=seed, train=train)
    n_real = found.pop("protocol")["n_real"]
    return Measured({name: round(value, 6) for name, value in found.items() if math.isfinite(value)}, n_real)
