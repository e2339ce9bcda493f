"""Layers that the StyleGAN family shares (equalised learning rate, FIR resampling, minibatch standard deviation), and
what all families need.

Paper: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020, arXiv 1912.04958) and
the papers it builds on (ProGAN, arXiv 1710.10196: equalised learning rate, minibatch standard deviation).
"""

import math
from collections.abc import Callable, ItemsView, Iterator, Sequence, ValuesView
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAK = 0.2  # slope of every leaky ReLU of the family
GAIN = math.sqrt(2)  # restores unit variance after it


def widths(
    resolution: int, channel_base: int, channel_max: int, level_channels: Sequence[int] | None = None, start: int = 4
) -> dict[int, int]:
    """Return {resolution: channels} from `start` pixels on: `channel_base` over the side, at most
    `channel_max`; or `level_channels`.

    Raises:
        ValueError: for another resolution than a power of two of at least 8, or too few or many numbers.
    """
    levels = int(math.log2(resolution))
    if 2**levels != resolution or resolution < 8:
        raise ValueError(f"the resolution must be a power of two of at least 8, not {resolution}")
    sides = [2**level for level in range(levels + 1) if 2**level >= start]
    if start not in sides:
        raise ValueError(f"the first features have a power of two pixels up to {resolution}, not {start}")
    if level_channels is not None:
        return dict(zip(sides, level_channels, strict=True))
    return {side: min(channel_base // side, channel_max) for side in sides}


class Layer(nn.Module):
    """A module that returns a tensor; to type checkers torch's own call returns anything."""

    if TYPE_CHECKING:
        __call__: Callable[..., Tensor]


class Stateful(Layer):
    """A layer that keeps numbers which each forward pass in training moves, such as spectral norm's vectors."""


Block = TypeVar("Block", bound=nn.Module)


class Stack(nn.ModuleDict, Generic[Block]):
    """Modules of one class by name, such as the blocks of a network by their resolution; torch's own forgets the
    class.
    """

    if TYPE_CHECKING:

        def __getitem__(self, key: str) -> Block: ...
        def values(self) -> ValuesView[Block]: ...  # noqa: D102
        def items(self) -> ItemsView[str, Block]: ...  # noqa: D102


class Row(nn.ModuleList, Generic[Block]):
    """Modules of one class in a row, as `Stack` has them by name."""

    if TYPE_CHECKING:
        __call__: Callable[..., Tensor]

        def __getitem__(self, index: int) -> Block: ...  # type: ignore[override]  # of a slice nobody asks
        def __iter__(self) -> Iterator[Block]: ...


class EqualLinear(Layer):
    """Linear layer whose weight is scaled at run time by `lr_mul / sqrt(in_features)` (ProGAN, section 4.1).

    Shapes: (N, in_features) -> (N, out_features). With `activate`, a scaled leaky ReLU follows.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: float = 0.0, lr_mul: float = 1.0, activate: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_mul)
        self.bias = nn.Parameter(torch.full((out_features,), float(bias)))
        self.scale = lr_mul / math.sqrt(in_features)
        self.lr_mul = lr_mul
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_features) to (N, out_features)."""
        gain = GAIN if self.activate else 1.0
        x = F.linear(x, self.weight * (self.scale * gain), self.bias * (self.lr_mul * gain))
        return F.leaky_relu(x, LEAK) if self.activate else x


class EqualConv2d(Layer):
    """Convolution with equalised learning rate; with `down`, FIR-filtered and strided by two.

    Shapes: (N, in, H, W) -> (N, out, H, W), or (N, out, H/2, W/2) with `down`. With `activate`, bias and scaled leaky
    ReLU.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, down: bool = False, activate: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if activate else None
        self.scale = 1 / math.sqrt(in_channels * kernel**2)
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, in, H, W)."""
        if self.bias is None:
            return self.convolve(x, self.weight * self.scale, None)
        return F.leaky_relu(self.convolve(x, self.weight * (self.scale * GAIN), self.bias * GAIN), LEAK)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve at the resolution that costs least: a 1x1 kernel after the FIR filter's stride, others with it."""
        kernel = weight.shape[-1]
        if not self.down:
            return F.conv2d(x, weight, bias, padding=kernel // 2)
        if kernel == 1:
            return F.conv2d(fir_down(x), weight, bias)
        return F.conv2d(blur(x), weight, bias, stride=2)


def fir_kernel(like: Tensor, gain: float = 1.0) -> Tensor:
    """Return the 4x4 binomial filter [1, 3, 3, 1] x [1, 3, 3, 1] / 64 times `gain`, on the device of `like`."""
    return _fir_kernel(like.dtype, like.device, gain)


@cache  # a step needs it sixty times
def _fir_kernel(dtype: torch.dtype, device: torch.device, gain: float) -> Tensor:
    with torch.inference_mode(False):  # cached outside inference mode, so that training can use it
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=dtype, device=device) / 8
        return torch.outer(taps, taps) * gain


def depthwise(x: Tensor, kernel: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """Filter every channel of (N, C, H, W) by the same 2D kernel."""
    channels = x.shape[1]
    if x.dtype == torch.bfloat16 and x.device.type == "cpu" and stride > 1:
        # torch has no fast path for this gradient; in single precision it takes a quarter to a twentieth of the time
        with torch.autocast("cpu", enabled=False):
            return depthwise(x.float(), kernel.float(), stride, padding).to(x.dtype)
    return F.conv2d(x, kernel.expand(channels, 1, -1, -1), stride=stride, padding=padding, groups=channels)


def blur(x: Tensor) -> Tensor:
    """FIR-filter (N, C, H, W) before a strided 3x3 convolution, padded as StyleGAN2 does: (N, C, H + 1, W + 1)."""
    return depthwise(x, fir_kernel(x), padding=2)


def fir_down(x: Tensor) -> Tensor:
    """FIR-filter (N, C, H, W) and keep every second pixel: (N, C, H/2, W/2)."""
    return depthwise(x, fir_kernel(x), stride=2, padding=1)


def fir_up(x: Tensor) -> Tensor:
    """Upsample (N, C, H, W) by two with the FIR filter: (N, C, 2H, 2W)."""
    channels = x.shape[1]
    kernel = fir_kernel(x, gain=4.0).expand(channels, 1, -1, -1)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


def minibatch_std(x: Tensor, group: int = 4, consecutive: bool = False) -> Tensor:
    """Append the mean standard deviation over groups of images as one channel: (N, C, H, W) -> (N, C + 1, H, W).

    Image b belongs to group b modulo (N / group), as in the official code (ProGAN, section 3). A batch that `group`
    does not divide uses the largest group that does.

    Args:
        x: features.
        group: images in a group.
        consecutive: groups of neighbours instead, with the unbiased variance, as in pytorch_GAN_zoo; a batch that
            `group` does not divide is then one group.
    """
    n, c, h, w = x.shape
    if consecutive:
        size = min(group, n) if n % min(group, n) == 0 else n
        y = x.reshape(n // size, size, c, h, w).transpose(0, 1)
    else:
        size = next(size for size in range(min(group, n), 0, -1) if n % size == 0)
        y = x.reshape(size, n // size, c, h, w)
    std = (y.var(dim=0, unbiased=consecutive and size > 1) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    each = std.repeat_interleave(size) if consecutive else std.repeat(size)
    return torch.cat([x, each.view(n, 1, 1, 1).expand(n, 1, h, w)], dim=1)


def hold_statistics(network: nn.Module) -> None:
    """Let every batch norm of a network use its running statistics, and leave these and what spectral norm keeps as
    they are, until the next `train()`.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | Stateful):
            module.eval()
