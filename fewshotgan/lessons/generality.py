"""How general a layer is, without training: the share of its activations' variance that the class or domain explains.

AdaFM's motivation (arXiv 2002.11810, section 1): layers near the image draw local patterns common to all images, layers
far from it draw objects. Activations of the latter separate classes or domains; those of the former do not.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from fewshotgan.gans import GAN, gp_resnet
from fewshotgan.images import Images


def explained(features: Tensor, labels: Tensor) -> float:
    """Return the share of variance explained by the labels, 0..1, averaged over channels.

    Args:
        features: (N, C, H, W); variance is taken over all pixels of all images, per channel.
        labels: int64 (N,).
    """
    x = features.double().permute(1, 0, 2, 3).flatten(2)  # (C, N, pixels)
    means, sizes = (
        torch.stack([x[:, labels == label].mean(dim=(1, 2)) for label in labels.unique()]),
        labels.unique(return_counts=True)[1],
    )
    between = ((means - x.mean(dim=(1, 2))).square() * sizes[:, None]).sum(dim=0) / len(labels)
    total = (x - x.mean(dim=(1, 2), keepdim=True)).square().mean(dim=(1, 2))
    return float((between / total.clamp_min(1e-12)).mean())


@torch.no_grad()
def class_shares(gan: GAN, each: int = 32, seed: int = 0) -> dict[str, float]:
    """Return the share that the class explains, per convolution of a class-conditional GP-GAN's generator.

    Args:
        gan: the GAN.
        each: samples per class; all classes share the latents.
        seed: seed of the latents.

    Returns:
        {"G5 conv0": share, ..., "G2 conv1": share}; groups are counted from the image.
    """
    features: list[Tensor] = []
    labels = torch.arange(gan.classes).repeat_interleave(each)
    gan.generator(gan.latents(each, seed).repeat(gan.classes, 1), labels=labels, features=features)
    return _named(dict(reversed(cast(gp_resnet.Generator, gan.generator).counted().items())), features, labels)


@torch.no_grad()
def domain_shares(gan: GAN, sets: Sequence[Images], each: int = 100) -> dict[str, float]:
    """Return the share that the domain explains, per convolution of a GP-GAN's discriminator.

    Args:
        gan: the GAN.
        sets: real images, one set per domain.
        each: images per domain.

    Returns:
        {"D2 conv0": share, ..., "D5 conv1": share}.
    """
    features: list[Tensor] = []
    labels = torch.arange(len(sets)).repeat_interleave(each)
    gan.discriminator(torch.cat([images.tensor()[:each] for images in sets]), features)
    return _named(cast(gp_resnet.Discriminator, gan.discriminator).counted(), features, labels)


def _named(counted: dict[str, list[nn.Module]], features: list[Tensor], labels: Tensor) -> dict[str, float]:
    """Return the share per tapped convolution, named by its group: two per block, without the layer at the image."""
    blocks = {name: len(modules[0]) for name, modules in counted.items() if isinstance(modules[0], nn.ModuleList)}
    names = [f"{name} conv{i}" for name, count in blocks.items() for i in range(2 * count)]
    return {name: explained(feature, labels) for name, feature in zip(names, features, strict=True)}
