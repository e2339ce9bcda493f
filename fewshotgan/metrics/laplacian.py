"""Sharpness: how strong the edges of generated images are beside those of real ones.

The variance of the Laplacian is the usual measure of focus (Pech-Pacheco et al., "Diatom autofocusing in brightfield
microscopy: a comparative study", ICPR 2000); blurred images have less, noise has more, so that it tells only how
blurred images are that look right.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from fewshotgan.metrics.metric import Metric


def laplacian_variance(images: Tensor) -> Tensor:
    """Return the variance over pixels of the Laplacian of the grey images, (N,), of images (N, C, H, W), -1..1."""
    grey = images.double().mean(dim=1, keepdim=True)
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]], dtype=grey.dtype, device=grey.device)
    return F.conv2d(grey, kernel[None, None]).flatten(1).var(dim=1)


def sharpness(fake: Tensor, real: Tensor) -> float:
    """Return the mean variance of the Laplacian of generated images (M, C, H, W) over that of real ones; 1 is as
    sharp, less is blurred.
    """
    return float(laplacian_variance(fake).mean() / laplacian_variance(real).mean())


METRICS = (
    Metric(
        "sharpness",
        lambda images: sharpness(images.fake, images.real.tensor()),
        direction="one",
        digits=3,
        version=2,
        units="variance of the Laplacian over that of real images",
        range="0 (blurred) to infinity (noise)",
        source="Pech-Pacheco et al., ICPR 2000",
    ),
)
