"""AdaFM's tailored head: the few large layers of a GAN that a small data set can train, with styles as in StyleGAN.

Paper: Zhao et al., "On Leveraging Pretrained GANs for Generation with Limited Data" (ICML 2020, arXiv 2002.11810),
section 3.2. A mapping network turns z into a style; style blocks double the size from 4 pixels on, each with two noise
inputs and two adaptive instance norms; a last layer brings the features to the scale that the transferred part was
trained on.

Details follow the released code: both norms let through a part of the gradient only (see `AdaptiveNorm` and
`ScaleMatch`).

Differs: the released code draws noise at every call; here evaluation uses a stored noise, so that samples follow from
their seed. Its embedding of labels, which reaches no image, is left out.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.gans.layers import LEAK, Layer, Stack
from fewshotgan.gans.network import Groups
from fewshotgan.gans.progan import pixel_norm

MAPPING_LAYERS = 8
EPSILON = 1e-5


def spread(layer: nn.Linear, std: float = 0.1) -> nn.Linear:
    """Draw a layer's weights anew, N(0, std^2), with zero bias; return it."""
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return layer


class Mapping(Layer):
    """Map latents z to styles w: pixel norm, then eight linear layers, each with a leaky ReLU; (N, z_dim) -> (N,
    w_dim).
    """

    def __init__(self, z_dim: int, w_dim: int) -> None:
        super().__init__()
        sizes = [z_dim] + [w_dim] * (MAPPING_LAYERS - 1)
        self.layers = nn.ModuleList(spread(nn.Linear(size, w_dim)) for size in sizes)

    def forward(self, z: Tensor) -> Tensor:
        """Return the styles."""
        w = pixel_norm(z)
        for layer in self.layers:
            w = F.leaky_relu(layer(w), LEAK)
        return w


class Noise(Layer):
    """Add noise, one channel for all, times a strength for each channel: (N, C, side, side) -> the same shape."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(0.1 * torch.randn(channels))
        self.const: Tensor
        self.register_buffer("const", torch.randn(side, side))

    def forward(self, x: Tensor, noise: str, rng: torch.Generator | None = None) -> Tensor:
        """Return x with "random" noise, with the stored one ("const"), or as it is ("none")."""
        return x if noise == "none" else x + self.draw(x, noise, rng) * self.strength[:, None, None]

    def draw(self, like: Tensor, noise: str, rng: torch.Generator | None) -> Tensor:
        """Return noise of shape (N, 1, H, W), or the stored one of shape (H, W)."""
        if noise == "const":
            return self.const
        return torch.randn(len(like), 1, *like.shape[2:], generator=rng, device=like.device, dtype=like.dtype)


class AdaptiveNorm(Layer):
    """Adaptive instance norm: gamma(w) n(x) + beta(w), each channel of each image normalised over its pixels; (N, C, H,
    W) and (N, w_dim).

    The gradient towards x sees gamma clamped to -1..1, so that a large gamma does not amplify it; that towards gamma is
    whole.
    """

    def __init__(self, channels: int, w_dim: int) -> None:
        super().__init__()
        self.affine = spread(nn.Linear(w_dim, 2 * channels))
        nn.init.ones_(self.affine.bias[:channels])

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Return the features with the style's mean and standard deviation."""
        style: Tensor = self.affine(w)
        gamma, beta = style[:, :, None, None].chunk(2, dim=1)
        centred = x - x.mean(dim=(2, 3), keepdim=True)
        n = centred * (centred.square().mean(dim=(2, 3), keepdim=True) + EPSILON).rsqrt()
        limited = gamma.clamp(-1, 1)
        return n * limited + n.detach() * (gamma - limited) + beta


class StyleBlock(Layer):
    """Double the size: out = shortcut + 0.1 dx; (N, C, side / 2, side / 2) and two styles (N, w_dim) -> (N, C, side,
    side).

    dx is a leaky ReLU, a transposed convolution, noise and norm, then the same with a 3x3 convolution; the shortcut is
    a transposed convolution of its own.
    """

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, side: int) -> None:
        super().__init__()
        self.conv0 = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)
        self.conv1 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.skip = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)
        self.noise0, self.noise1 = Noise(out_channels, side), Noise(out_channels, side)
        self.norm0, self.norm1 = AdaptiveNorm(out_channels, w_dim), AdaptiveNorm(out_channels, w_dim)

    def forward(
        self,
        x: Tensor,
        w: tuple[Tensor, Tensor],
        noise: str = "random",
        rng: torch.Generator | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Return the sum; `features` collects what both norms make."""
        first = self.norm0(self.noise0(self.conv0(F.leaky_relu(x, LEAK)), noise, rng), w[0])
        second = self.norm1(self.noise1(self.conv1(F.leaky_relu(first, LEAK)), noise, rng), w[1])
        if features is not None:
            features += [first, second]
        return torch.add(self.skip(x), second, alpha=0.1)


class ScaleMatch(Layer):
    """Bring features to the scale of the source's: (N, C, side, side) -> the same shape.

    n is the norm of each channel over its pixels, with a learned gain and offset for each pixel; the result is (scale +
    0.01) n + shift, with a scale and a shift for each channel, but only the 0.01 carries a gradient back to the
    features. Without any normalisation a GP-GAN's features are large (a thousand, in the ImageNet network), and so
    would be the gradients that come through a scale as large.
    """

    CARRIED = 0.01

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(side, side))
        self.offset = nn.Parameter(torch.zeros(side, side))
        self.scale = nn.Parameter(torch.randn(channels))
        self.shift = nn.Parameter(torch.randn(channels))
        self.start(1000.0)

    @torch.no_grad()
    def start(self, scale: float) -> None:
        """Set each channel's scale about this one, and its shift about zero, both to a thousandth of it."""
        self.scale.normal_().mul_(scale / 1000).add_(scale)
        self.shift.normal_().mul_(scale / 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled features."""
        n = F.layer_norm(x, x.shape[2:], self.gain, self.offset, EPSILON)
        return self.CARRIED * n + n.detach() * self.scale[:, None, None] + self.shift[:, None, None]


class SmallHead(Layer):
    """Style blocks from 4 pixels to `side`, all of one width, then the scale match: (N, C, 4, 4) and styles -> (N,
    C, side, side).
    """

    def __init__(self, channels: int, w_dim: int, side: int) -> None:
        super().__init__()
        sides = [2**level for level in range(3, side.bit_length())]
        self.blocks: Stack[StyleBlock] = Stack({str(at): StyleBlock(channels, channels, w_dim, at) for at in sides})
        self.match = ScaleMatch(channels, side)

    @property
    def num_ws(self) -> int:
        """Number of styles: two for each block."""
        return 2 * len(self.blocks)

    def groups(self) -> Groups:
        """Return the modules by resolution: "8", ..., the last with the scale match."""
        groups: Groups = {side: [block] for side, block in self.blocks.items()}
        groups[list(groups)[-1]].append(self.match)
        return groups

    def forward(
        self,
        x: Tensor,
        w: Tensor,
        noise: str = "random",
        rng: torch.Generator | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Return the features that the transferred part goes on with, for styles w (N, num_ws, w_dim)."""
        for i, block in enumerate(self.blocks.values()):
            x = block(x, (w[:, 2 * i], w[:, 2 * i + 1]), noise, rng, features)
        return self.match(x)
