"""What can be measured of a source and of images before one is adapted to the other, to choose the source.

Papers: Wang et al., "Transferring GANs" (ECCV 2018, arXiv 1805.01677), table 5 and section 4.4, have the distances
`fd_target` and `fd_source`; Wang et al., "MineGAN" (CVPR 2020, arXiv 1912.05270), lets a critic choose between sources.

Differs: MineGAN trains one critic for all sources; here each source's own judges, and so that several compare, on the
scale of its logits of its own samples. Images are converted to the size and colours of each source, so that distances
compare between sources of one size, and only roughly between others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from fewshotgan.bench.nearness import distance, image_features, is_coloured, source_features
from fewshotgan.files import UserError
from fewshotgan.gans import GAN
from fewshotgan.images import Images, resized
from fewshotgan.metrics import frechet_distance, precision_recall, real_features

SAMPLES = 300  # of a source
MOST = 1000  # images that are measured
LEAST = 4  # images, for a precision
BY_DEFAULT = "fd_target"
MEASURES = {
    "fd_target": "Fréchet distance of the source's samples to the images",
    "fd_source": "Fréchet distance of the source's samples to images of its own domain",
    "precision": "share of the source's samples among the images",
    "critic": "how far its critic puts the images below its samples",
    "proximity": "distance of each image to the nearest sample",
}
HIGH = {"precision"}  # of the others small values promise more


@dataclass(frozen=True)
class Outlook:
    """A source as a choice for some images.

    Attributes:
        gan: the source.
        greys: whether it makes grey images, and these have colours.
        values: {measure: value}; None where the source has no critic, or its card no distance.
    """

    gan: str
    greys: bool
    values: dict[str, float | None]

    def far(self, measure: str) -> float:
        """Return a value so that smaller ones promise more; infinite where there is none."""
        value = self.values[measure]
        return float("inf") if value is None else -value if measure in HIGH else value


def outlook(gan: GAN, images: Images) -> Outlook:
    """Measure a source beside images in their own size and colours, which are converted to its own.

    Raises:
        UserError: if there are fewer than four images.
    """
    if len(images) < LEAST:
        raise UserError(f"{images.name} has {len(images)} images; to choose a source by, give at least {LEAST}.")
    given = resized(images.part(0, MOST), gan.resolution, gan.channels)
    real, made = real_features(given, "efficientnet"), source_features(gan, SAMPLES)
    values: dict[str, float | None] = {
        "fd_target": frechet_distance(real, made),
        "fd_source": gan.card.get("quality", {}).get("fd_efficientnet"),
        "precision": precision_recall(real, made)[0],
        "critic": critic_gap(gan, given) if gan.complete else None,
        "proximity": distance(image_features(images), source_features(gan)),
    }
    return Outlook(gan.name, gan.channels == 1 and is_coloured(images), values)


@torch.no_grad()
def critic_gap(gan: GAN, images: Images) -> float:
    """Return by how much a source's critic puts images of its size below its own samples on average, in standard
    deviations of its logits of the samples; a class-conditional one judges as of its mean class.
    """
    source = gan.unconditional()
    made, real = (
        torch.cat([source.discriminator(part).flatten() for part in x.to(gan.device).split(64)])
        for x in (source.sample(SAMPLES), images.tensor())
    )
    return float((made.mean() - real.mean()) / made.std().clamp_min(1e-6))


def rank(
    images: Images, gans: Sequence[GAN], measure: str, step: Callable[[str], None] = lambda _name: None
) -> list[Outlook]:
    """Return the outlook of each source, the most promising first; those that would turn the images grey come last.

    Args:
        images: in their own size and colours.
        gans: the sources.
        measure: by which, one of `MEASURES`.
        step: called with the name of what is measured next.

    Raises:
        UserError: if there are fewer than four images.
    """
    found = []
    for gan in gans:
        step(gan.name)
        found.append(outlook(gan, images))
    return sorted(found, key=lambda one: (one.greys, one.far(measure)))
