"""BigGAN-deep: BigGAN with bottleneck blocks, twice as many, whose shortcuts have no convolution in the generator.

Paper: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (ICLR 2019, arXiv 1809.11096),
section 4 and appendix B (figure 16 and tables 7 to 9): all latents and the class's vector drive all norms. A block of
the generator drops channels in its shortcut, one of the discriminator adds some by a convolution.

Computes what the authors' BigGAN-PyTorch computes, and the generators of Hugging Face's pytorch-pretrained-BigGAN
(`gans/official/biggan.py` converts both). The latter keep running statistics for 51 truncations, more planes than an
image has, and in evaluation the stored singular vectors; `statistics`, `planes` and `fresh` say so.

Trained as BigGAN is.

Differs: the latents follow the class's vector everywhere; without classes one vector drives the norms, and trains.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshotgan.files import UserError
from fewshotgan.gans import biggan_networks
from fewshotgan.gans.biggan_layers import Attention, Blocks, Maker, check_attention, conv, upsample
from fewshotgan.gans.layers import Layer, Row, Stack, widths
from fewshotgan.gans.prior import PriorConfig

Step = tuple[str, int, int]
"""A layer of a generator: "keep" or "up", a block that keeps the size or doubles it, or "attention"; channels in and
out.
"""
BOTTLENECK = 4  # a block's inputs over its hidden channels; in the discriminator its outputs over them


def planned(width: Mapping[int, int], depth: int, attention: Sequence[int]) -> list[Step]:
    """Return the layers of a generator with `depth` blocks for each doubling, the last of which doubles."""
    steps: list[Step] = []
    for side in list(width)[1:]:
        before, after = width[side // 2], width[side]
        steps += [("keep", before, before)] * (depth - 1) + [("up", before, after)]
        if side in attention:
            steps.append(("attention", after, after))
    return steps


def sides(plan: Sequence[Step]) -> Iterator[int]:
    """Yield the side of the map that each layer puts out."""
    side = 4
    for kind, _, _ in plan:
        side *= 2 if kind == "up" else 1
        yield side


class GeneratorBlock(Layer):
    """Four times norm, ReLU and convolution, beside a shortcut: (N, in, H, W) -> (N, out, H, W), or (N, out, 2H, 2W)
    with `up`.

    The kernels are 1, 3, 3 and 1 wide; the size doubles before the second. The shortcut drops channels.
    """

    def __init__(self, in_channels: int, out_channels: int, up: bool, make: Maker) -> None:
        super().__init__()
        hidden = max(in_channels // BOTTLENECK, 1)
        self.norm0, self.conv0 = make.norm(in_channels), make.conv(in_channels, hidden, 1)
        self.norm1, self.conv1 = make.norm(hidden), make.conv(hidden, hidden, 3)
        self.norm2, self.conv2 = make.norm(hidden), make.conv(hidden, hidden, 3)
        self.norm3, self.conv3 = make.norm(hidden), make.conv(hidden, out_channels, 1)
        self.out_channels, self.up = out_channels, up

    def forward(self, x: Tensor, condition: Tensor, truncation: float | Tensor = 1.0) -> Tensor:
        """Add the shortcut; the condition (N, size) drives the norms."""
        y = self.conv0(F.relu(self.norm0(x, condition, truncation)))
        y, x = F.relu(self.norm1(y, condition, truncation)), x[:, : self.out_channels]
        if self.up:
            y, x = upsample(y), upsample(x)
        y = self.conv2(F.relu(self.norm2(self.conv1(y), condition, truncation)))
        return self.conv3(F.relu(self.norm3(y, condition, truncation))) + x


class Generator(biggan_networks.Generator):
    """BigGAN-deep's generator.

    Args:
        resolution: side of the images, a power of two of at least 8.
        channels: 1 (grey) or 3 (colour).
        z_dim: size of the latents z.
        channel_base: feature channels at a resolution times its side, so that they double with each halving.
        channel_max: most feature channels at any resolution.
        level_channels: feature channels at 4, 8, ... pixels, in place of `channel_base` and `channel_max`.
        classes: number of classes, 0 for a generator without.
        embed: size of the shared embedding, at least 1.
        attention: sides of the feature maps that self-attention reads, of at least 8.
        depth: blocks for each doubling of the size.
        plan: the layers, in place of channels, `attention` and `depth`; see `Step`.
        eps: of the batch norms.
        statistics: number of truncations, from 0 to 1, that have running statistics of their own.
        fresh: whether spectral norm iterates in evaluation too.
        planes: outputs of the last convolution, of which the first `channels` are the image; by default no more.
        affine: whether a scale and a shift for each channel follow the first layer, for BSA.
        prior: what turns standard normal numbers into latents (`gans/prior.py`).
    """

    def __init__(
        self,
        resolution: int = 128,
        channels: int = 3,
        z_dim: int = 128,
        channel_base: int = 16384,
        channel_max: int = 2048,
        level_channels: list[int] | None = None,
        classes: int = 0,
        embed: int = 128,
        attention: Sequence[int] = (),
        depth: int = 2,
        plan: Sequence[Step] | None = None,
        eps: float = 1e-5,
        statistics: int = 1,
        fresh: bool = True,
        planes: int | None = None,
        affine: bool = False,
        prior: PriorConfig | None = None,
    ) -> None:
        if not embed:
            raise ValueError("BigGAN-deep needs a shared embedding, of at least 1 number")
        if plan is None:
            width = widths(resolution, channel_base, channel_max, level_channels)
            check_attention(attention, list(width)[1:])
            plan = planned(width, depth, attention)
        reached = list(sides(plan))
        if reached[-1] != resolution:
            raise ValueError(f"the plan's blocks end at {reached[-1]} pixels, not at {resolution}")
        make = Maker(embed + z_dim, eps=eps, fresh=fresh, statistics=statistics)
        blocks: Blocks = Stack()
        for side, (kind, before, after) in zip(reached, plan, strict=True):
            if str(side) not in blocks:
                blocks[str(side)] = Row()
            attends = kind == "attention"
            blocks[str(side)].append(
                make.attention(after) if attends else GeneratorBlock(before, after, kind == "up", make)
            )
        super().__init__(
            resolution,
            channels,
            z_dim,
            classes,
            embed,
            prior,
            inputs=embed + z_dim,
            ends=(plan[0][1], plan[-1][2]),
            make=make,
            blocks=blocks,
            affine=affine,
            planes=planes,
        )
        self.statistics = statistics

    def check_options(self, mix: Tensor | None, truncation: float | Tensor) -> None:
        """Raise one sentence for style mixing, or for a truncation that has no statistics.

        Raises:
            UserError: likewise.
        """
        super().check_options(mix, truncation)
        if self.statistics > 1 and not (isinstance(truncation, Tensor) or 0 <= truncation <= 1):
            raise UserError(f"This generator has statistics for truncations from 0 to 1, not for {truncation:g}.")

    def conditions(self, z: Tensor, y: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the classes' vectors beside the latents, for the first layer and all norms."""
        condition = torch.cat([y, z], dim=1)
        return condition, dict.fromkeys(self.blocks, condition)


