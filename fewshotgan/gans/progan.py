"""ProGAN: a generator and a discriminator that mirror each other, resolution by resolution.

Paper: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation" (ICLR 2018, arXiv
1710.10196).

Both networks have a projection to or from the image at every resolution, so that they can grow (section 2, figure 2): a
generator's `side` and a discriminator's image choose how deep they run, `alpha` fades the newest resolution in. Our
recipes train at full size from the start: at 64 pixels that is stable without growing.

Differs: the default loss is the logistic one with R1, by which the family's shipped source was trained, instead of
WGAN-GP, the paper's, of which `loss="wgan_gp"` has the penalty but neither the small term that keeps logits near zero
nor the single step of the critic (appendix A.1). The gain sqrt(2) of a layer comes after the bias instead of before it,
the same function with other values in the bias; `gans/official/progan.py` converts them.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.gans import network
from fewshotgan.gans.layers import EqualConv2d, EqualLinear, Layer, Stack, minibatch_std, widths
from fewshotgan.gans.prior import PriorConfig


def pixel_norm(x: Tensor) -> Tensor:
    """Normalise the channels at each pixel to unit mean square (section 4.2): (N, C, ...) -> (N, C, ...)."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class ToImage(Layer):
    """1x1 convolution to image channels: (N, in, H, W) -> (N, channels, H, W)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = EqualConv2d(in_channels, channels, 1, activate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Project features to an image."""
        return self.conv(x) + self.bias[:, None, None]


class SynthesisBlock(Layer):
    """The layers of one resolution: two convolutions, one at 4x4, each followed by pixel norm, and a projection to
    the image.
    """

    def __init__(self, in_channels: int, out_channels: int, channels: int) -> None:
        super().__init__()
        self.conv0 = EqualConv2d(in_channels, out_channels, 3) if in_channels else None
        self.conv1 = EqualConv2d(out_channels, out_channels, 3)
        self.to_image = ToImage(out_channels, channels)

    def forward(self, x: Tensor, features: list[Tensor]) -> Tensor:
        """Return (N, out, H, W), twice the input's size but at 4x4; `features` collects what each convolution makes."""
        if self.conv0 is not None:
            x = pixel_norm(self.conv0(F.interpolate(x, scale_factor=2)))
            features.append(x)
        x = pixel_norm(self.conv1(x))
        features.append(x)
        return x


