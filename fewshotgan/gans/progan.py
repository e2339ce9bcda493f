"""ProGAN: a generator and a discriminator that mirror each other, resolution by resolution.

Paper: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation" (ICLR 2018, arXiv
1710.10196).

Both networks have a projection to or from the image at every resolution, so that they can grow (section 2, figure 2): a
generator's `side` and a discriminator's image choose how deep they run, `alpha` fades the newest resolution in. Our
recipes train at full size from the start, with the losses of the other families (logistic, R1) instead of WGAN-GP: at
64 pixels that is stable without growing.

Differs: each layer is ours, whose gain sqrt(2) stands after the bias and not before it, the same function with other
numbers in the bias; `gans/official.py` converts them.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.gans.layers import EqualConv2d, EqualLinear, minibatch_deviation, widths
from fewshotgan.gans.prior import make_prior


def pixel_norm(x: Tensor) -> Tensor:
    """Normalise the channels at each pixel to unit mean square (section 4.2): (N, C, ...) -> (N, C, ...)."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class ToImage(nn.Module):
    """1x1 convolution to image channels: (N, in, H, W) -> (N, channels, H, W)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = EqualConv2d(in_channels, channels, 1, activate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Project features to an image."""
        return self.conv(x) + self.bias[:, None, None]


class SynthesisBlock(nn.Module):
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


class Generator(nn.Module):
    """ProGAN's generator (table 2 of the paper).

    Args:
        resolution: side of the images, a power of two of at least 8.
        channels: 1 (grey) or 3 (colour).
        z_dim: size of the latents z.
        top: feature channels at the image; they double with each halving of the resolution.
        maximum: most feature channels at any resolution.
        first_norm: whether pixel norm follows the first, fully connected layer (it doesn't in pro_gan_pytorch).
        prior: what turns standard normal numbers into latents (`gans/prior.py`).
    """

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        z_dim: int = 512,
        top: int = 512,
        maximum: int = 512,
        first_norm: bool = True,
        prior: dict | None = None,
    ) -> None:
        super().__init__()
        self.prior = make_prior(prior, z_dim)
        self.resolution, self.channels, self.z_dim, self.first_norm = resolution, channels, z_dim, first_norm
        width = widths(resolution, top, maximum)
        self.dense = EqualLinear(z_dim, width[4] * 16, activate=True)
        self.blocks = nn.ModuleDict()
        before = 0
        for side, out in width.items():
            self.blocks[str(side)] = SynthesisBlock(before, out, channels)
            before = out

    def groups(self) -> dict[str, list[nn.Module]]:
        """Return the modules by name, from the latents to the image: "4" (with the fully connected layer), "8", ..."""
        groups: dict[str, list[nn.Module]] = {side: [block] for side, block in self.blocks.items()}
        groups["4"].insert(0, self.dense)
        return groups

    def forward(
        self,
        z: Tensor,
        *,
        side: int | None = None,
        alpha: float = 1.0,
        truncation: float = 1.0,
        noise: str | None = None,
        rng: torch.Generator | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Generate images.

        Args:
            z: latents (N, z_dim), standard normal.
            side: of the images, 4 up to the network's resolution, which is the default.
            alpha: weight of the newest resolution; the image of the one before, upsampled, has the rest.
            truncation: only 1, for none: the latents are normalised, so that there is no centre to draw them to.
            noise: of no effect, as there are no noise inputs.
            rng: likewise.
            features: a list to which the activations of each convolution are appended (feature taps).

        Returns:
            Images (N, channels, side, side), about -1..1, not clamped.

        Raises:
            UserError: if truncation is not 1.
        """
        if truncation != 1.0:
            raise UserError(
                f"A ProGAN has no truncation, since it normalises its latents: leave out truncation={truncation:g}."
            )
        side = side or self.resolution
        features = [] if features is None else features
        x = self.dense(pixel_norm(self.prior(z))).view(len(z), -1, 4, 4)
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

    def refresh(self) -> None:
        """Do nothing: no number follows from the weights."""


class Block(nn.Module):
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


class Discriminator(nn.Module):
    """ProGAN's discriminator (table 2 of the paper).

    Args: as `Generator`; `group` is the group size of the minibatch deviation and `consecutive` its kind
    (`layers.minibatch_deviation`).
    """

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        top: int = 512,
        maximum: int = 512,
        group: int = 4,
        consecutive: bool = False,
    ) -> None:
        super().__init__()
        self.resolution, self.channels, self.group, self.consecutive = resolution, channels, group, consecutive
        width = widths(resolution, top, maximum)
        sides = sorted(width, reverse=True)
        self.from_images = nn.ModuleDict({str(side): EqualConv2d(channels, width[side], 1) for side in sides})
        self.blocks = nn.ModuleDict({str(side): Block(width[side], width[half]) for side, half in pairwise(sides)})
        self.conv = EqualConv2d(width[4] + 1, width[4], 3)
        self.hidden = EqualLinear(width[4] * 16, width[4], activate=True)
        self.out = EqualLinear(width[4], 1)

    def groups(self) -> dict[str, list[nn.Module]]:
        """Return the modules by name, from the image to the logit, each with its projection from the image: "64",
        "32", ..., "4".
        """
        groups: dict[str, list[nn.Module]] = {
            side: [self.from_images[side], block] for side, block in self.blocks.items()
        }
        return {**groups, "4": [self.from_images["4"], self.conv, self.hidden, self.out]}

    def forward(self, x: Tensor, features: list[Tensor] | None = None, *, alpha: float = 1.0) -> Tensor:
        """Return logits (N, 1) of images (N, channels, side, side), side from 4 up to the network's resolution.

        `features` collects the output of each block's convolutions; `alpha` is the weight of the newest resolution, as
        in G.
        """
        x = self.trunk(x, 4, features, alpha)
        x = self.conv(minibatch_deviation(x, self.group, self.consecutive))
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

    def patches(self, x: Tensor, side: int, features: list[Tensor] | None = None) -> Tensor:
        """Return the activations (N, C, side, side) that CDC's patch head reads (arXiv 2104.06820, section 3.3),
        side >= 4.
        """
        return self.trunk(x, side, features)
