"""Layers with spectral norm, each weight divided by its largest singular value, which SNGAN and BigGAN share.

Paper: Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (ICLR 2018, arXiv 1802.05957).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.gans.layers import Stateful

GAIN = 2**0.5  # of the initial weights before a ReLU


def of_class(table: Tensor, labels: Tensor) -> Tensor:
    """Return the rows (N, ...) of a table (classes, ...) for labels (N,), or their mixtures for weights (N,
    classes).
    """
    return labels @ table if labels.is_floating_point() else table[labels]


class Spectral(Stateful):
    """A weight divided by its largest singular value, estimated by power iteration (arXiv 1802.05957, algorithm 1).

    Each forward pass in training does one iteration and keeps the singular vectors u and v; in evaluation the kept ones
    serve, or, with `fresh`, one more iteration that is not kept (as in BigGAN and in cGAN-PD's fully connected
    layers).

    Args:
        shape: (out, ...) of the weight.
        gain: of its initial values.
        fresh: whether evaluation iterates too.
        orthogonal: whether the initial weight has orthogonal rows (or columns) instead of uniform numbers.
    """

    def __init__(
        self, shape: tuple[int, ...], gain: float = 1.0, fresh: bool = False, orthogonal: bool = False
    ) -> None:
        super().__init__()
        fill = nn.init.orthogonal_ if orthogonal else nn.init.xavier_uniform_
        self.weight = nn.Parameter(fill(torch.empty(shape), gain))
        self.fresh = fresh
        self.u: Tensor
        self.register_buffer("u", F.normalize(torch.randn(shape[0]), dim=0))
        if not fresh:
            self.v: Tensor
            self.register_buffer("v", F.normalize(self.weight.detach().flatten(1).T @ self.u, dim=0))

    def normalised(self) -> Tensor:
        """Return the weight with a largest singular value of about one, zeros as they are; u and v count as constants
        in the gradient.
        """
        matrix = self.weight.flatten(1)
        u, v = self.vectors(matrix.detach())
        sigma = u @ (matrix @ v)
        return self.weight / sigma.where(sigma != 0, 1)

    def vectors(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Return u (out,) and v (rest,)."""
        if not (self.training or self.fresh):
            return self.u, self.v
        v = F.normalize(matrix.T @ self.u, dim=0, eps=1e-12)
        u = F.normalize(matrix @ v, dim=0, eps=1e-12)
        if self.training:
            self.u.copy_(u)
            if not self.fresh:
                self.v.copy_(v)
        return u, v


class SpectralConv2d(Spectral):
    """Convolution with spectral norm, of the same size: (N, in, H, W) -> (N, out, H, W)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        gain: float = GAIN,
        fresh: bool = False,
        orthogonal: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__((out_channels, in_channels, kernel, kernel), gain, fresh, orthogonal)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, in, H, W)."""
        return F.conv2d(x, self.normalised(), self.bias, padding=self.weight.shape[-1] // 2)


class SpectralLinear(Spectral):
    """Linear layer with spectral norm: (N, in) -> (N, out)."""

    def __init__(
        self, in_features: int, out_features: int, fresh: bool, orthogonal: bool = False, bias: bool = True
    ) -> None:
        super().__init__((out_features, in_features), fresh=fresh, orthogonal=orthogonal)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in) to (N, out)."""
        return F.linear(x, self.normalised(), self.bias)


class SpectralEmbedding(Spectral):
    """A vector for each class, with spectral norm of them together: labels (N,) or weights (N, classes) -> (N,
    size).
    """

    def forward(self, labels: Tensor) -> Tensor:
        """Look up or mix the classes' vectors."""
        return of_class(self.normalised(), labels)
