"""Weights of a GAN that was mined from several (MineGAN): which source its samples come from."""

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.mixture import Generator as Mixture
from fewshotgan.metrics.metric import Comparison, Metric

MOST = 4  # sources of a table of ours


def _weight(images: Comparison, part: int) -> float:
    generator = images.gan.generator if isinstance(images.gan, GAN) else None
    weights = generator.probabilities().tolist() if isinstance(generator, Mixture) else []
    if part >= len(weights):
        raise UserError(f"selector_{part} needs a GAN that was mined from at least {part + 1} sources.")
    return float(weights[part])


def _metric(part: int) -> Metric:
    return Metric(
        f"selector_{part}",
        lambda images: _weight(images, part),
        direction=None,
        digits=3,
        version=2,
        units=f"probability that a sample comes from source {part}",
        range="0 to 1",
        source="Wang et al. 2020 (MineGAN), arXiv 1912.05270",
        needs=("mixture",),
        of_controls=False,
    )


METRICS = tuple(_metric(part) for part in range(MOST))