class Generator(network.Generator):
    """ProGAN's generator (table 2 of the paper).

    Args:
        resolution: side of the images, a power of two of at least 8.
        channels: 1 (grey) or 3 (colour).
        z_dim: size of the latents z.
        channel_base: feature channels at a resolution times its side, so that they double with each halving.
        channel_max: most feature channels at any resolution.
        first_norm: whether pixel norm follows the first, fully connected layer (it doesn't in pro_gan_pytorch).
        prior: what turns standard normal numbers into latents (`gans/prior.py`).
        level_channels: feature channels at 4, 8, ... pixels, in place of `channel_base` and `channel_max`.
    """

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        z_dim: int = 512,
        channel_base: int = 32768,
        channel_max: int = 512,
        first_norm: bool = True,
        prior: PriorConfig | None = None,
        level_channels: list[int] | None = None,
    ) -> None:
        super().__init__(resolution, channels, z_dim, prior=prior)
        self.first_norm = first_norm
        width = widths(resolution, channel_base, channel_max, level_channels)
        self.dense = EqualLinear(z_dim, width[4] * 16, activate=True)
        self.blocks: Stack[SynthesisBlock] = Stack()
        before = 0
        for side, out in width.items():
            self.blocks[str(side)] = SynthesisBlock(before, out, channels)
            before = out

    def groups(self) -> network.Groups:
        """Return the modules by name, from the latents to the image: "4" (with the fully connected layer), "8", ..."""
        groups: network.Groups = {side: [block] for side, block in self.blocks.items()}
        groups["4"].insert(0, self.dense)
        return groups

    def forward(
        self,
        z: Tensor,
        *,
        labels: Tensor | None = None,
        mix: Tensor | None = None,
        mix_from: int = 0,
        truncation: float | Tensor = 1.0,
        noise: str | None = None,
        rng: torch.Generator | None = None,
        features: list[Tensor] | None = None,
        side: int | None = None,
        alpha: float = 1.0,
    ) -> Tensor:
        """Generate images, as `network.Generator.forward`.

        Args:
            z: latents (N, z_dim), standard normal; they are normalised, so that there is no centre to truncate to.
            labels: refused.
            mix: refused.
            mix_from: without effect.
            truncation: refused.
            noise: without effect.
            rng: likewise.
            features: collects the activations of each convolution.
            side: of the images, 4 up to the network's resolution, which is the default.
            alpha: weight of the newest resolution; the image of the one before, upsampled, has the rest.

        Returns:
            Images (N, channels, side, side), about -1..1, not clamped.

        Raises:
            UserError: for what is refused.
        """
        self.check_labels(labels)
        self.check_options(mix, truncation)
        side = side or self.resolution
        features = [] if features is None else features
        x = self.dense(pixel_norm(self.prior(z))).view(z.shape[0], -1, 4, 4)
        x = pixel_norm(x) if self.first_norm else x
        image = torch.empty(0)
        for name, block in self.blocks.items():
            if int(name) > side:
                break
            before, x = x, block(x, features)
            if int(name) == side:
                image = block.to_image(x)
                if alpha < 1:
                    old = self.blocks[str(side // 2)].to_image(before)
                    image = torch.lerp(F.interpolate(old, scale_factor=2), image, alpha)
        return image

    if TYPE_CHECKING:
        __call__ = forward


class Block(Layer):
    """Discriminator block: two convolutions, then the mean of each two by two pixels; (N, in, H, W) -> (N, out, H/2,
    W/2).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv0 = EqualConv2d(in_channels, in_channels, 3)
        self.conv1 = EqualConv2d(in_channels, out_channels, 3)

    def forward(self, x: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Halve the size; `features` collects the output of both convolutions, the second at the new size."""
        first = self.conv0(x)
        second = F.avg_pool2d(self.conv1(first), 2)
        if features is not None:
            features += [first, second]
        return second


class Discriminator(network.Discriminator):
    """ProGAN's discriminator (table 2 of the paper).

    Args: as `Generator`; `group` is the group size of the minibatch standard deviation and `consecutive` its
    kind (`layers.minibatch_std`).
    """

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        group: int = 4,
        consecutive: bool = False,
        level_channels: list[int] | None = None,
    ) -> None:
        super().__init__(resolution, channels)
        self.group, self.consecutive = group, consecutive
        width = widths(resolution, channel_base, channel_max, level_channels)
        sides = sorted(width, reverse=True)
        self.from_images: Stack[EqualConv2d] = Stack(
            {str(side): EqualConv2d(channels, width[side], 1) for side in sides}
        )
        self.blocks: Stack[Block] = Stack(
            {str(side): Block(width[side], width[half]) for side, half in pairwise(sides)}
        )
        self.conv = EqualConv2d(width[4] + 1, width[4], 3)
        self.hidden = EqualLinear(width[4] * 16, width[4], activate=True)
        self.out = EqualLinear(width[4], 1)

    def groups(self) -> network.Groups:
        """Return the modules by name, from the image to the logit, each with its projection from the image: "64",
        "32", ..., "4".
        """
        groups: network.Groups = {side: [self.from_images[side], block] for side, block in self.blocks.items()}
        return {**groups, "4": [self.from_images["4"], self.conv, self.hidden, self.out]}

    def forward(
        self, x: Tensor, features: list[Tensor] | None = None, *, labels: Tensor | None = None, alpha: float = 1.0
    ) -> Tensor:
        """Return logits (N, 1) of images (N, channels, side, side), side from 4 up to the network's resolution.

        `features` collects the output of each block's convolutions; `alpha` is the weight of the newest resolution, as
        in G.
        """
        self.check_labels(labels)
        x = self.trunk(x, 4, features, alpha)
        x = self.conv(minibatch_std(x, self.group, self.consecutive))
        return self.out(self.hidden(x.flatten(1)))

    def trunk(self, x: Tensor, side: int, features: list[Tensor] | None = None, alpha: float = 1.0) -> Tensor:
        """Return what the blocks down to `side` pixels make of images: (N, C, side, side)."""
        image, start = x, x.shape[-1]
        x = self.from_images[str(start)](image)
        for name, block in self.blocks.items():
            if side < int(name) <= start:
                x = block(x, features)
            if int(name) == start and alpha < 1:
                x = torch.lerp(self.from_images[str(start // 2)](F.avg_pool2d(image, 2)), x, alpha)
        return x
