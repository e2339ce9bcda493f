"""Measure a run: the names of a cell's metrics on one side, `fewshotgan.evaluate` on the other."""

import math
from dataclasses import dataclass

from torch import Tensor

from fewshotgan.bench.table import INTRA, SELECTOR
from fewshotgan.gans import GAN, MIXTURE
from fewshotgan.images import Images
from fewshotgan.metrics import evaluate, evaluation

MINING = {"kmmd_efficientnet", "mv_efficientnet", "sharpness"}


@dataclass(frozen=True)
class Measured:
    """Values by metric, those that are finite, and how many real images they were measured against."""

    values: dict[str, float]
    n_real: int


def metric_version(metric: str) -> int:
    """Return the present version of a metric; scores of another one don't count."""
    return evaluation.VERSION


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
    wanted = set(metrics)
    found = evaluate(
        gan, images, n=n_generated, seed=seed, train=train, diversity=INTRA in wanted, mining=bool(MINING & wanted)
    )
    n_real = found.pop("protocol")["n_real"]
    if isinstance(gan, GAN) and gan.config["family"] == MIXTURE:
        found |= {f"{SELECTOR}{i}": float(share) for i, share in enumerate(gan.generator.probabilities().detach())}
    values = {name: round(found[name], 6) for name in metrics if name in found and math.isfinite(found[name])}
    return Measured(values, n_real)
