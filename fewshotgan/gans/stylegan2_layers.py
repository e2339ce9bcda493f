"""The layers of StyleGAN2: modulated convolutions and the blocks of both networks (arXiv 1912.04958, sections 2 and
4.1).

Differs from the official code in how, not in what, it computes: the modulated convolution (section 2.2) scales the
activations around one convolution shared by the batch instead of building a weight per sample.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.gans.layers import GAIN, LEAK, EqualConv2d, EqualLinear, Layer, depthwise, fir_kernel


class ModulatedConv2d(Layer):
    """Convolution modulated by a style, with demodulation (section 2.2, equations 1 to 3).

    (N, in, H, W) and w (N, w_dim) -> (N, out, H, W), twice the size with `up`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, w_dim: int, up: bool = False, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.affine = EqualLinear(w_dim, in_channels, bias=1.0)
        self.scale = 1 / math.sqrt(in_channels * kernel**2)
        self.up = up
        self.demodulate = demodulate

    def forward(self, x: Tensor, w: Tensor, gain: float = 1.0) -> Tensor:
        """Scale the input by the style, convolve once, scale the output to unit variance times `gain`."""
        style = self.affine(w)
        weight = self.weight * self.scale
        x = self.convolve(x * style[:, :, None, None].to(x.dtype), weight)
        if not self.demodulate:
            return x * gain
        norm = torch.rsqrt(style.square() @ weight.square().sum(dim=(2, 3)).T + 1e-8)
        return x * (norm * gain)[:, :, None, None].to(x.dtype)

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        """Convolve; upsampling works at the low resolution (transposed), then filters with the FIR kernel."""
        if not self.up:
            return F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        return depthwise(x, fir_kernel(x, gain=4.0), padding=1)


class StyledConv(Layer):
    """Modulated 3x3 convolution, noise, bias and leaky ReLU: (N, in, H, W) -> (N, out, H', W')."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, resolution: int, up: bool, noise: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, out_channels, 3, w_dim, up=up)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        if noise:
            self.noise_strength = nn.Parameter(torch.zeros(()))
            self.noise_const: Tensor
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.noisy = noise

    def forward(
        self,
        x: Tensor,
        w: Tensor,
        noise: str = "random",
        rng: torch.Generator | None = None,
        mined: Tensor | None = None,
    ) -> Tensor:
        """Return the activated features; `noise` is "random", "const" or "none", `mined` (N, 1, H, W) in its place."""
        y = self.conv(x, w, gain=GAIN)
        y = y + (self.bias * GAIN)[:, None, None].to(y.dtype)
        if self.noisy and noise != "none":
            drawn = self.draw(y, noise, rng) if mined is None else mined.to(y.dtype)
            y = y + drawn * (self.noise_strength * GAIN)
        return F.leaky_relu(y, LEAK)

    def draw(self, like: Tensor, noise: str, rng: torch.Generator | None) -> Tensor:
        """Return noise of shape (N, 1, H, W), or the fixed one of shape (H, W)."""
        if noise == "const":
            return self.noise_const
        n, _, h, w = like.shape
        return torch.randn(n, 1, h, w, generator=rng, device=like.device, dtype=like.dtype)


class ToImage(Layer):
    """1x1 modulated convolution to image channels, without demodulation: (N, in, H, W) -> (N, channels, H, W)."""

    def __init__(self, in_channels: int, channels: int, w_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, channels, 1, w_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Project features to an image contribution."""
        return self.conv(x, w) + self.bias[:, None, None]


class SynthesisBlock(nn.Module):
    """The layers of one resolution: an upsampling convolution (not at 4x4), a convolution, a projection to the image
    (where `channels` are not 0), and a shortcut around the convolutions (if `residual`).
    """

    def __init__(
        self, inner: int, outer: int, w_dim: int, resolution: int, channels: int, noise: bool, residual: bool
    ) -> None:
        super().__init__()
        self.conv0 = StyledConv(inner, outer, w_dim, resolution, up=True, noise=noise) if inner else None
        self.conv1 = StyledConv(outer, outer, w_dim, resolution, up=False, noise=noise)
        self.to_image = ToImage(outer, channels, w_dim) if channels else None
        self.skip = EqualConv2d(inner, outer, 1, activate=False) if residual and inner else None

    def convolutions(self) -> list[StyledConv]:
        """Return the convolutions in the order of the forward pass, one at 4x4 and else two."""
        return [self.conv1] if self.conv0 is None else [self.conv0, self.conv1]


class ResidualBlock(Layer):
    """Discriminator block: two convolutions, the second halves the size, and a shortcut around them (if `residual`);
    (N, in, H, W) -> (N, out, H/2, W/2).
    """

    def __init__(self, in_channels: int, out_channels: int, residual: bool = True) -> None:
        super().__init__()
        self.conv0 = EqualConv2d(in_channels, in_channels, 3)
        self.conv1 = EqualConv2d(in_channels, out_channels, 3, down=True)
        self.skip = EqualConv2d(in_channels, out_channels, 1, down=True, activate=False) if residual else None

    def forward(self, x: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Add the skip, scaled to unit variance; `features` collects the output of both convolutions, before that."""
        first = self.conv0(x)
        second = self.conv1(first)
        if features is not None:
            features += [first, second]
        return second if self.skip is None else (second + self.skip(x)) * (1 / GAIN)
