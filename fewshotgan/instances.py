"""What a frozen network says of images, and the memory of it that a GAN with a data instance prior keeps.

Paper: Mangla et al., "Data InStance Prior (DISP) in Generative Adversarial Networks" (WACV 2022, arXiv 2012.04256). The
networks C:

- "efficientnet": EfficientNet-Lite0, supervised, always there; what the metrics compare images by as well.
- "vgg": VGG16, supervised, fetched once; the mean over pixels of its last activations.
- "dinov2": DINOv2's smallest network, which learned from photographs without labels, fetched once (`dinov2.py`).
- "simclr": a small encoder of grey clothes and shoes, trained here without labels, always there (`simclr.py`).
- a file: another encoder that `fewshotgan.simclr` trained.
- "random": EfficientNet-Lite0 without its training, a control.
- "onehot": the number of the image, which says nothing of what is in it, a control.

Readings of ours, where the paper is silent: what a network says is brought to unit length, centred on the mean of the
training images and turned into their principal components, at a common scale at which the mean squared length is 1. No
information about the training images is lost where there are as many components as images, less one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch
import torch.nn.functional as F
from torch import Tensor

from fewshotgan.dinov2 import describe_by_dinov2
from fewshotgan.files import UserError, clip
from fewshotgan.gans.prior import Instances, PriorConfig, Sampling
from fewshotgan.images import Images
from fewshotgan.metrics import real_features
from fewshotgan.metrics.diversity import lpips_network
from fewshotgan.metrics.extractors import BATCH, SIDES, prepare, untrained_network
from fewshotgan.simclr import Encoder, digest, load_encoder, shipped_encoder

NETWORKS = ("efficientnet", "vgg", "dinov2", "simclr", "random", "onehot")
VGG_SIDE = 224  # on which it was trained
STEPS = 50  # of k-means
ALIKE = 1e-4  # of features of unit length: no difference


def check_network(network: str) -> None:
    """Raise one sentence unless this is a network's name or the file of an encoder.

    Raises:
        UserError: if so.
    """
    if is_named(network):
        return
    if not Path(network).is_file():
        raise UserError(
            f"features={clip(network, 60)!r} names no network: give {', '.join(NETWORKS)}, or the file of an encoder "
            "that fewshotgan.simclr trained."
        )
    load_encoder(network)


def is_named(network: str) -> bool:
    """Return whether this names a network, and no file: one of `NETWORKS`, or the shipped encoder with its digits."""
    return network in NETWORKS or network == network_name("simclr")


def network_name(network: str) -> str:
    """Return what a GAN calls a network: its name, that of an encoder with digits that stand for its weights."""
    if network == "simclr":
        return f"simclr {digest(shipped_encoder())}"
    return network if is_named(network) else f"simclr {digest(load_encoder(network))}"


def _encoder(network: str) -> Encoder:
    """Return the encoder of a file, or the shipped one by its name."""
    return shipped_encoder() if is_named(network) else load_encoder(network)


def describe(images: Images, network: str) -> Tensor:
    """Return what a network says of images: rows of unit length (N, size), on the CPU.

    Raises:
        UserError: if the network can't be fetched, knows other images, or says nothing of what is in them.
    """
    if network == "onehot":
        raise UserError("onehot numbers the training images, and no other image has a number: adapt with features.")
    if network == "efficientnet":  # kept on disk, as for the metrics
        described = torch.from_numpy(real_features(images, network)).float()
    else:
        see = _seeing(network, images)
        described = torch.cat([see(part) for part in torch.split(images.tensor(), BATCH)])
    return F.normalize(described, dim=1)


@torch.no_grad()
def _vgg(x: Tensor) -> Tensor:
    network = lpips_network()
    device = next(network.parameters()).device
    x = F.interpolate(x.expand(-1, 3, -1, -1), (VGG_SIDE, VGG_SIDE), mode="bilinear", antialias=True).to(device)
    activations: Tensor = list(network.net(network.scaling_layer(x)))[-1].mean(dim=(2, 3)).cpu()
    return activations


@torch.no_grad()
def _random(x: Tensor) -> Tensor:
    described: Tensor = _untrained()(prepare(x, SIDES["efficientnet"]))
    return described


@cache
def _untrained() -> Any:
    return untrained_network()


def _seeing(network: str, images: Images) -> Callable[[Tensor], Tensor]:
    """Return what maps images (N, C, H, W), -1..1, to rows (N, size)."""
    known = {"vgg": _vgg, "dinov2": describe_by_dinov2, "random": _random}
    if network in known:
        return known[network]
    encoder = _encoder(network)
    if encoder.channels != images.channels:
        raise UserError(
            f"{clip(network, 60)} describes images of {encoder.channels} channels, and {clip(images.name, 40)} has "
            f"{images.channels}; train an encoder on such images."
        )
    return encoder


@dataclass(frozen=True)
class Memory:
    """What a generator's prior remembers of the training images.

    Attributes:
        each: the features that condition both networks beside each training image, (n, feature_dim).
        config: of the prior.
        tensors: of the prior, by the names of its buffers.
    """

    each: Tensor
    config: PriorConfig
    tensors: dict[str, Tensor]

    def fill(self, prior: Instances) -> None:
        """Put the tensors into a prior of this configuration."""
        prior.load_state_dict(self.tensors)


def remember(
    images: Images, network: str, *, components: int, clusters: int = 0, sampling: Sampling = "bank", seed: int = 0
) -> Memory:
    """Return the memory of images.

    Args:
        images: at least two.
        network: a name or a file, see the module's docstring.
        components: at most so many principal components are kept; onehot keeps all numbers.
        clusters: so many centroids of k-means stand for the images, for large data; 0 for the images themselves.
        sampling: how the prior draws features (`gans/prior.py`).
        seed: of k-means.

    Raises:
        UserError: for more clusters than images, images that are all alike, or as `describe`.
    """
    if clusters > len(images):
        raise UserError(
            f"clusters={clusters} are more than the {len(images)} images of {clip(images.name, 40)}: ask for fewer, or "
            "for 0, so that each image stands for itself."
        )
    if network == "onehot":
        centre, projection = torch.zeros(len(images)), torch.eye(len(images))
        each = projection
    else:
        described = describe(images, network)
        if (described - described[0]).abs().max() < ALIKE:
            raise UserError(
                f"{clip(network, 60)} says the same of all images of {clip(images.name, 40)}: give images that differ, "
                "or another network."
            )
        centre, projection = principal(described, components)
        each = (described - centre) @ projection
    bank, shares, spread = each, torch.full((len(each),), 1 / len(each)), nearest_spread(each)
    if clusters:
        each, bank, shares, spread = clustered(each, clusters, seed)
    order = bank[:, 0].argsort()  # so that near numbers choose near rows
    tensors = {"bank": bank[order], "shares": shares[order], "spread": spread}
    tensors |= {"centre": centre, "projection": projection}
    sizes = {"size": len(centre), "feature_dim": each.shape[1], "rows": len(bank)}
    config: PriorConfig = {"kind": "instances", "network": network_name(network), "sampling": sampling, **sizes}  # type: ignore[typeddict-item]
    return Memory(each, config, tensors)


def principal(described: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """Return the mean (size,) of rows (n, size), and the projection (size, k) onto their k principal components, k at
    most n - 1, scaled so that the mean squared length of a projected row is 1.
    """
    centre = described.mean(dim=0)
    rows = described - centre
    directions = torch.linalg.svd(rows, full_matrices=False).Vh[: min(components, len(rows) - 1)].T
    length = (rows @ directions).square().sum(dim=1).mean().sqrt()
    return centre, directions / length.clamp(min=1e-6)


def nearest_spread(each: Tensor) -> Tensor:
    """Return half the root mean square, (d,), of the differences of rows (n, d) to their nearest other row."""
    distances = torch.cdist(each, each) + torch.diag(torch.full((len(each),), torch.inf))
    return (each - each[distances.argmin(dim=1)]).square().mean(dim=0).sqrt() / 2


def clustered(each: Tensor, clusters: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return of rows (n, d) each one's centroid by k-means (n, d), the centroids (k, d), their shares of the rows (k,),
    and the rows' standard deviations about them (d,).
    """
    found, numbers = scipy.cluster.vq.kmeans2(
        each.double().numpy(), clusters, minit="++", iter=STEPS, rng=np.random.default_rng(seed)
    )
    counts = np.bincount(numbers, minlength=clusters)
    bank = torch.from_numpy(found).float()
    own = bank[torch.from_numpy(numbers).long()]
    kept = torch.from_numpy(counts > 0)
    shares = torch.from_numpy(counts / len(each)).float()
    return own, bank[kept], shares[kept], (each - own).square().mean(dim=0).sqrt()
