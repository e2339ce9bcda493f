"""An independent critic: a network trained afresh to tell generated from held-out real images, and asked about images
it has not seen.

Paper: Danihelka et al., "Comparison of Maximum Likelihood and GAN-based training of Real NVPs" (arXiv 1705.05263),
section on the independent Wasserstein critic: its value on validation images is an estimate from below of the
Wasserstein distance, up to the constant by which the critic is Lipschitz; on the training images it also measures how
much the critic learned by heart. Trained as in WGAN-GP (Gulrajani et al., arXiv 1704.00028, equation 3).

Differs: in the paper the split is of real images; here generated images are split too, so that no image is in both
halves. The network is a small convolutional one without norms.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import log2

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.metrics.metric import Comparison, Metric

LEAST = 8  # images of a kind: half of them train
PENALTY = 10.0
ITERATIONS = 200  # of `iw`: two sets of real coats then differ by 0 +- 1, a GAN's samples and real ones by 17 to 22
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Verdict:
    """What the critic says: mean of real minus mean of generated images, on those it trained on and on those it has
    not seen.
    """

    training: float
    validation: float


def independent_critic(
    real: Tensor, fake: Tensor, *, iterations: int = 400, batch: int = 32, width: int = 16, seed: int = 0
) -> Verdict:
    """Train a critic on half of real and generated images (N, C, H, W), -1..1, and judge the other halves; small values
    are better.

    Args:
        real: held-out images, which no GAN has seen.
        fake: generated images.
        iterations: optimiser steps.
        batch: images of each kind in a step.
        width: channels of the critic's first layer.
        seed: of the split, the weights and the batches.

    Raises:
        UserError: if the images differ in size, or there are fewer than eight of a kind.
    """
    if real.shape[1:] != fake.shape[1:]:
        sizes = f"real ones are {tuple(real.shape[1:])}, generated {tuple(fake.shape[1:])}"
        raise UserError(f"The critic compares images of one size: {sizes}.")
    if min(len(real), len(fake)) < LEAST:
        raise UserError(
            f"{len(real)} real and {len(fake)} generated images are too few for a critic; "
            f"give at least {LEAST} of each."
        )
    rng = torch.Generator().manual_seed(seed)
    halves = [x[torch.randperm(len(x), generator=rng)].tensor_split([(len(x) + 1) // 2]) for x in (real, fake)]
    critic = _network(real.shape[1], real.shape[2], width, seed).to(real.device)
    optimiser = torch.optim.Adam(critic.parameters(), lr=3e-3, betas=(0.5, 0.9))
    for _ in range(iterations):
        a, b = (half[torch.randint(len(half), (batch,), generator=rng)] for half, _ in halves)
        optimiser.zero_grad()
        (critic(b).mean() - critic(a).mean() + PENALTY * gradient_penalty(critic, a, b, rng)).backward()
        optimiser.step()
    critic.requires_grad_(False)
    values = [float(critic(halves[0][k]).mean() - critic(halves[1][k]).mean()) for k in range(2)]
    return Verdict(*values)


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """Return the mean over the batch of (|d critic / d x| - 1)^2 at random points between pairs of images (WGAN-GP's
    equation 3).
    """
    share = torch.rand(len(real), 1, 1, 1, generator=rng).to(real)
    between = torch.lerp(real, fake, share).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    lengths: Tensor = gradient.flatten(1).norm(dim=1)
    return (lengths - 1).square().mean()


class _Critic(nn.Module):
    """Strided convolutions down to 4 pixels, then a linear layer: (N, C, H, W) -> (N, 1)."""

    def __init__(self, channels: int, side: int, width: int) -> None:
        super().__init__()
        sizes = [channels, *(min(width << i, 8 * width) for i in range(int(log2(side)) - 2))]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(sizes))
        self.out = nn.Linear(sizes[-1] * (side >> len(self.convs)) ** 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        logits: Tensor = self.out(x.flatten(1))
        return logits


def _network(channels: int, side: int, width: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _Critic(channels, side, width)


def _iw(images: Comparison) -> float:
    """Return the mean over seeds of what an independent critic says of images that it has not seen."""
    real = images.real.pixels.float() / 127.5 - 1
    found = [independent_critic(real, images.fake, iterations=ITERATIONS, seed=seed).validation for seed in SEEDS]
    return sum(found) / len(found)


METRICS = (
    Metric(
        "iw",
        _iw,
        direction="low",
        digits=2,
        version=1,
        units="difference of a critic's means, mean over three critics",
        range="about 0, where the critic can't tell them apart, to the distance between images as vectors",
        source="Danihelka et al. 2017, arXiv 1705.05263, as TransferGAN uses it (arXiv 1805.01677, section 4)",
        is_distance=True,
        is_ratio=False,
    ),
)
