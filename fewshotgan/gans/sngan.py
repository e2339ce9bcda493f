"""SNGAN: residual networks with batch norm in the generator and spectral norm in the discriminator, optionally
class-conditional.

Papers: Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (ICLR 2018, arXiv 1802.05957),
section 2.1 and the residual networks of its appendix; Miyato and Koyama, "cGANs with Projection Discriminator" (ICLR
2018, arXiv 1802.05637), equation 3, with class-conditional batch norm (`gans/class_norm.py`).

Computes what mimicry's SNGAN and cGAN-PD compute: bilinear upsampling; a discriminator block rectifies its input for
the shortcut too. The authors' own code repeats pixels (`nearest`), hands the shortcut the input as it is (not
`rectified`) and iterates in evaluation too (`iterates`). `gans/official` converts files of both.

Trained by the hinge loss, with five steps of the discriminator for each of the generator and Adam's betas 0 and 0.9, as
the residual networks of both papers and their released code are.

Differs: the 1x1 convolution of a generator's shortcut stands before the upsampling instead of after it, the same
function at a quarter of the cost.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.gans import class_norm, network
from fewshotgan.gans.class_norm import Conditioning, join, make_join, make_norm
from fewshotgan.gans.layers import Layer, Stack, widths
from fewshotgan.gans.prior import PriorConfig
from fewshotgan.gans.projection import ProjectionDiscriminator
from fewshotgan.gans.spectral import GAIN, SpectralConv2d, SpectralEmbedding, SpectralLinear


class GeneratorBlock(Layer):
    """Norm, ReLU, upsampling, convolution, norm, ReLU, convolution, beside an upsampled shortcut: (N, in, H, W) ->
    (N, out, 2H, 2W).
    """

    nearest = False

    def __init__(self, in_channels: int, out_channels: int, classes: int, feature_dim: int = 0) -> None:
        super().__init__()
        self.norm0, self.norm1 = (make_norm(size, classes, feature_dim) for size in (in_channels, out_channels))
        self.conv0 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv1 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, 1)
        for conv, gain in ((self.conv0, GAIN), (self.conv1, GAIN), (self.skip, 1.0)):
            nn.init.xavier_uniform_(conv.weight, gain)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """Double the size."""
        condition = () if labels is None else (labels,)
        y = self.conv0(self.upsample(F.relu(self.norm0(x, *condition))))
        out: Tensor = self.conv1(F.relu(self.norm1(y, *condition))) + self.upsample(self.skip(x))
        return out

    def upsample(self, x: Tensor) -> Tensor:
        """Double the size of (N, C, H, W), bilinearly or by repeating pixels."""
        if self.nearest:
            return F.interpolate(x, scale_factor=2)
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Generator(network.LatentGenerator):
    """SNGAN's residual generator.

    Args:
        resolution: side of the images, a power of two of at least 8.
        channels: 1 (grey) or 3 (colour).
        z_dim: size of the latents z.
        channel_base: feature channels at a resolution times its side, so that they double with each halving.
        channel_max: most feature channels at any resolution.
        classes: number of classes, 0 for a generator without.
        prior: what turns standard normal numbers into latents (`gans/prior.py`).
        nearest: whether upsampling repeats pixels instead of interpolating.
        conditioning: where classes enter: "norm" for the blocks' norms, "noise" for the first layer.
    """

    block: ClassVar[type[GeneratorBlock]] = GeneratorBlock

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        z_dim: int = 128,
        channel_base: int = 4096,
        channel_max: int = 1024,
        classes: int = 0,
        prior: PriorConfig | None = None,
        nearest: bool = False,
        conditioning: Conditioning = "norm",
    ) -> None:
        super().__init__(resolution, channels, z_dim, classes, prior)
        width = widths(resolution, channel_base, channel_max)
        self.dense = nn.Linear(z_dim, width[4] * 16)
        self.joined = make_join(classes, conditioning, width[4] * 16)
        normed = 0 if self.joined else classes
        self.blocks: Stack[GeneratorBlock] = Stack(
            {
                str(side): self.block(width[side // 2], width[side], normed, self.feature_dim)
                for side in width
                if side > 4
            }
        )
        for block in self.blocks.values():
            block.nearest = nearest
        self.norm = nn.BatchNorm2d(width[resolution])
        self.to_image = nn.Conv2d(width[resolution], channels, 3, padding=1)
        nn.init.xavier_uniform_(self.dense.weight)
        nn.init.xavier_uniform_(self.to_image.weight)

    def groups(self) -> network.Groups:
        """Return the modules by name, from the latents to the image: "4" (the fully connected layer), "8", ..."""
        groups: network.Groups = {
            "4": [self.dense, *filter(None, [self.joined])],
            **{side: [block] for side, block in self.blocks.items()},
        }
        groups[str(self.resolution)] += [self.norm, self.to_image]
        return groups

    def decode(self, z: Tensor, labels: Tensor | None, truncation: float | Tensor, features: list[Tensor]) -> Tensor:
        """Generate images, -1..1; `features` collects the 4-pixel map and the output of each block.

        Labels are classes (N,), weights of the classes (N, classes), a miner's if the prior is one, or features.
        """
        x = join(self.dense(z), self.joined, labels).view(z.shape[0], -1, 4, 4)
        features.append(x)
        for block in self.blocks.values():
            x = block(x, None if self.joined else labels)
            features.append(x)
        return torch.tanh(self.to_image(F.relu(self.norm(x))))

    def mean_class(self) -> network.StateDict:
        """Return the state dict of the unconditional network, whose scales and shifts are the means of this one's."""
        return class_norm.mean(self)


