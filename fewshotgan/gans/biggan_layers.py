"""What BigGAN (`gans/biggan.py`) and BigGAN-deep (`gans/biggan_deep.py`) share: class vectors, conditional norms,
self-attention, and all of the networks but their blocks.

Papers: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (ICLR 2019, arXiv
1809.11096), appendix B; Zhang et al., "Self-Attention Generative Adversarial Networks" (ICML 2019, arXiv 1805.08318),
section 3; Miyato and Koyama, "cGANs with Projection Discriminator" (ICLR 2018, arXiv 1802.05637), equation 3.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.gans import network
from fewshotgan.gans.layers import Layer, Row, Stack
from fewshotgan.gans.prior import PriorConfig
from fewshotgan.gans.spectral import SpectralConv2d, SpectralEmbedding, SpectralLinear

Blocks = Stack[Row[Layer]]
"""The layers of each side in a row: residual blocks, each followed by self-attention where there is some."""


class ClassVectors(Layer):
    """The shared embedding: a vector for each class, or a single one where there are no classes."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.table = nn.Parameter(nn.init.orthogonal_(torch.empty(max(classes, 1), size)))

    def forward(self, labels: Tensor) -> Tensor:
        """Return the vectors (N, size) of labels (N,)."""
        return self.table[labels]


class StandingNorm(nn.BatchNorm2d):
    """Batch norm whose running statistics may depend on the truncation of the latents.

    Hugging Face's networks store statistics at evenly spaced truncations from 0 to 1. Here the running ones are those
    of 1, and the others are kept as differences and ratios to them, so that they follow when training moves these.
    Between two truncations each gets the other's weight, as there.

    Args:
        channels: of which there are.
        eps: added to the variances.
        affine: whether a scale and a shift of each channel follow.
        statistics: number of truncations; 1 for statistics that hold for all.
    """

    def __init__(self, channels: int, eps: float, affine: bool, statistics: int = 1) -> None:
        super().__init__(channels, eps=eps, affine=affine)
        self.statistics = statistics
        if statistics > 1:
            self.mean_offset: Tensor
            self.var_ratio: Tensor
            self.register_buffer("mean_offset", torch.zeros(statistics, channels))
            self.register_buffer("var_ratio", torch.ones(statistics, channels))

    def forward(self, x: Tensor, truncation: float = 1.0) -> Tensor:
        """Normalise (N, C, H, W): by the batch in training, else by the statistics of the truncation, 0 to 1."""
        if self.training or self.statistics == 1 or truncation == 1.0:
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None  # statistics are tracked
        mean = self.running_mean + self.between(self.mean_offset, truncation)
        var = self.running_var * self.between(self.var_ratio, truncation)
        return F.batch_norm(x, mean, var, self.weight, self.bias, eps=self.eps)

    def between(self, table: Tensor, truncation: float) -> Tensor:
        """Return the row (C,) of a table (statistics, C) at a truncation."""
        fraction, row = math.modf(truncation * (self.statistics - 1))
        if fraction == 0.0:
            return table[int(row)]
        return table[int(row)] * fraction + table[int(row) + 1] * (1 - fraction)


class ConditionalNorm(Layer):
    """Batch norm whose scale and shift are linear in a condition: x (N, C, H, W), condition (N, size) -> (N, C, H, W).

    Args:
        norm: normalises, without a scale and a shift of its own.
        scale: of the channels, from the condition; 1 is added.
        shift: likewise.
    """

    def __init__(self, norm: StandingNorm, scale: nn.Module, shift: nn.Module) -> None:
        super().__init__()
        self.norm, self.scale, self.shift = norm, scale, shift

    def forward(self, x: Tensor, condition: Tensor, truncation: float = 1.0) -> Tensor:
        """Normalise, then scale and shift each image by its condition."""
        scale, shift = 1 + self.scale(condition), self.shift(condition)
        normed: Tensor = self.norm(x, truncation)
        y: Tensor = normed * scale[:, :, None, None] + shift[:, :, None, None]
        return y


@dataclass(frozen=True)
class Maker:
    """Makes a generator's layers, by the conventions of the code that trained it.

    Attributes:
        condition: size of what drives the norms.
        shared: whether it holds the shared embedding, and maps to scales and shifts with spectral norm.
        eps: of the batch norms.
        fresh: whether spectral norm iterates in evaluation too.
        statistics: number of truncations that have statistics of their own.
    """

    condition: int
    shared: bool = True
    eps: float = 1e-5
    fresh: bool = True
    statistics: int = 1

    def norm(self, channels: int) -> ConditionalNorm:
        """Return a conditional norm."""
        norm = StandingNorm(channels, self.eps, affine=False, statistics=self.statistics)
        return ConditionalNorm(norm, self.modulation(channels), self.modulation(channels))

    def modulation(self, channels: int) -> nn.Module:
        """Return the linear layer from the condition to the channels' scales or shifts."""
        if self.shared:
            return SpectralLinear(self.condition, channels, self.fresh, orthogonal=True, bias=False)
        linear = nn.Linear(self.condition, channels, bias=False)
        nn.init.orthogonal_(linear.weight)
        return linear

    def conv(self, in_channels: int, out_channels: int, kernel: int) -> SpectralConv2d:
        """Return a convolution."""
        return conv(in_channels, out_channels, kernel, fresh=self.fresh)

    def attention(self, channels: int) -> "Attention":
        """Return self-attention."""
        return Attention(channels, self.fresh)


