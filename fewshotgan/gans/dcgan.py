"""DCGAN: strided convolutions both ways, batch norm in both networks.

Paper: Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks"
(ICLR 2016, arXiv 1511.06434), section 3, with the widths and depths of PyTorch's own tutorial, whose files
`gans/official/dcgan.py` reads: no norm at the image on either side, convolutions without bias.

Trained by the logistic loss with Adam's betas 0.5 and 0.999 (section 4).

Differs: R1, which the paper does not have, comes with that loss unless it is switched off. The discriminator returns
the logit before the tutorial's sigmoid. The generator's first layer has a bias, zero at the start and in the tutorial's
files, which BSA shifts.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.gans import class_norm, network
from fewshotgan.gans.class_norm import ConditionalNorm, Conditioning, join, make_join, make_norm
from fewshotgan.gans.layers import LEAK, Layer, Stack, widths
from fewshotgan.gans.prior import PriorConfig

STD = 0.02  # of initial weights, and of norms' scales around one


def inner_widths(resolution: int, channel_base: int, channel_max: int) -> dict[int, int]:
    """Return {resolution: feature channels} from 4 pixels to half the image's side."""
    width = widths(resolution, channel_base, channel_max)
    return {side: channels for side, channels in width.items() if side < resolution}


def norm(channels: int, classes: int = 0) -> ConditionalNorm | nn.BatchNorm2d:
    """Return batch norm with the tutorial's initial scales, of each class where there are classes."""
    layer = make_norm(channels, classes)
    nn.init.normal_(layer.weight, 1.0, STD)
    return layer


class UpConv2d(Layer):
    """Transposed 4x4 convolution without bias, its weight (out, in, 4, 4): (N, in, H, W) -> (N, out, 2H, 2W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 4, 4) * STD)

    def forward(self, x: Tensor) -> Tensor:
        """Double the size."""
        return F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2, padding=1)


class GeneratorBlock(Layer):
    """Transposed convolution, norm, ReLU: (N, in, H, W) -> (N, out, 2H, 2W)."""

    def __init__(self, in_channels: int, out_channels: int, classes: int) -> None:
        super().__init__()
        self.conv, self.norm = UpConv2d(in_channels, out_channels), norm(out_channels, classes)

    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        """Double the size; labels as of the norm, if it takes them."""
        return F.relu(self.norm(self.conv(x), *labels))


class Generator(network.LatentGenerator):
    """DCGAN's generator.

    Args:
        resolution: side of the images, a power of two of at least 8.
        channels: 1 (grey) or 3 (colour).
        z_dim: size of the latents z.
        channel_base: feature channels at a resolution times its side, so that they double with each halving.
        channel_max: most feature channels at any resolution.
        classes: number of classes, 0 for a generator without, as in the paper.
        prior: what turns standard normal numbers into latents (`gans/prior.py`).
        conditioning: where classes enter: "norm" for the norms, "noise" for the first layer.
    """

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        z_dim: int = 100,
        channel_base: int = 2048,
        channel_max: int = 512,
        classes: int = 0,
        prior: PriorConfig | None = None,
        conditioning: Conditioning = "norm",
    ) -> None:
        super().__init__(resolution, channels, z_dim, classes, prior)
        width = inner_widths(resolution, channel_base, channel_max)
        self.dense = nn.Linear(z_dim, width[4] * 16)
        self.joined = make_join(classes, conditioning, width[4] * 16)
        normed = 0 if self.joined else classes
        self.norm = norm(width[4], normed)
        self.blocks: Stack[GeneratorBlock] = Stack(
            {str(side): GeneratorBlock(width[side // 2], width[side], normed) for side in width if side > 4}
        )
        self.to_image = UpConv2d(width[resolution // 2], channels)
        nn.init.normal_(self.dense.weight, 0.0, STD)
        nn.init.zeros_(self.dense.bias)

    def groups(self) -> network.Groups:
        """Return the modules by name, from the latents to the image: "4" (the fully connected layer), "8", ..."""
        inner: network.Groups = {side: [block] for side, block in self.blocks.items()}
        return {
            "4": [self.dense, *filter(None, [self.joined]), self.norm],
            **inner,
            str(self.resolution): [self.to_image],
        }

    def decode(self, z: Tensor, labels: Tensor | None, truncation: float | Tensor, features: list[Tensor]) -> Tensor:
        """Generate images, -1..1; `features` collects the 4-pixel map, the output of each block, and the image before
        its tanh.
        """
        x = join(self.dense(z), self.joined, labels).view(z.shape[0], -1, 4, 4)
        condition = () if labels is None or self.joined else (labels,)
        x = F.relu(self.norm(x, *condition))
        features.append(x)
        for block in self.blocks.values():
            x = block(x, *condition)
            features.append(x)
        x = self.to_image(x)
        features.append(x)
        return torch.tanh(x)

    def mean_class(self) -> network.StateDict:
        """Return the state dict of the unconditional network, whose scales and shifts are the means of this one's."""
        return class_norm.mean(self)


class DiscriminatorBlock(Layer):
    """Convolution, norm, leaky ReLU: (N, in, H, W) -> (N, out, H/2, W/2)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv, self.norm = down(in_channels, out_channels), norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the size."""
        return F.leaky_relu(self.norm(self.conv(x)), LEAK)


def down(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 4x4 convolution without bias that halves the size."""
    conv = nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False)
    nn.init.normal_(conv.weight, 0.0, STD)
    return conv


class Discriminator(network.Discriminator):
    """DCGAN's discriminator, which mirrors the generator.

    Args: as `Generator`.
    """

    paper_loss = network.PaperLoss("logistic", betas=(0.5, 0.999))

    def __init__(
        self, resolution: int = 64, channels: int = 3, channel_base: int = 2048, channel_max: int = 512
    ) -> None:
        super().__init__(resolution, channels)
        width = inner_widths(resolution, channel_base, channel_max)
        self.from_image = down(channels, width[resolution // 2])
        self.blocks: Stack[DiscriminatorBlock] = Stack(
            {str(side): DiscriminatorBlock(width[side], width[side // 2]) for side in sorted(width, reverse=True)[:-1]}
        )
        self.out = nn.Conv2d(width[4], 1, 4, bias=False)
        nn.init.normal_(self.out.weight, 0.0, STD)

    def groups(self) -> network.Groups:
        """Return the modules by the side of the map that they read, from the image to the logit: "64", ..., "4"."""
        inner: network.Groups = {side: [block] for side, block in self.blocks.items()}
        return {str(self.resolution): [self.from_image], **inner, "4": [self.out]}

    def forward(self, x: Tensor, features: list[Tensor] | None = None, *, labels: Tensor | None = None) -> Tensor:
        """Return logits (N, 1) of images (N, channels, H, W); `features` collects the output of each block."""
        self.check_labels(labels)
        logits: Tensor = self.out(self.trunk(x, 4, features))
        return logits.flatten(1)

    def trunk(self, x: Tensor, side: int, features: list[Tensor] | None = None) -> Tensor:
        """Return what the blocks above `side` pixels make of images, (N, C, side, side)."""
        features = [] if features is None else features
        x = F.leaky_relu(self.from_image(x), LEAK)
        features.append(x)
        for name, block in self.blocks.items():
            if int(name) > side:
                x = block(x)
                features.append(x)
        return x