class DiscriminatorBlock(Layer):
    """ReLU and convolution four times, beside a shortcut: (N, in, H, W) -> (N, out, H, W), or (N, out, H/2, W/2) with
    `down`.

    The kernels are 1, 3, 3 and 1 wide; the size is halved before the last. The shortcut's convolution makes the
    channels that are missing.
    """

    def __init__(self, in_channels: int, out_channels: int, down: bool) -> None:
        super().__init__()
        hidden = max(out_channels // BOTTLENECK, 1)
        self.conv0, self.conv3 = conv(in_channels, hidden, 1), conv(hidden, out_channels, 1)
        self.conv1, self.conv2 = conv(hidden, hidden, 3), conv(hidden, hidden, 3)
        added = out_channels - in_channels
        self.skip = conv(in_channels, added, 1) if added else None
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        """Add the shortcut."""
        y = self.conv1(F.relu(self.conv0(F.relu(x))))
        y = F.relu(self.conv2(F.relu(y)))
        if self.down:
            y, x = F.avg_pool2d(y, 2), F.avg_pool2d(x, 2)
        return self.conv3(y) + (x if self.skip is None else torch.cat([x, self.skip(x)], dim=1))


class Discriminator(biggan_networks.Discriminator):
    """BigGAN-deep's discriminator.

    Args: as `Generator`; `attention` names the sides of the maps that blocks put out, `depth` is the number of blocks
    at each resolution but 4, the first of which halves the size, `halvings` the number of resolutions, from the image
    on, of which that is so (all by default, to 4 pixels).
    """

    def __init__(
        self,
        resolution: int = 128,
        channels: int = 3,
        channel_base: int = 16384,
        channel_max: int = 2048,
        level_channels: list[int] | None = None,
        classes: int = 0,
        attention: Sequence[int] = (),
        depth: int = 2,
        halvings: int | None = None,
        feature_dim: int = 0,
    ) -> None:
        width = widths(resolution, channel_base, channel_max, level_channels)
        halvings = len(width) - 1 if halvings is None else halvings
        check_attention(attention, [resolution >> i for i in range(1, halvings + 1)])
        blocks: Blocks = Stack()
        descending = sorted(width, reverse=True)
        for i, side in enumerate(descending[:-1]):
            before, after = width[side], width[side // 2]
            later = [DiscriminatorBlock(after, after, down=False) for _ in range(depth - 1)]
            blocks[str(side)] = Row([DiscriminatorBlock(before, after, down=i < halvings), *later])
            if resolution >> min(i + 1, halvings) in attention:
                blocks[str(side)].append(Attention(after))
        blocks[str(resolution)].insert(0, conv(channels, width[resolution], 3))
        super().__init__(resolution, channels, classes, width[4], blocks, feature_dim)
