"""Adversarial losses and gradient penalties: pure functions of logits, images and latents.

Papers: Goodfellow et al. 2014 (arXiv 1406.2661), Gulrajani et al. 2017 (arXiv 1704.00028), Lim and Ye 2017 (arXiv
1705.02894), Mescheder et al. 2018 (arXiv 1801.04406), Miyato et al. 2018 (arXiv 1802.05957), Karras et al. 2020 (arXiv
1912.04958), Huang et al. 2024 (arXiv 2501.05441). Conventions: logits (N, 1); images (N, C, H, W); each function
returns a scalar, the mean over the batch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshotgan.gans.network import PaperLoss


def logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Return the discriminator's logistic loss of logits (N, 1) (Goodfellow et al. 2014, arXiv 1406.2661, eq. 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def logistic_generator(fake: Tensor) -> Tensor:
    """Return the generator's non-saturating loss of logits (N, 1) (arXiv 1406.2661, section 3)."""
    return F.softplus(-fake).mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Return the discriminator's relativistic loss of paired logits, (N, 1) each (R3GAN, arXiv 2501.05441, eq. 2).

    Each real image is judged against one generated image: softplus(-(D(x) - D(G(z)))), the logistic loss of their
    difference.
    """
    return F.softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Return the generator's relativistic loss of paired logits, (N, 1) each (R3GAN, arXiv 2501.05441, eq. 2)."""
    return F.softplus(real - fake).mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Return the discriminator's hinge loss of logits (N, 1) (SNGAN, arXiv 1802.05957, equation 16)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Return the critic's loss of logits (N, 1), without the penalty (WGAN-GP, arXiv 1704.00028, equation 3)."""
    return fake.mean() - real.mean()


def wasserstein_generator(fake: Tensor) -> Tensor:
    """Return -D(G(z)) of logits (N, 1): the generator's loss against a Wasserstein critic, and in hinge training
    (arXiv 1704.00028, algorithm 1; arXiv 1802.05957, equation 17).
    """
    return -fake.mean()


def interpolates(real: Tensor, fake: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """Return images (N, C, H, W), each at a uniform place on the line between a real and a generated one; they require
    a gradient (WGAN-GP, arXiv 1704.00028, algorithm 1).
    """
    share = torch.rand(len(real), 1, 1, 1, generator=rng, device=real.device)
    return torch.lerp(real, fake, share).detach().requires_grad_()


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Return the mean over the batch of (|d logits / d images| - 1)^2 (WGAN-GP, arXiv 1704.00028, equation 3).

    Two-sided: norms below one are penalised as those above. No weight is included. `images` (N, C, H, W) must require a
    gradient.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    norms: Tensor = gradient.flatten(1).norm(dim=1)
    return (norms - 1).square().mean()


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


@dataclass(frozen=True)
class Adversarial:
    """What the two players minimise, and how they take turns.

    Attributes:
        discriminator, generator: scalar functions of the logits of real and generated images, (N, 1) each.
        paired: whether the generator's loss depends on the real ones.
        lazy_penalty: whether R1 is due by default, now and then, with a step of its own.
        gradient_penalty: weight of WGAN-GP's penalty, which is due at every step of D; 0 for none.
        moves: steps of D for each of G.
        betas: of both players' Adam.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    paired: bool = False
    lazy_penalty: bool = False
    gradient_penalty: float = 0.0
    moves: int = 1
    betas: tuple[float, float] = (0.0, 0.99)


LOSSES = {
    "logistic": Adversarial(logistic_discriminator, lambda _, fake: logistic_generator(fake), lazy_penalty=True),
    "relativistic": Adversarial(relativistic_discriminator, relativistic_generator, paired=True, lazy_penalty=True),
    "hinge": Adversarial(hinge_discriminator, lambda _, fake: wasserstein_generator(fake), betas=(0.0, 0.9)),
    "wgan_gp": Adversarial(
        wasserstein_discriminator,
        lambda _, fake: wasserstein_generator(fake),
        gradient_penalty=10.0,
        moves=5,
        betas=(0.0, 0.9),
    ),
}


def adversarial(name: str, own: PaperLoss) -> Adversarial:
    """Return the loss of that name in `LOSSES`; if it is the family's own, with its paper's turns and betas."""
    loss = LOSSES[name]
    return replace(loss, moves=own.moves, betas=own.betas) if name == own.name else loss
