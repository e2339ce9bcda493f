"""The mapping network of the StyleGAN family: latents, and classes where there are some, to the intermediate space W.

Papers: Karras et al., "A Style-Based Generator Architecture for GANs" (CVPR 2019, arXiv 1812.04948), section 2;
"Training Generative Adversarial Networks with Limited Data" (NeurIPS 2020, arXiv 2006.06676), whose released code
embeds the class, normalises the embedding as it does the latents, and joins both. Its discriminator has such a network
of the class alone; the logit is the product of the image's features with it (arXiv 1802.05637, equation 3), over the
root of their number.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from fewshotgan.gans.layers import EqualLinear, Layer
from fewshotgan.gans.network import StateDict


def normalised(x: Tensor) -> Tensor:
    """Return rows (N, D) of unit mean square."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class MappingNetwork(Layer):
    """Map latents z (N, z_dim), and with classes their labels, to w (N, w_dim).

    Without `normalise`, the length of z counts, and not only its direction: zero is then the middle of the latents.

    Features of an image (N, feature_dim), if they condition it, are embedded, normalised and joined to z by a sum, as
    if the first layer read both by the same weights: a source's w keeps its distribution, whatever the embedding (Data
    Instance Prior, arXiv 2012.04256; the sum is our reading).
    """

    def __init__(
        self,
        z_dim: int,
        w_dim: int,
        layers: int,
        normalise: bool = True,
        classes: int = 0,
        lr_mul: float = 0.01,
        feature_dim: int = 0,
    ) -> None:
        super().__init__()
        self.normalise, self.z_dim, self.classes = normalise, z_dim, classes
        sizes = [z_dim + (w_dim if classes else 0)] + [w_dim] * layers
        self.layers = nn.Sequential(*(EqualLinear(a, b, lr_mul=lr_mul, activate=True) for a, b in pairwise(sizes)))
        self.embedding = EqualLinear(classes, w_dim) if classes else None
        self.instance = EqualLinear(feature_dim, z_dim) if feature_dim else None

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Normalise z to unit mean square, unless switched off, join the class's embedding, apply the layers; labels
        are classes (N,), weights of the classes (N, classes) or features of images (N, feature_dim).
        """
        z = normalised(z) if self.normalise else z
        if labels is not None and self.instance is not None:
            z = (z + normalised(self.instance(labels))) * math.sqrt(0.5)
        elif labels is not None:
            z = torch.cat([z, self.embedded(labels)], dim=1)
        w: Tensor = self.layers(z)
        return w

    def embedded(self, labels: Tensor) -> Tensor:
        """Return the normalised embeddings (N, w_dim) of classes (N,) or of weights of the classes (N, classes)."""
        assert self.embedding is not None  # asked of a network with classes alone
        weights = labels if labels.is_floating_point() else one_hot(labels, self.classes, self.embedding.weight)
        return normalised(self.embedding(weights))

    @torch.no_grad()
    def mean_class(self, prefix: str) -> StateDict:
        """Return the tensors, under `prefix`, of the first layer of a network without classes, whose bias has what the
        mean of the classes' embeddings adds here.
        """
        first = self.layers[0]
        assert isinstance(first, EqualLinear)
        mean = self.embedded(torch.arange(self.classes, device=first.weight.device)).mean(dim=0)
        seen, fan = first.weight[:, : self.z_dim], first.weight.shape[1]
        return {
            f"{prefix}layers.0.weight": seen * math.sqrt(self.z_dim / fan),  # the scale at run time follows the width
            f"{prefix}layers.0.bias": first.bias + first.weight[:, self.z_dim :] @ mean / math.sqrt(fan),
        }


class ClassProjection(Layer):
    """The logits (N, 1) of a discriminator's features (N, map_dim) and labels."""

    def __init__(self, classes: int, map_dim: int, layers: int) -> None:
        super().__init__()
        self.classes, self.scale = classes, 1 / math.sqrt(map_dim)
        self.mapping = MappingNetwork(0, map_dim, layers, normalise=False, classes=classes)

    def forward(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """Multiply the features by the mapped classes (N,) or mixtures of them (N, classes), or by their mean."""
        return features @ self.mean()[:, None] if labels is None else self.logits(features, labels)

    def logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the logits (N, 1) of each image's own class."""
        mapped = self.mapping(features[:, :0], labels)
        return (features * mapped).sum(dim=1, keepdim=True) * self.scale

    def mean(self) -> Tensor:
        """Return the mean of the mapped classes, (map_dim,), scaled."""
        weight = next(self.mapping.parameters())
        mapped = self.mapping(weight.new_empty(self.classes, 0), torch.arange(self.classes, device=weight.device))
        return mapped.mean(dim=0) * self.scale


class FeatureProjection(Layer):
    """What features of images add to the logits: E(c) . h, of a discriminator's features h (N, width) and c (N,
    feature_dim) -> (N, 1); as large as the logit of the image at the start, for c of unit length.
    """

    def __init__(self, feature_dim: int, width: int) -> None:
        super().__init__()
        self.embedding = EqualLinear(feature_dim, width)
        self.scale = math.sqrt(feature_dim / width)

    def forward(self, h: Tensor, features: Tensor) -> Tensor:
        """Return the product of h with the embedded features."""
        return (h * self.embedding(features)).sum(dim=1, keepdim=True) * self.scale


def one_hot(labels: Tensor, classes: int, like: Tensor) -> Tensor:
    """Return the weights (N, classes) of classes (N,), of the type of `like`."""
    return torch.eye(classes, dtype=like.dtype, device=like.device)[labels]
