"""Feature maps of images through which gradients pass, for losses that compare what images look like.

Two networks, as in the metrics: EfficientNet-Lite0, always there, and VGG16, which the LPIPS package fetches once.
Images are resized on tensors, since the metrics' own way (8 bits, PIL) has no gradient.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.metrics.diversity import lpips_network
from fewshotgan.metrics.extractors import SIDES, extractor_network

BACKBONES = ("efficientnet", "vgg")
VGG_SIDE = 224  # on which it was trained


def feature_maps(images: Tensor, backbone: str = "efficientnet") -> list[Tensor]:
    """Return activations (N, C, H, W) of images (N, 1 or 3, H, W), -1..1, from the finest to the coarsest.

    Args:
        images: what to describe.
        backbone: "efficientnet" (4 maps, the last of each stride) or "vgg" (10, after each ReLU from conv1_1 to
            conv4_3).

    Raises:
        UserError: if the backbone is unknown or can't be fetched.
    """
    if backbone not in BACKBONES:
        raise UserError(
            f"There is no network {backbone!r} for perceptual features; there are {' and '.join(BACKBONES)}."
        )
    return _efficientnet(images) if backbone == "efficientnet" else _vgg(images)


def _resized(images: Tensor, side: int) -> Tensor:
    return F.interpolate(
        images.expand(-1, 3, -1, -1), (side, side), mode="bilinear", antialias=True, align_corners=False
    )


def _efficientnet(images: Tensor) -> list[Tensor]:
    network = extractor_network("efficientnet").to(images.device)
    stages: list[Tensor] = network.stages((_resized(images, SIDES["efficientnet"]) + 1) * 127.5)
    return stages


def _vgg(images: Tensor) -> list[Tensor]:
    network = lpips_network().to(images.device)
    x, collected = network.scaling_layer(_resized(images, VGG_SIDE)), list[Tensor]()
    for part in (network.net.slice1, network.net.slice2, network.net.slice3, network.net.slice4):
        for layer in part:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                collected.append(x)
    return collected
