"""The scale of a distance: what the source as it is and the few images themselves, repeated, would score."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.images import Images, is_shipped, load_images
from fewshotgan.metrics import evaluate, features, frechet_distance, real_features
from fewshotgan.run import Run

DISTANCE = "fd_efficientnet"
SAMPLES = 200
SEED = 1  # of the samples of the source


@dataclass(frozen=True)
class Scale:
    """Distances to the same real images, in the same number of samples.

    Attributes:
        own: of the adapted GAN.
        source: of the GAN that it was adapted from, as it is.
        repeated: of the few images, repeated.
        held_out: whether the real images are others than the few.
    """

    own: float
    source: float
    repeated: float
    held_out: bool


def real_images(images: Images) -> str | Images:
    """Return what to compare with: a shipped domain, which stands for its held-out images, or the images themselves."""
    return images.name if is_shipped(images.name) else images


def measured(run: Run, images: Images) -> dict[str, Any]:
    """Return what `evaluate` finds, or why it finds nothing."""
    real = real_images(images)
    try:
        return evaluate(run.gan, real, n=SAMPLES, train=images if isinstance(real, str) else None)
    except UserError as error:
        return {"metrics": f"none: {error}"}


def find_scale(scores: Mapping[str, Any], source: GAN, images: Images) -> Scale | None:
    """Return the scale of a run's scores; None where they hold no distance."""
    if DISTANCE not in scores:
        return None
    real, n = real_images(images), int(scores["protocol"]["n_generated"])
    if isinstance(real, str):
        others = load_images(real, split="held_out", resolution=images.resolution, channels=images.channels)
    else:
        others = real
    rows, shots = (real_features(each, "efficientnet") for each in (others, images))
    as_it_is = frechet_distance(rows, features(source.sample(n, SEED), "efficientnet"))
    repeated = frechet_distance(rows, shots[np.arange(max(n, len(shots))) % len(shots)])
    return Scale(float(scores[DISTANCE]), as_it_is, repeated, isinstance(real, str))
