"""What turns standard normal numbers into a generator's latents: nothing, a truncation, or a miner.

Every generator has a prior before its first layer, named in its configuration, so that what a method learned about the
latents is saved, loaded, sampled and interpolated like any other weight. Whoever samples draws standard normal numbers
u, as always.

- none: the latents are u.
- "truncated": normal numbers cut at +-limit, as BSA samples (arXiv 1904.01774).
- "miner": the multilayer perceptrons of MineGAN (arXiv 1912.05270): u -> M(u), and the weights of the classes of a
  class-conditional generator from the same u, or, where these share an embedding as in BigGAN, a vector in its place.
"""

from itertools import pairwise
from typing import Literal, NotRequired, TypedDict

import torch
from torch import Tensor, nn

from fewshotgan.gans.layers import Layer
from fewshotgan.gans.spectral import SpectralLinear


class PriorConfig(TypedDict):
    """How a configuration names a prior: {"kind": "truncated", "limit": 0.3} or {"kind": "miner"}."""

    kind: Literal["truncated", "miner"]
    limit: NotRequired[float]


class Prior(Layer):
    """The latents are the standard normal numbers themselves."""

    def forward(self, u: Tensor) -> Tensor:
        """Return latents (N, z_dim) of standard normal numbers u (N, z_dim)."""
        return u

    def labels(self, u: Tensor) -> Tensor | None:
        """Return the weights of the classes (N, classes), each row of sum 1, or vectors (N, embed) in the place of
        the classes', or None where the prior says nothing about classes.
        """
        return None


class Truncated(Prior):
    """Normal numbers cut at +-limit: each u goes to the number of the same rank, so that near stays near."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, u: Tensor) -> Tensor:
        """Return latents (N, z_dim) within +-limit."""
        low = torch.special.ndtr(torch.tensor(-self.limit, dtype=torch.float64))
        rank = low + (1 - 2 * low) * torch.special.ndtr(u.double())
        latents: Tensor = torch.special.ndtri(rank).to(u.dtype)
        return latents


class Miner(Prior):
    """MineGAN's miner, M: u -> z, two linear layers with a ReLU between them, and a second one for the classes, if
    there are any.

    Differs: the paper does not specify the miner's initialisation; here latents have unit variance at the start, the
    scale that the generator knows. The released BigGAN version puts out one embedding for all layers, through linear
    layers without nonlinearity; a generator whose norms have an embedding each has no such vector, so that here the
    miner mixes the classes, by softmax.
    """

    def __init__(self, z_dim: int, classes: int = 0) -> None:
        super().__init__()
        self.latent = perceptron(z_dim, z_dim)
        self.condition = perceptron(z_dim, classes) if classes else None

    def forward(self, u: Tensor) -> Tensor:
        """Return mined latents (N, z_dim)."""
        latents: Tensor = self.latent(u)
        return latents

    def labels(self, u: Tensor) -> Tensor | None:
        """Return mined weights of the classes (N, classes)."""
        if self.condition is None:
            return None
        weights: Tensor = self.condition(u).softmax(dim=1)
        return weights


class EmbeddingMiner(Miner):
    """The miner of MineGAN's BigGAN version: a vector in the place of the classes' shared embedding, from the same u as
    the latents.

    Both are chains of four linear layers with spectral norm and, as in the released code, no nonlinearity. They are
    orthogonal at the start, so that latents then have unit variance.
    """

    def __init__(self, z_dim: int, classes: int, embed: int) -> None:
        super().__init__(z_dim)
        self.latent = chain(z_dim, z_dim)
        self.condition = chain(z_dim, embed) if classes else None

    def labels(self, u: Tensor) -> Tensor | None:
        """Return mined vectors (N, embed) in the place of the classes'."""
        if self.condition is None:
            return None
        vectors: Tensor = self.condition(u)
        return vectors


def chain(inputs: int, outputs: int) -> nn.Sequential:
    """Return four linear layers with spectral norm in a row."""
    sizes = [inputs] * 4 + [outputs]
    return nn.Sequential(*(SpectralLinear(a, b, fresh=True, orthogonal=True) for a, b in pairwise(sizes)))


def perceptron(inputs: int, outputs: int) -> nn.Sequential:
    """Return linear, ReLU, linear; standard normal inputs give outputs of unit variance at the start (arXiv
    1502.01852).
    """
    first, second = nn.Linear(inputs, inputs), nn.Linear(inputs, outputs)
    nn.init.normal_(first.weight, std=inputs**-0.5)
    nn.init.normal_(second.weight, std=(2 / inputs) ** 0.5)
    nn.init.zeros_(first.bias)
    nn.init.zeros_(second.bias)
    return nn.Sequential(first, nn.ReLU(), second)


def make_prior(config: PriorConfig | None, z_dim: int, classes: int = 0, embed: int = 0) -> Prior:
    """Return the prior of a configuration, None for standard normal latents, before a generator whose classes share an
    embedding of `embed` numbers, or have none (0).

    Raises:
        ValueError: for another kind.
    """
    if config is None:
        return Prior()
    if config["kind"] == "truncated":
        return Truncated(config["limit"])
    if config["kind"] == "miner":
        return EmbeddingMiner(z_dim, classes, embed) if embed else Miner(z_dim, classes)
    raise ValueError(f"there is no prior {config['kind']!r}")


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Interpolate between two latents (z_dim,) along the great circle; t in 0..1."""
    angle = torch.arccos((a @ b / (a.norm() * b.norm())).clamp(-0.9999, 0.9999))
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