def conv(in_channels: int, out_channels: int, kernel: int, bias: bool = True, fresh: bool = True) -> SpectralConv2d:
    """Return a convolution with spectral norm, orthogonal at the start."""
    return SpectralConv2d(in_channels, out_channels, kernel, gain=1.0, fresh=fresh, orthogonal=True, bias=bias)


class Attention(Layer):
    """Self-attention, x + gamma o(v softmax(q^T k)), as in the released code of SAGAN: (N, C, H, W) -> (N, C, H, W).

    Queries are of all positions, keys and values of each two by two; gamma is zero at the start.
    """

    def __init__(self, channels: int, fresh: bool = True) -> None:
        super().__init__()
        few, half = max(channels // 8, 1), max(channels // 2, 1)
        self.query, self.key = (conv(channels, few, 1, bias=False, fresh=fresh) for _ in range(2))
        self.value = conv(channels, half, 1, bias=False, fresh=fresh)
        self.out = conv(half, channels, 1, bias=False, fresh=fresh)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Let each position add what it finds at the others."""
        queries = self.query(x).flatten(2)  # (N, C / 8, H W)
        keys = F.max_pool2d(self.key(x), 2).flatten(2)  # (N, C / 8, H W / 4)
        values = F.max_pool2d(self.value(x), 2).flatten(2)  # (N, C / 2, H W / 4)
        found = values @ (queries.transpose(1, 2) @ keys).softmax(dim=2).transpose(1, 2)
        return x + self.gamma * self.out(found.reshape(*found.shape[:2], *x.shape[2:]))


class ChannelAffine(Layer):
    """A scale and a shift for each channel, which BSA trains: (N, C, H, W) -> (N, C, H, W); the identity at the
    start.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift."""
        return x * self.scale[:, None, None] + self.shift[:, None, None]


def check_attention(attention: Sequence[int], sides: Iterable[int]) -> None:
    """Raise ValueError for self-attention at a side that no block puts out."""
    unknown = sorted(set(attention) - set(sides))
    if unknown:
        raise ValueError(f"attention reads maps of {', '.join(map(str, sorted(set(sides))))} pixels, not of {unknown}")


def upsample(x: Tensor) -> Tensor:
    """Double the size of (N, C, H, W) by repeating pixels."""
    return F.interpolate(x, scale_factor=2)


class Generator(network.Generator):
    """What both generators share; each file makes the blocks.

    Args:
        resolution: side of the images.
        channels: 1 (grey) or 3 (colour).
        z_dim: size of the latents z.
        classes: number of classes; without, one vector, which trains as well, stands for them all.
        embed: size of the shared embedding; 0 for norms that have a scale and a shift for each class instead.
        prior: what turns standard normal numbers into latents (`gans/prior.py`).
        inputs: numbers that the first layer reads.
        ends: feature channels at 4 pixels and before the image.
        make: makes the layers.
        blocks: the layers of each side.
        affine: whether a scale and a shift for each channel follow the first layer, for BSA.
        planes: outputs of the last convolution, of which the first `channels` are the image.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        z_dim: int,
        classes: int,
        embed: int,
        prior: PriorConfig | None,
        *,
        inputs: int,
        ends: tuple[int, int],
        make: Maker,
        blocks: Blocks,
        affine: bool,
        planes: int | None = None,
    ) -> None:
        super().__init__(resolution, channels, z_dim, classes, prior, embed)
        self.shared = ClassVectors(classes, embed) if embed else None
        self.dense = SpectralLinear(inputs, ends[0] * 16, make.fresh, orthogonal=True)
        self.affine = ChannelAffine(ends[0]) if affine else None
        self.blocks = blocks
        self.norm = StandingNorm(ends[1], make.eps, affine=True, statistics=make.statistics)
        self.to_image = make.conv(ends[1], planes or channels, 3)

    @property
    def truncates(self) -> bool:
        """Yes, towards the latent zero."""
        return True

    def groups(self) -> network.Groups:
        """Return the modules by name, from the latents to the image: "4" (with the shared embedding and the first
        layer), "8", ...
        """
        groups: network.Groups = {"4": [m for m in (self.shared, self.dense, self.affine) if m is not None]}
        for side, row in self.blocks.items():
            groups.setdefault(side, []).append(row)
        groups[str(self.resolution)] += [self.norm, self.to_image]
        return groups

    def conditions(self, z: Tensor, y: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return what the first layer reads, and what drives the norms of each side, of latents (N, z_dim) and the
        classes' vectors (N, size).
        """
        raise NotImplementedError

    def forward(
        self,
        z: Tensor,
        *,
        labels: Tensor | None = None,
        mix: Tensor | None = None,
        mix_from: int = 0,
        truncation: float = 1.0,
        noise: str | None = None,
        rng: torch.Generator | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Generate images, -1..1, as `network.Generator.forward`.

        Args:
            z: latents (N, z_dim), standard normal.
            labels: classes (N,), or vectors in the place of theirs (N, embed); without a shared embedding weights of
                the classes (N, classes). By default a miner's, if the prior is one.
            mix: refused.
            mix_from: without effect.
            truncation: latents are drawn towards zero by this factor.
            noise: without effect.
            rng: likewise.
            features: collects the 4-pixel map and the output of each side's blocks.

        Raises:
            UserError: if the generator is class-conditional and has no labels, or isn't and has some, or for `mix`.
        """
        features = [] if features is None else features
        y = self.class_vectors(z, labels)
        self.check_options(mix, truncation)
        first, conditions = self.conditions(self.prior(z) * truncation, y)
        x: Tensor = self.dense(first).view(len(z), -1, 4, 4)
        features.append(x if self.affine is None else self.affine(x))
        for side, row in self.blocks.items():
            x = features[-1]
            for layer in row:
                x = layer(x) if isinstance(layer, Attention) else layer(x, conditions[side], truncation)
            features.append(x)
        x = self.to_image(F.relu(self.norm(features[-1], truncation)))
        return torch.tanh(x[:, : self.channels])

    def class_vectors(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return the vectors (N, size) of labels as `forward` takes them."""
        given = self.condition(z, labels)
        if given is None:
            given = torch.zeros(len(z), dtype=torch.long, device=z.device)
        if given.is_floating_point():
            return given
        return F.one_hot(given, max(self.classes, 1)).to(z) if self.shared is None else self.shared(given)

    def mean_class(self) -> network.StateDict:
        """Return the state dict of the unconditional network, whose vector is the mean of the classes'."""
        state = self.state_dict()
        if self.shared is not None:
            return {**state, "shared.table": state["shared.table"].mean(dim=0, keepdim=True)}
        modulations = [key for key in state if key.endswith((".scale.weight", ".shift.weight"))]
        return {**state, **{key: state[key].mean(dim=1, keepdim=True) for key in modulations}}


class Discriminator(network.Discriminator):
    """What both discriminators share; each file makes the blocks.

    Args:
        resolution: side of the images.
        channels: 1 (grey) or 3 (colour).
        classes: number of classes, 0 for none.
        width: of the last features.
        blocks: the layers of each side.
    """

    def __init__(self, resolution: int, channels: int, classes: int, width: int, blocks: Blocks) -> None:
        super().__init__(resolution, channels, classes)
        self.blocks = blocks
        self.out = SpectralLinear(width, 1, fresh=True, orthogonal=True)
        self.embedding = SpectralEmbedding((classes, width), fresh=True, orthogonal=True) if classes else None

    def groups(self) -> network.Groups:
        """Return the modules by name, from the image to the logit: "64", "32", ..., "4" (with the last layers).

        A block's name is the side of the map that it reads, if every block but one at 4 pixels halves.
        """
        groups: network.Groups = {side: [row] for side, row in self.blocks.items()}
        groups.setdefault("4", []).extend([self.out] if self.embedding is None else [self.out, self.embedding])
        return groups

    def forward(self, x: Tensor, features: list[Tensor] | None = None, *, labels: Tensor | None = None) -> Tensor:
        """Return logits (N, 1) of images (N, channels, H, W).

        `features` collects the output of each side's blocks. Of a class-conditional discriminator, `labels` (N,), or
        weights (N, classes), add the projection of the class (arXiv 1802.05637, equation 3); without them it judges the
        image alone.
        """
        self.check_labels(labels)
        h = F.relu(self.trunk(x, 2, features)).sum(dim=(2, 3))
        logits = self.out(h)
        if labels is None or self.embedding is None:
            return logits
        return logits + (self.embedding(labels) * h).sum(dim=1, keepdim=True)

    def trunk(self, x: Tensor, side: int, features: list[Tensor] | None = None) -> Tensor:
        """Return what the blocks above `side` pixels make of images, (N, C, side, side) if every block halves."""
        for name, row in self.blocks.items():
            if int(name) > side:
                for layer in row:
                    x = layer(x)
                if features is not None:
                    features.append(x)
        return x

    def mean_class(self) -> network.StateDict:
        """Return the state dict of the unconditional network, which judges the image alone, as this one does without
        labels.
        """
        return {key: value for key, value in self.state_dict().items() if not key.startswith("embedding")}