class DiscriminatorBlock(Layer):
    """ReLU, convolution, ReLU, convolution beside a shortcut, both averaged down by two: (N, in, H, W) -> (N, out, H/2,
    W/2).

    The first block sees the image as it is, without a ReLU before it; one that keeps size and width has no convolution
    in its shortcut.
    """

    def __init__(
        self, inner: int, outer: int, first: bool, down: bool, rectified: bool = True, iterates: bool = False
    ) -> None:
        super().__init__()
        hidden = outer if first else inner
        self.conv0 = SpectralConv2d(inner, hidden, 3, fresh=iterates)
        self.conv1 = SpectralConv2d(hidden, outer, 3, fresh=iterates)
        skips = down or inner != outer
        self.skip = SpectralConv2d(inner, outer, 1, gain=1.0, fresh=iterates) if skips else None
        self.first, self.down, self.rectified = first, down, rectified

    def forward(self, x: Tensor) -> Tensor:
        """Add the shortcut, which reads the rectified input (as in mimicry) or the input itself."""
        seen = x if self.first else F.relu(x)
        x = seen if self.rectified else x
        y = self.conv1(F.relu(self.conv0(seen)))
        if not self.down:
            return y + (x if self.skip is None else self.skip(x))
        assert self.skip is not None  # a block that halves has one; averaging first is the same and costs a quarter
        return F.avg_pool2d(y, 2) + self.skip(F.avg_pool2d(x, 2))


class Discriminator(ProjectionDiscriminator):
    """SNGAN's residual discriminator, with a projection of the class where there are classes.

    Args: as `Generator`; `halvings` is the number of blocks, from the image on, that halve the size (all by default, to
        2 pixels), `rectified` whether a shortcut reads the rectified input, `iterates` whether the spectral norm makes
        an iteration in evaluation too, `feature_dim` the size of the features of an image that are projected in the
        place of a class.
    """

    paper_loss = network.PaperLoss("hinge", moves=5, betas=(0.0, 0.9))

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        channel_base: int = 4096,
        channel_max: int = 1024,
        classes: int = 0,
        halvings: int | None = None,
        rectified: bool = True,
        iterates: bool = False,
        feature_dim: int = 0,
    ) -> None:
        super().__init__(resolution, channels, classes, feature_dim)
        width = widths(resolution, channel_base, channel_max)
        sides = sorted(width, reverse=True)
        halvings = len(sides) if halvings is None else halvings
        self.blocks: Stack[DiscriminatorBlock] = Stack()
        before = channels
        for i, side in enumerate(sides):
            self.blocks[str(side)] = DiscriminatorBlock(before, width[side], i == 0, i < halvings, rectified, iterates)
            before = width[side]
        self.out = SpectralLinear(before, 1, fresh=bool(classes) or iterates)
        self.embedding = SpectralEmbedding((classes, before), fresh=True) if classes else None
        self.instance = SpectralEmbedding((feature_dim, before), fresh=True) if feature_dim else None
        self.iterates = iterates

    def mean_class(self) -> network.StateDict:
        """Return the state dict of the unconditional network, whose spectral norm iterates in training alone."""
        state = super().mean_class()
        if self.iterates:
            return state
        weight, u = state["out.weight"], state["out.u"]
        v = F.normalize(weight.T @ u, dim=0)
        return {**state, "out.u": F.normalize(weight @ v, dim=0), "out.v": v}

    def trunk(self, x: Tensor, side: int, features: list[Tensor] | None = None) -> Tensor:
        """Return what the blocks above `side` pixels make of images, (N, C, side, side) if every block halves."""
        for name, block in self.blocks.items():
            if int(name) > side:
                x = block(x)
                if features is not None:
                    features.append(x)
        return x
