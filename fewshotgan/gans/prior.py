"""What turns standard normal numbers into a generator's latents: nothing, a truncation, a miner, or features of images.

Every generator has a prior before its first layer, named in its configuration, so that what a method learned about the
latents is saved, loaded, sampled and interpolated like any other weight. Whoever samples draws standard normal numbers
u, as always.

- none: the latents are u.
- "truncated": normal numbers cut at +-limit, as BSA samples (arXiv 1904.01774).
- "miner": the multilayer perceptrons of MineGAN (arXiv 1912.05270): u -> M(u), and the weights of the classes of a
  class-conditional generator from the same u, or, where these share an embedding as in BigGAN, a vector in its place.
- "instances": the memory of Data Instance Prior (arXiv 2012.04256): beside the latents, features of a real image, drawn
  by a few numbers that u has more.
"""

from itertools import pairwise
from typing import Literal, NotRequired, TypeAlias, TypedDict

import torch
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans.layers import Layer
from fewshotgan.gans.spectral import SpectralLinear

Sampling: TypeAlias = Literal["bank", "neighbours", "gaussian"]
NEIGHBOURS = 3  # of a row, with which "neighbours" mixes it


class PriorConfig(TypedDict):
    """How a configuration names a prior: {"kind": "truncated", "limit": 0.3}, {"kind": "miner"}, or {"kind":
    "instances"} with the arguments of `Instances`.
    """

    kind: Literal["truncated", "miner", "instances"]
    limit: NotRequired[float]
    network: NotRequired[str]
    size: NotRequired[int]
    feature_dim: NotRequired[int]
    rows: NotRequired[int]
    sampling: NotRequired[Sampling]


class Prior(Layer):
    """The latents are the standard normal numbers themselves.

    Attributes:
        extra: how many numbers u has more than the latents.
        feature_dim: size of the features that it draws beside them; 0 for none.
    """

    extra = 0
    feature_dim = 0

    def forward(self, u: Tensor) -> Tensor:
        """Return latents (N, z_dim) of standard normal numbers u (N, z_dim)."""
        return u

    def labels(self, u: Tensor) -> Tensor | None:
        """Return the weights of the classes (N, classes), each row of sum 1, or vectors (N, embed) in the place of
        the classes', or features of images (N, feature_dim), or None where the prior says nothing of the like.
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


class Instances(Prior):
    """Features of real images beside the latents: u (N, z_dim + extra) -> latents (N, z_dim), features (N,
    feature_dim).

    A row of the memory stands for an image, or for a cluster of images. "bank" draws a row; "neighbours" a convex
    mixture of a row and one of its nearest; "gaussian" a row and normal noise around it, of which the memory has the
    spread. The first number of `extra` chooses the row, by rank, so that near stays near where rows are in order.

    Args:
        z_dim: size of the latents.
        network: what described the images, for those who want to describe more.
        size: of what it says of an image.
        feature_dim: of the features that are left of that.
        rows: of the memory.
        sampling: "bank", "neighbours" or "gaussian".
        limit: at which latents are cut, if they are.
    """

    bank: Tensor
    shares: Tensor
    spread: Tensor
    centre: Tensor
    projection: Tensor

    def __init__(
        self, z_dim: int, network: str, size: int, feature_dim: int, rows: int, sampling: Sampling, limit: float = 0.0
    ) -> None:
        super().__init__()
        self.z_dim, self.feature_dim, self.sampling = z_dim, feature_dim, sampling
        self.network, self.size = network, size
        self.extra = {"bank": 1, "neighbours": 3, "gaussian": 1 + feature_dim}[sampling]
        self.latent = Truncated(limit) if limit else Prior()
        self.register_buffer("bank", torch.zeros(rows, feature_dim))
        self.register_buffer("shares", torch.full((rows,), 1 / rows))  # probabilities of the rows
        self.register_buffer("spread", torch.zeros(feature_dim))  # standard deviations about a row
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("projection", torch.zeros(size, feature_dim))

    def forward(self, u: Tensor) -> Tensor:
        """Return latents (N, z_dim) of normal numbers (N, z_dim), or of those with more behind them."""
        latents: Tensor = self.latent(u[:, : self.z_dim])
        return latents

    def labels(self, u: Tensor) -> Tensor:
        """Return features (N, feature_dim) of normal numbers u (N, z_dim + extra)."""
        drawn = u[:, self.z_dim :]
        found = self.bank[self.rows(drawn[:, 0])]
        if self.sampling == "neighbours":
            return torch.lerp(found, self.near(found, drawn[:, 1]), torch.special.ndtr(drawn[:, 2:]))
        return found + self.spread * drawn[:, 1:] if self.sampling == "gaussian" else found

    def rows(self, numbers: Tensor) -> Tensor:
        """Return the rows (N,) that normal numbers (N,) choose, each as often as its share."""
        limits = self.shares.cumsum(dim=0)  # in single precision, in which ONNX knows the error function
        above: Tensor = torch.special.ndtr(numbers)[:, None] * limits[-1] > limits[:-1]
        return above.sum(dim=1)

    def near(self, features: Tensor, numbers: Tensor) -> Tensor:
        """Return a row (N, feature_dim) near to features that are rows: themselves or one of their nearest."""
        squared = self.bank.square().sum(dim=1) - 2 * features @ self.bank.T  # up to what is the same for all rows
        nearest = squared.topk(min(NEIGHBOURS + 1, self.bank.shape[0]), largest=False).indices
        which = (torch.special.ndtr(numbers) * nearest.shape[1]).long().clamp(max=nearest.shape[1] - 1)
        return self.bank[nearest.gather(1, which[:, None]).squeeze(1)]

    def condense(self, described: Tensor) -> Tensor:
        """Return features (N, feature_dim) of what the network says of images, (N, size).

        Raises:
            UserError: for another size.
        """
        if described.shape[1:] != self.centre.shape:
            raise UserError(
                f"These features have {described.shape[-1]} numbers, and this GAN was trained on {self.size} by "
                f"{self.network}: compute them by the same network."
            )
        return (described.to(self.centre) - self.centre) @ self.projection


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
    if config["kind"] == "instances":
        return Instances(z_dim, **{key: value for key, value in config.items() if key != "kind"})  # type: ignore[arg-type]
    raise ValueError(f"there is no prior {config['kind']!r}")


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Interpolate between two latents (z_dim,) along the great circle; t in 0..1."""
    angle = torch.arccos((a @ b / (a.norm() * b.norm())).clamp(-0.9999, 0.9999))
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
