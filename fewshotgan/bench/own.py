"""A source of one's own: networks and training for a folder of images, and an honest account of how good it is.

Nothing here is compared with the shipped domains: part of the folder is held back from training, and the distance of
the samples to it stands beside that of the training images to it, which no GAN can be expected to beat.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fewshotgan.bench.recipes import Recipe, biggan_networks, gp_networks, networks
from fewshotgan.files import UserError
from fewshotgan.gans.gan import FAMILIES, GAN
from fewshotgan.images import Images
from fewshotgan.losses import adversarial
from fewshotgan.metrics import features, frechet_distance, precision_recall, real_features
from fewshotgan.metrics.extractors import VERSION

SIZES = (16, 32, 64, 128, 256)
LEAST = 10  # images to train on
ENOUGH = 100  # images, of which some can be held back
MOST_HELD = 500
PLENTY = 5000  # images, from which on D is not fooled by their number
THOUSANDS = 1000  # of images seen
GENERATED = 1000  # samples that are measured


def stylegan2(size: int, channels: int, classes: int | None) -> Recipe:
    """Return the networks and the training of the shipped StyleGAN2s, R1 and R2 in proportion to the pixels."""
    gamma = (size / 64) ** 2
    config = networks("stylegan2", size, channels, channel_base=max(8 * size, min(32 * size, 2048)), classes=classes)
    return Recipe("", "", config, THOUSANDS, options={"loss": "relativistic", "r1_gamma": gamma, "r2_gamma": gamma})


def progan(size: int, channels: int, classes: int | None) -> Recipe:
    """Return those of the shipped ProGAN, which has no classes."""
    return Recipe("", "", networks("progan", size, channels, 12 * size, 96), THOUSANDS, options={"r1_gamma": 0.3})


def wgan_resnet(size: int, channels: int, classes: int | None) -> Recipe:
    """Return those of the shipped WGAN-GPs, which have no classes."""
    config = networks("wgan_resnet", size, channels, 12 * size, 48, latent=32)
    return Recipe("", "", config, THOUSANDS, options={"learning_rate": 0.001})


def sngan(size: int, channels: int, classes: int | None) -> Recipe:
    """Return those of the shipped SNGAN, with or without classes."""
    config = networks("sngan", size, channels, 16 * size, 64, latent=64, classes=classes)
    return Recipe("", "", config, THOUSANDS, batch=32, options={"learning_rate": 0.001})


def gp_resnet(size: int, channels: int, classes: int | None) -> Recipe:
    """Return those of the shipped GP-GANs, which need classes."""
    config = gp_networks(size, channels, 16 * size, classes or 1)
    return Recipe("", "", config, THOUSANDS, options={"r1_gamma": 2.5 * (size / 64) ** 2, "learning_rate": 0.001})


def biggan(size: int, channels: int, classes: int | None) -> Recipe:
    """Return those of the shipped BigGAN, which needs classes."""
    config = biggan_networks(size, channels, 16 * size, 64, classes or 1)
    return Recipe("", "", config, THOUSANDS, batch=32, options={"learning_rate": 0.0005})


OWN_FAMILIES: dict[str, Callable[[int, int, int | None], Recipe]] = {
    kind.__name__: kind for kind in (stylegan2, progan, wgan_resnet, sngan, gp_resnet, biggan)
}
WITHOUT_CLASSES, ONLY_CLASSES = ("progan", "wgan_resnet"), ("gp_resnet", "biggan")


def own_recipe(images: Images, family: str = "stylegan2", *, classes: bool = False, name: str | None = None) -> Recipe:
    """Return a recipe for images of one's own, for `pretrain`.

    Args:
        images: at the size and with the channels of the GAN; what is trained on.
        family: of the networks, one of `OWN_FAMILIES`.
        classes: whether the GAN is class-conditional; the images then need labels.
        name: of the GAN; "own-" and the folder's by default.

    Raises:
        UserError: if there is no such family or size, the images are too few, or classes and family don't fit.
    """
    if family not in OWN_FAMILIES:
        raise UserError(f"There is no family {family!r} for images of your own; there are {', '.join(OWN_FAMILIES)}.")
    if images.resolution not in SIZES:
        raise UserError(
            f"Images of {images.resolution} pixels can't be; choose a size of {', '.join(map(str, SIZES))}."
        )
    if len(images) < LEAST:
        raise UserError(
            f"{images.name} has {len(images)} images; a source needs {LEAST}, better 1,000: adapt one instead."
        )
    if classes and family in WITHOUT_CLASSES:
        raise UserError(f"{family} has no classes; leave out --classes, or take stylegan2, sngan, gp_resnet or biggan.")
    if classes and images.labels is None:
        raise UserError(f"{images.name} has no labels; give it a dataset.json, or a folder for each class.")
    if not classes and family in ONLY_CLASSES:
        raise UserError(
            f"{family} is class-conditional; add --classes, or take stylegan2, progan, wgan_resnet or sngan."
        )
    recipe = OWN_FAMILIES[family](images.resolution, images.channels, images.classes if classes else None)
    augment = None if len(images) >= PLENTY else augmentation(recipe)
    return replace(recipe, name=name or f"own-{images.name}", images=images.name, augment=augment)


def augmentation(recipe: Recipe) -> str:
    """Return what keeps D from learning few images by heart: ADA, or DiffAugment for a loss that leaves open the sign
    of D's logits, by which ADA goes.
    """
    own = FAMILIES[recipe.config["family"]][1].paper_loss
    loss = adversarial(recipe.options.get("loss", own.name), own)
    return "diffaugment" if loss.paired or loss.gradient_penalty else "ada"


def named(images: Images, given: str) -> Images:
    """Return images under the name of their folder alone, so that its card doesn't give away the path."""
    return replace(images, name=Path(given).stem.replace(" ", "-") or "images")


def hold_back(images: Images) -> tuple[Images, Images | None]:
    """Return images to train on and a tenth that is held back, at most 500; None of fewer than a hundred."""
    if len(images) < ENOUGH:
        return images, None
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(images)))
    held = min(MOST_HELD, len(images) // 10)
    return _chosen(images, order[held:]), _chosen(images, order[:held])


def _chosen(images: Images, numbers: torch.Tensor) -> Images:
    labels = None if images.labels is None else images.labels[numbers]
    return replace(images, pixels=images.pixels[numbers], labels=labels, names=())


def own_quality(gan: GAN, train: Images, held: Images | None) -> dict[str, Any]:
    """Return how near a GAN comes to images of its domain, for its card.

    Returns:
        {"fd_efficientnet": distance of 1,000 samples to "against", "precision", "recall", "training_fd": that of
        training images to it, None if nothing was held back, "protocol": version of the features}.
    """
    real, shown = real_features(held or train, "efficientnet"), real_features(train, "efficientnet")
    made = features(gan.sample(GENERATED), "efficientnet")
    precision, recall = precision_recall(real, made)
    kind = "that were held back from training" if held else "that it was trained on: a copy of them would be at 0"
    return {
        "fd_efficientnet": round(frechet_distance(real, made), 1),
        "precision": round(precision, 3),
        "recall": round(recall, 3),
        "against": f"{len(held or train)} images of {train.name} {kind}",
        "training_fd": round(frechet_distance(real, shown), 1) if held else None,
        "protocol": VERSION,
    }
