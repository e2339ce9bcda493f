"""Intra-LPIPS: how different are the samples that resemble one and the same of the few training images?

Paper: Ojha et al., "Few-shot Image Generation via Cross-domain Correspondence" (CVPR 2021, arXiv 2104.06820), section
4.2: each sample goes to the nearest of the k training images; the mean distance of pairs inside a cluster is averaged
over the clusters. A model that copies scores 0, whatever its FID.

Distances are LPIPS (Zhang et al., CVPR 2018, arXiv 1801.03924): squared differences of channel-normalised features,
weighted by channel, averaged over pixels and summed over layers. That is the squared distance of two long vectors, so
that N^2 pairs cost one matrix product. Two backbones, two names: `intra_lpips` with VGG16 and the trained weights of
the `lpips` package, whose backbone is fetched once; `intra_lpips_efficientnet` over EfficientNet-Lite0, unweighted,
always there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from torch import Tensor, nn

from fewshotgan.files import UserError
from fewshotgan.metrics.extractors import SIDES, extractor_network, prepare
from fewshotgan.metrics.metric import Comparison, Metric
from fewshotgan.progress import watched

AT_MOST = 50  # images of a cluster whose pairs are compared, as in the released code
SIDE = 256  # to which VGG's images are resized, as there
BATCH = 25

Embed = Callable[[Tensor], Tensor]
"""Maps images (N, C, H, W), -1..1, to vectors (N, D) whose squared distances are LPIPS."""


@dataclass(frozen=True)
class Intra:
    """Result: the mean over clusters of at least two, each cluster's mean (NaN for smaller ones), and all clusters'
    sizes.
    """

    value: float
    cluster_means: tuple[float, ...]
    sizes: tuple[int, ...]


def lpips_vector(features: list[Tensor], weights: list[Tensor] | None = None) -> Tensor:
    """Return vectors (N, D) whose squared distance is LPIPS, from feature maps (N, C, H, W), layer by layer.

    Args:
        features: the layers' activations.
        weights: (C,) for each layer, not negative; none for the unweighted form (`lpips=False` in the package's terms).
    """
    parts = []
    for i, x in enumerate(features):
        x = x / (x.norm(dim=1, keepdim=True) + 1e-10)
        if weights is not None:
            x = x * weights[i].sqrt()[:, None, None]
        parts.append(x.flatten(1) / (x.shape[2] * x.shape[3]) ** 0.5)
    return torch.cat(parts, dim=1)


def squared_distances(a: Tensor, b: Tensor) -> np.ndarray:
    """Return squared distances (N, M), float64, between rows (N, D) and (M, D)."""
    squares = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)[None] - 2 * a @ b.T
    return squares.clamp(min=0).double().cpu().numpy()


def cluster_distance(members: list[np.ndarray], between: Callable[[np.ndarray], np.ndarray], seed: int = 0) -> Intra:
    """Return the mean pair distance inside clusters.

    Args:
        members: indices of each cluster's samples; of a cluster with more than 50, 50 are drawn.
        between: returns the distances (n, n) between the samples of such indices (n,).
        seed: of the draw.
    """
    rng, means = np.random.default_rng(seed), []
    for indices in watched(members, "pairs of samples"):
        kept = indices if len(indices) <= AT_MOST else rng.permutation(indices)[:AT_MOST]
        upper = np.triu_indices(len(kept), k=1)
        means.append(float(between(kept)[upper].mean()) if len(kept) > 1 else float("nan"))
    known = [mean for mean in means if mean == mean]
    return Intra(
        float(np.mean(known)) if known else float("nan"), tuple(means), tuple(len(indices) for indices in members)
    )


def intra_lpips(samples: Tensor, shots: Tensor, backbone: str = "efficientnet", seed: int = 0) -> Intra:
    """Return the Intra-LPIPS of samples (N, C, H, W) around the training images (k, C, H, W), both -1..1; larger is
    more diverse.

    Args:
        samples: generated images.
        shots: the few images that were trained on.
        backbone: "efficientnet", or "vgg" (fetched once by torchvision).
        seed: of the draw from clusters of more than 50.

    Raises:
        UserError: if the backbone is unknown or can't be fetched, or no two samples fall to one training image.
    """
    embed = embedding(backbone)
    centres = embed(shots)
    nearest = np.concatenate(
        [
            squared_distances(embed(part), centres).argmin(axis=1)
            for part in watched(torch.split(samples, BATCH), "perceptual distances")
        ]
    )
    members = [np.flatnonzero(nearest == k) for k in range(len(shots))]

    def between(indices: np.ndarray) -> np.ndarray:
        vectors = torch.cat([embed(part) for part in torch.split(samples[torch.from_numpy(indices)], BATCH)])
        return squared_distances(vectors, vectors)

    found = cluster_distance(members, between, seed)
    if found.value != found.value:
        raise UserError(
            f"No two of the {len(samples)} samples fall to one training image, so they have no Intra-LPIPS; "
            "give more samples."
        )
    return found


def embedding(backbone: str) -> Embed:
    """Return the embedding of a backbone.

    Raises:
        UserError: if it is unknown or can't be fetched.
    """
    if backbone not in ("efficientnet", "vgg"):
        raise UserError(f"There is no backbone {backbone!r} for LPIPS; there are efficientnet and vgg.")
    return _efficientnet if backbone == "efficientnet" else _vgg


@torch.no_grad()
def _efficientnet(images: Tensor) -> Tensor:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = extractor_network("efficientnet").to(device)
    return lpips_vector(network.stages(prepare(images, SIDES["efficientnet"]).to(device)))


@torch.no_grad()
def _vgg(images: Tensor) -> Tensor:
    network = lpips_network()
    images = images.expand(-1, 3, -1, -1).to(next(network.parameters()).device)
    resized = nn.functional.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    return lpips_vector(
        list(network.net(network.scaling_layer(resized))), [layer.model[1].weight.flatten() for layer in network.lins]
    )


@cache
def lpips_network() -> Any:
    """Return the package's LPIPS with VGG16, whose backbone torchvision fetches once; its parts have no types."""
    import lpips

    try:
        network = lpips.LPIPS(net="vgg", verbose=False)
    except (URLError, OSError) as error:
        raise UserError(
            f"The VGG16 of LPIPS could not be fetched ({getattr(error, 'reason', error)}): it needs a connection once; "
            "offline use intra_lpips_efficientnet, or efficientnet features."
        ) from error
    return network.eval().requires_grad_(False).to("cuda" if torch.cuda.is_available() else "cpu")


def _metric(name: str, backbone: str, words: str) -> Metric:
    def found(images: Comparison) -> Intra:
        return images.once(name, lambda: intra_lpips(images.fake, images.given_shots().tensor(), backbone))

    def detail(images: Comparison) -> dict[str, object]:
        return {"clusters": found(images).sizes, "pairs": f"of at most {AT_MOST} of a cluster"}

    return Metric(
        name,
        lambda images: found(images).value,
        direction="high",
        digits=3,
        version=2,
        units="mean LPIPS of samples around one training image",
        range="0 (copies) upwards",
        source=f"Ojha et al. 2021, arXiv 2104.06820, section 4.2, {words}",
        needs=("shots",),
        detail=detail,
    )


METRICS = (
    _metric("intra_lpips_efficientnet", "efficientnet", "over EfficientNet-Lite0, unweighted"),
    _metric("intra_lpips", "vgg", "with the VGG16 of the LPIPS package"),
)
