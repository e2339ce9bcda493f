"""Reparametrisations of a weight: a few numbers that modify a pretrained layer, the identity at the start.

Each is a `torch.nn.utils.parametrize` module: registered on any layer that has the parameter, trained in its place, and
merged into it at the end, so that what remains is a plain network.
"""

from collections.abc import Iterator
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewshotgan.gans.class_norm import ConditionalNorm
from fewshotgan.gans.gan import GAN

LAYOUTS = ("paper", "official")
Adapter = TypeVar("Adapter", bound=nn.Module)


class KernelModulation(nn.Module):
    """Rank-one kernel modulation, W' = W * (1 + R), elementwise (AdAM, arXiv 2210.16559, section 4.2, equation 3).

    R comes from u, a number for each weight of a filter, and v, a number for each filter. In the layout "paper" it is
    the outer product v u^T: zeroing v[o] switches the modulation of filter o off. The released code lays out u v^T and
    reads its memory as if it were v u^T ("official"), so that almost every filter sees all of v.

    Args:
        weight: (out, in, k, k) of a convolution or (out, in) of a linear layer.
        layout: of a convolution; a linear layer always follows the paper, as in the released code.
        scale: standard deviation of u and v at the start: R is of its square, so that W' equals W to rounding.
        rng: source of u and v.
    """

    def __init__(
        self, weight: Tensor, layout: str = "paper", scale: float = 1e-7, rng: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if layout not in LAYOUTS:
            raise ValueError(f"layout is one of {', '.join(LAYOUTS)}, not {layout!r}")
        out, each = len(weight), weight[0].numel()
        self.u = nn.Parameter((torch.randn(each, generator=rng) * scale).to(weight))
        self.v = nn.Parameter((torch.randn(out, generator=rng) * scale).to(weight))
        self.transposed = layout == "official" and weight.dim() == 4

    def matrix(self) -> Tensor:
        """Return R with a row for each filter, (out, in * k * k)."""
        if self.transposed:
            return torch.outer(self.u, self.v).reshape(len(self.v), len(self.u))
        return torch.outer(self.v, self.u)

    def forward(self, weight: Tensor) -> Tensor:
        """Return W', of the shape of the weight."""
        return weight * (1 + self.matrix().view(weight.shape))


class Shift(nn.Module):
    """b' = b + s, for a bias or a noise strength; s is zero at the start."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros_like(value))

    def forward(self, value: Tensor) -> Tensor:
        """Return the shifted value."""
        return value + self.shift


class AdaFM(nn.Module):
    """Adaptive filter modulation, W' = gamma * W + beta, a scale and a shift for each pair of output and input channel
    (AdaFM, arXiv 2002.11810, section 3.3); gamma is one and beta zero at the start. W is not normalised, as in the
    released code.

    Args:
        weight: (out, in, k, k) of a convolution, whose kernels keep their shapes, or (out, in) of a linear layer.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        shape = (*weight.shape[:2], *[1] * (weight.dim() - 2))
        self.gamma = nn.Parameter(torch.ones(shape).to(weight))
        self.beta = nn.Parameter(torch.zeros(shape).to(weight))

    def forward(self, weight: Tensor) -> Tensor:
        """Return W', of the shape of the weight."""
        return torch.addcmul(self.beta, weight, self.gamma)


class SingularValues(nn.Module):
    """W' = U diag(sigma (1 + s)) V^T, with W = U diag(sigma) V^T; s is zero at the start (FSGAN, arXiv 2010.11943,
    section 3.1).

    The singular vectors of W stay, its singular values are scaled: a step changes them in proportion, whatever the
    units in which a layer keeps its weight (with an equalised learning rate that is not the size at which it works).

    Args:
        weight: (out, in, k, k), flattened to (out, in * k * k), or (out, in).
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        u, values, vh = torch.linalg.svd(weight.detach().flatten(1), full_matrices=False)
        self.u: Tensor
        self.vh: Tensor
        self.register_buffer("u", (u * values).contiguous())
        self.register_buffer("vh", vh.contiguous())
        self.scale = nn.Parameter(torch.zeros_like(values))

    def forward(self, weight: Tensor) -> Tensor:
        """Return W', of the shape of the weight."""
        return weight + ((self.u * self.scale) @ self.vh).view(weight.shape)


class ChannelScale(nn.Module):
    """v' = scale * v, a factor for each channel; the scale is one at the start (BSA, arXiv 1904.01774, section 3).

    Args:
        channels: of which there are; a value of shape (channels * k, ...) has k consecutive rows for each.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, value: Tensor) -> Tensor:
        """Return the scaled value."""
        return value * _rows(self.scale, value)


class ChannelShift(nn.Module):
    """b' = scale * b + shift, for the bias beside a weight with a `ChannelScale`, whose scale it shares; the shift
    is zero at the start.
    """

    def __init__(self, scale: ChannelScale) -> None:
        super().__init__()
        self.shared = scale
        self.shift = nn.Parameter(torch.zeros_like(scale.scale))

    def forward(self, value: Tensor) -> Tensor:
        """Return the scaled and shifted value."""
        scaled: Tensor = self.shared(value)
        return scaled + _rows(self.shift, value)


def _rows(numbers: Tensor, value: Tensor) -> Tensor:
    """Return a number for each channel (channels,) as a factor for the rows of a value (channels * k, ...)."""
    return numbers.repeat_interleave(len(value) // len(numbers)).view(-1, *[1] * (value.dim() - 1))


class Kernel(nn.Module):
    """What type checkers know of a layer that `layers` yields; never made."""

    weight: nn.Parameter
    """(out, in, k, k) of a convolution, (out, in) of a linear layer."""


def layers(network: nn.Module) -> Iterator[tuple[str, Kernel]]:
    """Yield (name, layer) of each layer that has a kernel of its own: convolutions (4 axes) and linear layers (2)."""
    for name, module in network.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and is_kernel(module, weight):
            yield name, cast(Kernel, module)


def is_kernel(module: nn.Module, parameter: Tensor) -> bool:
    """Return whether a parameter of a module maps channels to channels; the table of scales of classes has two axes,
    and does not.
    """
    return parameter.dim() in (2, 4) and not isinstance(module, ConditionalNorm)


def attach(module: nn.Module, parameter: str, adapter: nn.Module) -> None:
    """Put an adapter before a parameter of a module, which keeps the original as
    `parametrizations.<parameter>.original`.
    """
    parametrize.register_parametrization(module, parameter, adapter)


def is_adapted(module: nn.Module, parameter: str) -> bool:
    """Return whether an adapter stands before a parameter of a module."""
    return parametrize.is_parametrized(module, parameter)


def adapter_of(module: nn.Module, parameter: str, kind: type[Adapter]) -> Adapter:
    """Return the adapter of this kind that stands before a parameter of a module.

    Raises:
        TypeError: if it is of another kind.
    """
    adapter = _adapted(module, parameter)[0]
    if not isinstance(adapter, kind):
        raise TypeError(f"{parameter} has the adapter {type(adapter).__name__}, not {kind.__name__}")
    return adapter


def original(module: nn.Module, parameter: str = "weight") -> nn.Parameter:
    """Return the parameter itself, adapted or not."""
    holder, name = (_adapted(module, parameter), "original") if is_adapted(module, parameter) else (module, parameter)
    return cast(nn.Parameter, getattr(holder, name))


def _adapted(module: nn.Module, parameter: str) -> parametrize.ParametrizationList:
    """Return what PyTorch keeps of an adapted parameter: the adapters in a row, and the original."""
    return cast(parametrize.ParametrizationList, cast(nn.ModuleDict, module.parametrizations)[parameter])


def adapters(network: nn.Module) -> list[nn.Parameter]:
    """Return every parameter that belongs to an adapter."""
    kinds = (KernelModulation, Shift, AdaFM, SingularValues, ChannelScale, ChannelShift)
    return [p for module in network.modules() if isinstance(module, kinds) for p in module.parameters(recurse=False)]


def merged(gan: GAN) -> GAN:
    """Return a new GAN of plain networks, with each adapter merged into its parameter."""
    plain = GAN.create(gan.config, gan.name).to(gan.device)
    with torch.no_grad():
        for adapted, network in ((gan.generator, plain.generator), (gan.discriminator, plain.discriminator)):
            for name, value in network.state_dict().items():
                path, _, parameter = name.rpartition(".")
                value.copy_(getattr(adapted.get_submodule(path), parameter))
    return plain
