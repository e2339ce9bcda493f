"""What the networks of BigGAN (`gans/biggan.py`) and BigGAN-deep (`gans/biggan_deep.py`) share: all but their blocks.

Papers: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (ICLR 2019, arXiv
1809.11096), appendix B; Miyato and Koyama, "cGANs with Projection Discriminator" (ICLR 2018, arXiv 1802.05637),
equation 3.
"""

from abc import abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshotgan.gans import network
from fewshotgan.gans.biggan_layers import (
    Attention,
    Blocks,
    ChannelAffine,
    ClassVectors,
    FeatureVectors,
    Maker,
    StandingNorm,
)
from fewshotgan.gans.prior import PriorConfig
from fewshotgan.gans.projection import ProjectionDiscriminator
from fewshotgan.gans.spectral import SpectralEmbedding, SpectralLinear


class Generator(network.LatentGenerator):
    """What both generators share; each file makes the blocks.

    Args:
        resolution: side of the images.
        channels: 1 (grey) or 3 (colour).
        z_dim: size of the latents z.
        classes: number of classes; without, one vector, which trains as well, stands for them all.
        embed: size of the shared embedding; 0 for norms that have a scale and a shift for each class instead.
        prior: what turns standard normal numbers into latents (`gans/prior.py`).
        inputs: numbers that the first layer reads.
        ends: feature channels at 4 pixels and before the image.
        make: makes the layers.
        blocks: the layers of each side.
        affine: whether a scale and a shift for each channel follow the first layer, for BSA.
        planes: outputs of the last convolution, of which the first `channels` are the image.
    """

    def __init__(
        self,
        resolution: int,
        channels: int,
        z_dim: int,
        classes: int,
        embed: int,
        prior: PriorConfig | None,
        *,
        inputs: int,
        ends: tuple[int, int],
        make: Maker,
        blocks: Blocks,
        affine: bool,
        planes: int | None = None,
    ) -> None:
        super().__init__(resolution, channels, z_dim, classes, prior, embed)
        if self.feature_dim and not embed:
            raise ValueError("features of images need a shared embedding, in whose place they stand")
        self.shared = ClassVectors(classes, embed) if embed else None
        self.instance = FeatureVectors(self.feature_dim, embed) if self.feature_dim else None
        self.dense = SpectralLinear(inputs, ends[0] * 16, make.fresh, orthogonal=True)
        self.affine = ChannelAffine(ends[0]) if affine else None
        self.blocks = blocks
        self.norm = StandingNorm(ends[1], make.eps, affine=True, statistics=make.statistics)
        self.to_image = make.conv(ends[1], planes or channels, 3)

    def groups(self) -> network.Groups:
        """Return the modules by name, from the latents to the image: "4" (with the shared embedding and the first
        layer), "8", ...
        """
        first = (self.shared, self.instance, self.dense, self.affine)
        groups: network.Groups = {"4": [module for module in first if module is not None]}
        for side, row in self.blocks.items():
            groups.setdefault(side, []).append(row)
        groups[str(self.resolution)] += [self.norm, self.to_image]
        return groups

    @abstractmethod
    def conditions(self, z: Tensor, y: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return what the first layer reads, and what drives the norms of each side, of latents (N, z_dim) and the
        classes' vectors (N, size).
        """

    def decode(self, z: Tensor, labels: Tensor | None, truncation: float | Tensor, features: list[Tensor]) -> Tensor:
        """Generate images, -1..1; `features` collects the 4-pixel map and the output of each side's blocks.

        Labels are classes (N,), or vectors in the place of theirs (N, embed), a miner's if the prior is one; without a
        shared embedding weights of the classes (N, classes); or features of images (N, feature_dim).
        """
        first, conditions = self.conditions(z, self.class_vectors(z, labels))
        x: Tensor = self.dense(first).view(z.shape[0], -1, 4, 4)
        features.append(x if self.affine is None else self.affine(x))
        for side, row in self.blocks.items():
            x = features[-1]
            for layer in row:
                x = layer(x) if isinstance(layer, Attention) else layer(x, conditions[side], truncation)
            features.append(x)
        x = self.to_image(F.relu(self.norm(features[-1], truncation)))
        return torch.tanh(x[:, : self.channels])

    def class_vectors(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return the vectors (N, size) of labels as `decode` takes them; without classes the only one there is, to
        which features of images add.
        """
        features, labels = (labels, None) if self.instance is not None else (None, labels)
        if labels is None:
            labels = torch.zeros(z.shape[0], dtype=torch.long, device=z.device)
        if self.instance is not None and self.shared is not None and features is not None:
            return self.shared(labels) + self.instance(features)
        if labels.is_floating_point():
            return labels
        return F.one_hot(labels, max(self.classes, 1)).to(z) if self.shared is None else self.shared(labels)

    def mean_class(self) -> network.StateDict:
        """Return the state dict of the unconditional network, whose vector is the mean of the classes'."""
        state = self.state_dict()
        if self.shared is not None:
            return {**state, "shared.table": state["shared.table"].mean(dim=0, keepdim=True)}
        modulations = [key for key in state if key.endswith((".scale.weight", ".shift.weight"))]
        return {**state, **{key: state[key].mean(dim=1, keepdim=True) for key in modulations}}


class Discriminator(ProjectionDiscriminator):
    """What both discriminators share; each file makes the blocks.

    Args:
        resolution: side of the images.
        channels: 1 (grey) or 3 (colour).
        classes: number of classes, 0 for none.
        width: of the last features.
        blocks: the layers of each side.
        feature_dim: size of the features of an image that are projected in the place of a class, 0 for none.
    """

    paper_loss = network.PaperLoss("hinge", moves=2, betas=(0.0, 0.999))

    def __init__(
        self, resolution: int, channels: int, classes: int, width: int, blocks: Blocks, feature_dim: int
    ) -> None:
        super().__init__(resolution, channels, classes, feature_dim)
        self.blocks: Blocks = blocks
        self.out = SpectralLinear(width, 1, fresh=True, orthogonal=True)
        self.embedding, self.instance = (
            SpectralEmbedding((size, width), fresh=True, orthogonal=True) if size else None
            for size in (classes, feature_dim)
        )

    def trunk(self, x: Tensor, side: int, features: list[Tensor] | None = None) -> Tensor:
        """Return what the blocks above `side` pixels make of images, (N, C, side, side) if every block halves."""
        for name, row in self.blocks.items():
            if int(name) > side:
                for layer in row:
                    x = layer(x)
                if features is not None:
                    features.append(x)
        return x
