"""BigGAN: residual networks whose norms are driven by a shared embedding of the class and a part of the latents.

Paper: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (ICLR 2019, arXiv 1809.11096),
section 3 and appendix B (tables 4 to 6): latents are split into one part for each block (hierarchical), which its norms
read beside the class's vector; both networks have spectral norm and self-attention; the discriminator adds a projection
of the class. Conventions that the paper leaves open are those of the authors' BigGAN-PyTorch
(`gans/official/biggan.py` converts its networks): spectral norm iterates once in evaluation too, the shortcut of a
discriminator block sees the input before the ReLU.

Widths in that code, at the image and at most, in multiples of one number: 2 and 16 at 64 pixels, 1 and 16 at 128, 4
and 4 in the network for CIFAR at 32; at 256 `level_channels` are 16, 16, 8, 8, 4, 2, 1 from 4 pixels on.
Discriminators have 1 and 16, at 256 pixels 16, 16, 8, 8, 4, 2, 1, and at 32 pixels 4 and 4 with two `halvings`.

Trained by the hinge loss, with two steps of the discriminator for each of the generator and Adam's betas 0 and 0.999.

Differs: where the latents don't divide evenly, the first part takes what is left over, instead of fewer latents. The
1x1 convolutions of shortcuts stand where the map is small, the same function at a quarter of the cost. Without classes
one vector drives the norms, and trains. Orthogonal regularisation is `Network.orthogonality`.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshotgan.gans import biggan_networks
from fewshotgan.gans.biggan_layers import Attention, Blocks, Maker, check_attention, conv, upsample
from fewshotgan.gans.layers import Layer, Row, Stack, widths
from fewshotgan.gans.prior import PriorConfig


class GeneratorBlock(Layer):
    """Norm, ReLU, upsampling, convolution, norm, ReLU, convolution, beside an upsampled shortcut: (N, in, H, W) ->
    (N, out, 2H, 2W).
    """

    def __init__(self, in_channels: int, out_channels: int, make: Maker) -> None:
        super().__init__()
        self.norm0, self.norm1 = make.norm(in_channels), make.norm(out_channels)
        self.conv0, self.conv1 = make.conv(in_channels, out_channels, 3), make.conv(out_channels, out_channels, 3)
        self.skip = make.conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor, condition: Tensor, truncation: float | Tensor = 1.0) -> Tensor:
        """Double the size; the condition (N, size) drives the norms."""
        y = self.conv0(upsample(F.relu(self.norm0(x, condition, truncation))))
        y = self.conv1(F.relu(self.norm1(y, condition, truncation)))
        return y + upsample(self.skip(x))


class Generator(biggan_networks.Generator):
    """BigGAN's generator.

    Args:
        resolution: side of the images, a power of two of at least 8.
        channels: 1 (grey) or 3 (colour).
        z_dim: size of the latents z.
        channel_base: feature channels at a resolution times its side, so that they double with each halving.
        channel_max: most feature channels at any resolution.
        level_channels: feature channels at 4, 8, ... pixels, in place of `channel_base` and `channel_max`.
        classes: number of classes, 0 for a generator without.
        embed: size of the shared embedding, 0 for norms that have a scale and a shift for each class instead.
        attention: sides of the feature maps that self-attention reads, of at least 8.
        hierarchical: whether each block reads a part of the latents; needs a shared embedding.
        eps: of the batch norms.
        affine: whether a scale and a shift for each channel follow the first layer, for BSA.
        prior: what turns standard normal numbers into latents (`gans/prior.py`).
    """

    def __init__(
        self,
        resolution: int = 128,
        channels: int = 3,
        z_dim: int = 120,
        channel_base: int = 12288,
        channel_max: int = 1536,
        level_channels: list[int] | None = None,
        classes: int = 0,
        embed: int = 128,
        attention: Sequence[int] = (),
        hierarchical: bool = True,
        eps: float = 1e-5,
        affine: bool = False,
        prior: PriorConfig | None = None,
    ) -> None:
        width = widths(resolution, channel_base, channel_max, level_channels)
        part = z_dim // len(width) if hierarchical else 0
        if hierarchical and not (part and embed):
            raise ValueError(
                f"hierarchical latents need z_dim of at least {len(width)}, a part for each resolution, "
                f"and a shared embedding, not {z_dim} and {embed}"
            )
        make = Maker((embed or max(classes, 1)) + part, bool(embed), eps)
        sides = list(width)[1:]
        check_attention(attention, sides)
        blocks: Blocks = Stack()
        for side in sides:
            blocks[str(side)] = Row([GeneratorBlock(width[side // 2], width[side], make)])
            if side in attention:
                blocks[str(side)].append(make.attention(width[side]))
        super().__init__(
            resolution,
            channels,
            z_dim,
            classes,
            embed,
            prior,
            inputs=z_dim - part * len(blocks),
            ends=(width[4], width[resolution]),
            make=make,
            blocks=blocks,
            affine=affine,
        )
        self.part = part

    def conditions(self, z: Tensor, y: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the first layer's part of the latents, and for each block the class's vector and its part."""
        if not self.part:
            return z, dict.fromkeys(self.blocks, y)
        first, *parts = torch.split(z, [self.dense.weight.shape[1], *[self.part] * len(self.blocks)], dim=1)
        return first, {side: torch.cat([y, part], dim=1) for side, part in zip(self.blocks, parts, strict=True)}


class DiscriminatorBlock(Layer):
    """ReLU, convolution, ReLU, convolution beside a shortcut, both averaged down by two: (N, in, H, W) -> (N, out, H/2,
    W/2).

    The first block sees the image as it is, without a ReLU before it; one that keeps size and width has no convolution
    in its shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int, first: bool, down: bool) -> None:
        super().__init__()
        self.conv0, self.conv1 = conv(in_channels, out_channels, 3), conv(out_channels, out_channels, 3)
        self.skip = conv(in_channels, out_channels, 1) if down or in_channels != out_channels else None
        self.first, self.down = first, down

    def forward(self, x: Tensor) -> Tensor:
        """Add the shortcut, which reads the input before the ReLU."""
        y = self.conv1(F.relu(self.conv0(x if self.first else F.relu(x))))
        if self.down:
            y, x = F.avg_pool2d(y, 2), F.avg_pool2d(x, 2)
        return y + (x if self.skip is None else self.skip(x))


class Discriminator(biggan_networks.Discriminator):
    """BigGAN's discriminator.

    Args: as `Generator`; `attention` names the sides of the maps that blocks put out, `halvings` is the number of
    blocks, from the image on, that halve the size (by default all but the last, to 4 pixels).
    """

    def __init__(
        self,
        resolution: int = 128,
        channels: int = 3,
        channel_base: int = 12288,
        channel_max: int = 1536,
        level_channels: list[int] | None = None,
        classes: int = 0,
        attention: Sequence[int] = (),
        halvings: int | None = None,
        feature_dim: int = 0,
    ) -> None:
        width = widths(resolution, channel_base, channel_max, level_channels)
        halvings = len(width) - 1 if halvings is None else halvings
        check_attention(attention, [resolution >> i for i in range(1, halvings + 1)])
        blocks: Blocks = Stack()
        before = channels
        for i, (side, after) in enumerate(sorted(width.items(), reverse=True)):
            blocks[str(side)] = Row([DiscriminatorBlock(before, after, first=i == 0, down=i < halvings)])
            if resolution >> min(i + 1, halvings) in attention:
                blocks[str(side)].append(Attention(after))
            before = after
        super().__init__(resolution, channels, classes, before, blocks, feature_dim)
