"""The projection discriminator, which SNGAN and BigGAN share: what follows their blocks.

Paper: Miyato and Koyama, "cGANs with Projection Discriminator" (ICLR 2018, arXiv 1802.05637), equation 3: the logit is
that of the image, and the product of its features with the embedding of its class is added. Data Instance Prior (arXiv
2012.04256) embeds what a pretrained network says of a real image in the place of the class.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from fewshotgan.gans import network
from fewshotgan.gans.layers import Stack
from fewshotgan.gans.spectral import SpectralEmbedding, SpectralLinear


class ProjectionDiscriminator(network.Discriminator):
    """A discriminator of blocks, whose last features are summed over their pixels; families make the layers.

    Attributes:
        blocks: by the side of the map that they read.
        out: features to the logit of the image.
        embedding: of the classes; None without.
        instance: embedding of the features that take their place; None without.
    """

    blocks: Stack[Any]
    out: SpectralLinear
    embedding: SpectralEmbedding | None
    instance: SpectralEmbedding | None

    def groups(self) -> network.Groups:
        """Return the modules by name, from the image to the logit: "64", "32", ..., "4" (with the last layers).

        A block's name is the side of the map that it reads, if every block but one at 4 pixels halves.
        """
        groups: network.Groups = {side: [block] for side, block in self.blocks.items()}
        last = [layer for layer in (self.out, self.embedding, self.instance) if layer is not None]
        groups.setdefault("4", []).extend(last)
        return groups

    def forward(self, x: Tensor, features: list[Tensor] | None = None, *, labels: Tensor | None = None) -> Tensor:
        """Return logits (N, 1) of images (N, channels, H, W).

        `features` collects the output of the blocks of each side. Of a class-conditional discriminator, `labels` (N,),
        or weights (N, classes), add the projection of the class, or features of images (N, feature_dim) theirs; without
        them it judges the image alone.
        """
        self.check_labels(labels)
        h = F.relu(self.trunk(x, 2, features)).sum(dim=(2, 3))
        logits = self.out(h)
        embedding = self.embedding if self.instance is None else self.instance
        if labels is None or embedding is None:
            return logits
        return logits + (embedding(labels) * h).sum(dim=1, keepdim=True)

    def mean_class(self) -> network.StateDict:
        """Return the state dict of the unconditional network, which judges the image alone, as this one does without
        labels.
        """
        return {key: value for key, value in self.state_dict().items() if not key.startswith("embedding")}
