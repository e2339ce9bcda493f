"""Layers of BigGAN (`gans/biggan.py`) and BigGAN-deep (`gans/biggan_deep.py`): class vectors, conditional norms and
self-attention.

Papers: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (ICLR 2019, arXiv
1809.11096), appendix B; Zhang et al., "Self-Attention Generative Adversarial Networks" (ICML 2019, arXiv 1805.08318),
section 3.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.gans.layers import Layer, Row, Stack
from fewshotgan.gans.spectral import SpectralConv2d, SpectralLinear

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


class FeatureVectors(Layer):
    """What features of images add to the class's vector, linear in them (Data Instance Prior, arXiv 2012.04256): (N,
    feature_dim) -> (N, size); zero at the start.
    """

    def __init__(self, feature_dim: int, size: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(feature_dim, size))

    def forward(self, features: Tensor) -> Tensor:
        """Return the vectors (N, size) of features (N, feature_dim)."""
        return features @ self.table


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

    def forward(self, x: Tensor, truncation: float | Tensor = 1.0) -> Tensor:
        """Normalise (N, C, H, W): by the batch in training, else by the statistics of the truncation, 0 to 1."""
        if self.training or self.statistics == 1 or (not isinstance(truncation, Tensor) and truncation == 1.0):
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None  # statistics are tracked
        mean = self.running_mean + self.between(self.mean_offset, truncation)
        var = self.running_var * self.between(self.var_ratio, truncation)
        return F.batch_norm(x, mean, var, self.weight, self.bias, eps=self.eps)

    def between(self, table: Tensor, truncation: float | Tensor) -> Tensor:
        """Return the row (C,) of a table (statistics, C) at a truncation."""
        place = torch.as_tensor(truncation, dtype=torch.float64, device=table.device) * (self.statistics - 1)
        row = place.long()
        fraction, before, after = (place - row).to(table), table[row], table[(row + 1).clamp(max=self.statistics - 1)]
        return torch.where(fraction == 0, before, before * fraction + after * (1 - fraction))


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

    def forward(self, x: Tensor, condition: Tensor, truncation: float | Tensor = 1.0) -> Tensor:
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
