"""What makes a generator class-conditional: a scale and a shift of each norm for each class, or the class beside z.

Papers: Dumoulin et al., "A Learned Representation For Artistic Style" (ICLR 2017, arXiv 1610.07629), equation 5, for
the conditional norm; Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs" (ICML 2017, arXiv
1610.09585), section 3, for the class that joins the noise.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.gans.layers import Layer
from fewshotgan.gans.network import StateDict
from fewshotgan.gans.spectral import of_class

Conditioning = Literal["norm", "noise"]


class ConditionalNorm(Layer):
    """Batch norm with a scale and a shift for each class: (N, C, H, W) -> (N, C, H, W).

    In evaluation an image is normalised, scaled and shifted in one step, as plain batch norm does it: where the scale
    and shift are the same, the result is so to the bit.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.weight = nn.Parameter(torch.ones(classes, channels))
        self.bias = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Normalise, then scale and shift by the class: labels (N,), or weights of the classes (N, classes)."""
        scale, shift = of_class(self.weight, labels), of_class(self.bias, labels)
        if self.norm.training:
            normed: Tensor = self.norm(x)
            return normed * scale[:, :, None, None] + shift[:, :, None, None]
        n, channels, height, width = x.shape
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert mean is not None and variance is not None
        images_as_channels = F.batch_norm(
            x.reshape(1, n * channels, height, width),
            mean.repeat(n),
            variance.repeat(n),
            scale.flatten(),
            shift.flatten(),
            eps=self.norm.eps,
        )
        return images_as_channels.view(n, channels, height, width)


class FeatureNorm(nn.BatchNorm2d):
    """Batch norm with a scale and a shift that are linear in features of an image, on top of its own (Data Instance
    Prior, arXiv 2012.04256): an embedding of the features takes the place of the class's. Zero at the start.
    """

    def __init__(self, channels: int, feature_dim: int) -> None:
        super().__init__(channels)
        self.scale, self.shift = (nn.Linear(feature_dim, channels, bias=False) for _ in range(2))
        for linear in (self.scale, self.shift):
            nn.init.zeros_(linear.weight)

    def forward(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """Normalise (N, C, H, W), then scale and shift by the features (N, feature_dim); without, as a batch norm."""
        normed = super().forward(x)
        if features is None:
            return normed
        scale, shift = 1 + self.scale(features), self.shift(features)
        driven: Tensor = normed * scale[:, :, None, None] + shift[:, :, None, None]
        return driven


def make_norm(channels: int, classes: int, feature_dim: int = 0) -> ConditionalNorm | nn.BatchNorm2d:
    """Return batch norm, with a scale and a shift for each class, or by features, where there are some."""
    if feature_dim:
        return FeatureNorm(channels, feature_dim)
    return ConditionalNorm(channels, classes) if classes else nn.BatchNorm2d(channels)


def make_join(classes: int, conditioning: Conditioning, width: int) -> nn.Linear | None:
    """Return the part of a generator's first layer that reads the class, (classes) -> (width), or None if the class
    does not join the noise.
    """
    if not classes or conditioning == "norm":
        return None
    layer = nn.Linear(classes, width, bias=False)
    nn.init.xavier_uniform_(layer.weight)
    return layer


def join(x: Tensor, layer: nn.Linear | None, labels: Tensor | None) -> Tensor:
    """Return the first layer's output (N, width) with the class's part added, if there is one."""
    return x if layer is None or labels is None else x + of_class(layer.weight.T, labels)


def spread(network: nn.Module, plain: StateDict) -> StateDict:
    """Return weights of a class-conditional network that are those of the same network without classes: each class has
    the plain network's scale and shift. The class's part of the first layer stays as it is.
    """
    state = {key: plain.get(key, value) for key, value in network.state_dict().items()}
    for path, norm in conditional_norms(network).items():
        for name in ("weight", "bias"):
            state[f"{path}.{name}"] = plain[f"{path}.{name}"].expand(len(norm.weight), -1).clone()
        for name in dict(norm.norm.named_buffers()):
            state[f"{path}.norm.{name}"] = plain[f"{path}.{name}"]
    return state


def mean(network: nn.Module) -> StateDict:
    """Return the weights of the same network without classes, whose scales and shifts are the means of this one's, and
    whose first layer reads the mean class.
    """
    state: StateDict = dict(network.state_dict())
    for path, norm in conditional_norms(network).items():
        for name in ("weight", "bias"):
            state[f"{path}.{name}"] = state[f"{path}.{name}"].mean(dim=0)
        for name in dict(norm.norm.named_buffers()):
            state[f"{path}.{name}"] = state.pop(f"{path}.norm.{name}")
    if (joined := state.pop("joined.weight", None)) is not None:
        state["dense.bias"] = state["dense.bias"] + joined.mean(dim=1)
    return state


def conditional_norms(network: nn.Module) -> dict[str, ConditionalNorm]:
    """Return a network's conditional norms by their paths."""
    return {path: module for path, module in network.named_modules() if isinstance(module, ConditionalNorm)}
