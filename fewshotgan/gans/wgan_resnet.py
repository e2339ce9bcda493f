"""The residual networks of WGAN-GP: batch norm in the generator, layer norm in the critic. TransferGAN and MineGAN
start from them.

Paper: Gulrajani et al., "Improved Training of Wasserstein GANs" (NeurIPS 2017, arXiv 1704.00028), section 5 and the
residual network for 64 pixels of its released code: four blocks each way, no norm before the critic's last layer, layer
norm over channels and pixels together so that the critic judges each image alone.

The generator is SNGAN's (`gans/sngan.py`) but for two things: pixels are repeated where that one interpolates, and the
first convolution of a block has no bias.

Trained by the Wasserstein loss with a gradient penalty (algorithm 1), with five steps of the critic for each of the
generator and Adam's betas 0 and 0.9.

Differs: no public checkpoint is read: TransferGAN's are of TensorFlow 1.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.gans import network, sngan
from fewshotgan.gans.class_norm import Conditioning
from fewshotgan.gans.layers import Layer, Stack, widths
from fewshotgan.gans.prior import PriorConfig
from fewshotgan.gans.spectral import GAIN


class GeneratorBlock(sngan.GeneratorBlock):
    """Norm, ReLU, upsampling, convolution, norm, ReLU, convolution beside a shortcut: (N, in, H, W) -> (N, out, 2H,
    2W).
    """

    def __init__(self, in_channels: int, out_channels: int, classes: int, feature_dim: int = 0) -> None:
        super().__init__(in_channels, out_channels, classes, feature_dim)
        self.conv0.register_parameter("bias", None)

    def upsample(self, x: Tensor) -> Tensor:
        """Double the size of (N, C, H, W) by repeating pixels."""
        return F.interpolate(x, scale_factor=2)


class Generator(sngan.Generator):
    """WGAN-GP's residual generator.

    Args: as `sngan.Generator`; the paper's sizes are z_dim 128, 64 to 512 channels at 64 pixels, and no classes.
    """

    block = GeneratorBlock

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        z_dim: int = 128,
        channel_base: int = 4096,
        channel_max: int = 512,
        classes: int = 0,
        prior: PriorConfig | None = None,
        conditioning: Conditioning = "norm",
    ) -> None:
        super().__init__(
            resolution, channels, z_dim, channel_base, channel_max, classes, prior, conditioning=conditioning
        )


class DiscriminatorBlock(Layer):
    """Norm, ReLU, convolution, twice, beside a shortcut, both averaged down by two: (N, in, H, W) -> (N, out, H/2,
    W/2).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm0, self.norm1 = nn.GroupNorm(1, in_channels), nn.GroupNorm(1, in_channels)
        self.conv0 = nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, 1)
        for conv, gain in ((self.conv0, GAIN), (self.conv1, GAIN), (self.skip, 1.0)):
            nn.init.xavier_uniform_(conv.weight, gain)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the size."""
        # PyTorch 2.6 crashes in the norm's backward where a map is channels_last and the block before frozen
        x = x.contiguous()
        y: Tensor = self.conv1(F.relu(self.norm1(self.conv0(F.relu(self.norm0(x))))))
        shortcut: Tensor = self.skip(F.avg_pool2d(x, 2))
        return F.avg_pool2d(y, 2) + shortcut


class Discriminator(network.Discriminator):
    """WGAN-GP's residual critic.

    Args: as `Generator`.
    """

    paper_loss = network.PaperLoss("wgan_gp", moves=5, betas=(0.0, 0.9))

    def __init__(
        self, resolution: int = 64, channels: int = 3, channel_base: int = 4096, channel_max: int = 512
    ) -> None:
        super().__init__(resolution, channels)
        width = widths(resolution, channel_base, channel_max)
        self.from_image = nn.Conv2d(channels, width[resolution], 3, padding=1)
        sides = sorted(width, reverse=True)[:-1]
        self.blocks: Stack[DiscriminatorBlock] = Stack(
            {str(side): DiscriminatorBlock(width[side], width[side // 2]) for side in sides}
        )
        self.out = nn.Linear(width[4] * 16, 1)
        for layer in (self.from_image, self.out):
            nn.init.xavier_uniform_(layer.weight)

    def groups(self) -> network.Groups:
        """Return the modules by the side of the map that they read, from the image to the logit: "64", "32", ...,
        "4".
        """
        groups: network.Groups = {side: [block] for side, block in self.blocks.items()}
        groups[str(self.resolution)].insert(0, self.from_image)
        return {**groups, "4": [self.out]}

    def forward(self, x: Tensor, features: list[Tensor] | None = None, *, labels: Tensor | None = None) -> Tensor:
        """Return logits (N, 1) of images (N, channels, H, W); `features` collects the output of each block."""
        self.check_labels(labels)
        logits: Tensor = self.out(self.trunk(x, 4, features).flatten(1))
        return logits

    def trunk(self, x: Tensor, side: int, features: list[Tensor] | None = None) -> Tensor:
        """Return what the blocks above `side` pixels make of images, (N, C, side, side)."""
        x = self.from_image(x)
        for name, block in self.blocks.items():
            if int(name) > side:
                x = block(x)
                if features is not None:
                    features.append(x)
        return x
