"""Adversarial losses and gradient penalties: pure functions of logits, images and latents.

Papers: Goodfellow et al. 2014 (arXiv 1406.2661), Mescheder et al. 2018 (arXiv 1801.04406), Karras et al. 2020 (arXiv
1912.04958). Conventions: logits (N, 1); images (N, C, H, W); each function returns a scalar, the mean over the batch.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Return the discriminator's logistic loss of logits (N, 1) (Goodfellow et al. 2014, arXiv 1406.2661, eq. 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def logistic_generator(fake: Tensor) -> Tensor:
    """Return the generator's non-saturating loss of logits (N, 1) (arXiv 1406.2661, section 3)."""
    return F.softplus(-fake).mean()


def r1_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Return the mean over the batch of |d logits / d images|^2 (Mescheder et al. 2018, arXiv 1801.04406, eq. 9).

    No factor 1/2 is included: the caller states gamma / 2. `images` (N, C, H, W) must require a gradient.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def path_lengths(images: Tensor, w: Tensor, noise: Tensor) -> Tensor:
    """Return the lengths (N,) of J_w^T y, y the image-shaped `noise` over sqrt(H W) (StyleGAN2, arXiv 1912.04958, eq.
    4).

    `w` (N, num_ws, w_dim) must require a gradient; the length is the root of the mean over layers of the squared
    norm.
    """
    scaled = (images * noise).sum() / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad(scaled, w, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def path_length_penalty(lengths: Tensor, average: Tensor) -> Tensor:
    """Return the mean squared deviation of lengths (N,) from their running average, a scalar (arXiv 1912.04958, eq.
    4).
    """
    return (lengths - average).square().mean()
