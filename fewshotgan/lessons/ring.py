"""A ring of eight modes in the plane, which a plain GAN drops in part: what IMLE and a data instance prior do about it.

Papers: Li and Malik, "Implicit Maximum Likelihood Estimation" (2018, arXiv 1809.09087); Mangla et al., "Data InStance
Prior (DISP) in Generative Adversarial Networks" (WACV 2022, arXiv 2012.04256). Networks are perceptrons of two hidden
layers; the feature network of the prior is one without training.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.lessons.figures import maps_figure
from fewshotgan.losses import hinge_discriminator, wasserstein_generator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODES, DEVIATION = 8, 0.05  # of the ring of radius 1
WIDTH, Z_DIM, FEATURE_DIM = 64, 8, 16
BATCH, RATE = 64, 1e-3
POOL, PULLS = 1000, 20  # samples among which IMLE looks for the nearest, and steps with them


def ring_points(n: int, seed: int = 0) -> Tensor:
    """Return points (n, 2), normal about eight places on a circle of radius 1."""
    rng = torch.Generator().manual_seed(seed)
    angles = torch.randint(MODES, (n,), generator=rng) * (2 * torch.pi / MODES)
    return torch.stack([angles.cos(), angles.sin()], dim=1) + DEVIATION * torch.randn(n, 2, generator=rng)


def perceptron(inputs: int, outputs: int) -> nn.Sequential:
    """Return two hidden layers."""
    layers = [nn.Linear(inputs, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(WIDTH, outputs))


class Judge(nn.Module):
    """D(x, c) = psi(phi(x)) + E(c) . phi(x), of points (N, 2) and features (N, FEATURE_DIM)."""

    def __init__(self) -> None:
        super().__init__()
        self.phi, self.psi, self.embedding = perceptron(2, WIDTH), nn.Linear(WIDTH, 1), nn.Linear(FEATURE_DIM, WIDTH)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return logits (N, 1)."""
        h = F.leaky_relu(self.phi(x), 0.2)
        logits: Tensor = self.psi(h) + (self.embedding(c) * h).sum(dim=1, keepdim=True)
        return logits


def train_gan(real: Tensor, steps: int, prior: bool, seed: int = 0, samples: int = 1000) -> Tensor:
    """Train a GAN on real points (n, 2) by the hinge loss; return points (samples, 2) that it draws.

    With `prior`, features of a real point condition G and D, and a sample has those of a random real point; without,
    features are zero.
    """
    torch.manual_seed(seed)
    describe = perceptron(2, FEATURE_DIM)
    with torch.no_grad():
        features = F.normalize(describe(real) - describe(real).mean(dim=0), dim=1) * float(prior)
    generator, judge = perceptron(Z_DIM + FEATURE_DIM, 2), Judge()
    players = [torch.optim.Adam(network.parameters(), RATE, betas=(0.0, 0.9)) for network in (judge, generator)]

    def drawn(c: Tensor) -> Tensor:
        points: Tensor = generator(torch.cat([torch.randn(len(c), Z_DIM), c], dim=1))
        return points

    for _ in range(steps):
        which = torch.randint(len(real), (BATCH,))
        x, c = real[which], features[which]
        for player, optimiser in zip((judge, generator), players, strict=True):
            fake = drawn(c)
            if player is judge:
                loss = hinge_discriminator(judge(x, c), judge(fake.detach(), c))
            else:
                loss = wasserstein_generator(judge(fake, c))
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
    with torch.no_grad():
        return drawn(features[torch.randint(len(real), (samples,))])


def train_imle(real: Tensor, steps: int, seed: int = 0, samples: int = 1000) -> Tensor:
    """Train a generator by IMLE: the nearest of many samples to each real point is pulled towards it, for some steps
    before new ones are drawn; return points (samples, 2).
    """
    torch.manual_seed(seed)
    generator = perceptron(Z_DIM, 2)
    optimiser = torch.optim.Adam(generator.parameters(), RATE)
    for step in range(steps):
        if step % PULLS == 0:
            pool = torch.randn(POOL, Z_DIM)
            with torch.no_grad():
                nearest = pool[torch.cdist(real, generator(pool)).argmin(dim=1)]
        optimiser.zero_grad()
        torch.autograd.backward((generator(nearest) - real).square().sum(dim=1).mean())
        optimiser.step()
    with torch.no_grad():
        points: Tensor = generator(torch.randn(samples, Z_DIM))
        return points


def near_modes(points: Tensor) -> Tensor:
    """Return the share of points (N, 2) within four standard deviations of each of the eight modes, (8,)."""
    angles = torch.arange(MODES) * (2 * torch.pi / MODES)
    near = torch.cdist(points, torch.stack([angles.cos(), angles.sin()], dim=1)) < 4 * DEVIATION
    return near.float().mean(dim=0)


def modes_kept(points: Tensor, share: float = 0.02) -> int:
    """Return how many of the eight modes have at least this share of points (N, 2) near them; an even one is 0.125."""
    return int((near_modes(points) >= share).sum())


def ring_figure(real: Tensor, drawn: Mapping[str, Tensor]) -> "Figure":
    """Return a figure of real points (n, 2) with those that each generator draws, how many modes it keeps, and how many
    of its points are near one.
    """
    panels = {}
    for name, points in drawn.items():
        title = f"{name}: {modes_kept(points)} of {MODES} modes,\n{near_modes(points).sum():.0%} of the points near one"
        panels[title] = {"real points": real.numpy(), "drawn": points.numpy()}
    return maps_figure(panels, ("x", "y"))
