"""One protocol for every number: `evaluate` and what it says about itself."""

import hashlib
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from fewshotgan.files import UserError, atomic_write, cache_dir
from fewshotgan.images import Images, load_images
from fewshotgan.metrics.diversity import AT_MOST, intra_lpips
from fewshotgan.metrics.extractors import NOISE, SIDES, features
from fewshotgan.metrics.frechet import frechet_distance
from fewshotgan.metrics.kernel import kernel_distance
from fewshotgan.metrics.laplacian import sharpness
from fewshotgan.metrics.mmd import DEFINITION, kmmd, mean_variance
from fewshotgan.metrics.neighbours import HELD_OUT_QUANTILE, memorisation, precision_recall

VERSION = 2  # of the protocol, to raise whenever a change here moves a number; old caches are then left alone
NEIGHBOURS = 3
FAR = 10  # from -1..1, beyond what a generator draws: images of 0..255, most likely
INTRA = (("intra_lpips_efficientnet", "efficientnet"), ("intra_lpips", "vgg"))
KEYS = {"efficientnet": ("fd_efficientnet", "kd_efficientnet"), "inception": ("fid", "kid")}


class Sampler(Protocol):
    """Anything that makes images from a seed."""

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return (n, C, H, W), -1..1."""


def evaluate(
    gan: Sampler | Tensor,
    domain: str | Images,
    *,
    n: int = 1000,
    seed: int = 0,
    inception: bool = False,
    train: Images | None = None,
    diversity: bool = False,
    mining: bool = False,
) -> dict[str, Any]:
    """Compare generated images with real ones that no training has seen.

    Args:
        gan: a GAN, or images (N, C, H, W), -1..1.
        domain: a shipped domain, whose held-out images, resized to the GAN's where they differ, are the reference, or
            images of your own.
        n: how many images to generate.
        seed: of their latents.
        inception: also compute `fid` and `kid`; needs the Inception file, fetched once.
        train: the few images that were trained on, for `memorisation`.
        diversity: also compute Intra-LPIPS around the images of `train`.
        mining: also compute the numbers of MineGAN's and BSA's tables (`fewshotgan.metrics.mmd`), and the sharpness.

    Returns:
        {"fd_efficientnet", "kd_efficientnet", "precision", "recall", "memorisation" (given `train`),
        "intra_lpips_efficientnet" (and "intra_lpips", given `inception`; with `diversity`), "kmmd_efficientnet",
        "mv_efficientnet" and "sharpness" (with `mining`), "fid" and "kid" (given `inception`), "protocol"}. Distances
        are better small; precision and recall, in 0..1, large; memorisation, in 0..1, small; Intra-LPIPS, whose
        clusters' sizes stand in the protocol, large; MV and sharpness, ratios to real images, near 1.

    Raises:
        UserError: if the sizes don't fit, there are fewer than four images of a kind, NaN among them, or no Inception
            to be had.
    """
    if not (isinstance(gan, Tensor) or hasattr(gan, "sample")) or not isinstance(domain, str | Images):
        raise UserError(
            "evaluate takes a GAN or a tensor of images, and a shipped domain's name or Images; load them first."
        )
    if not isinstance(train, Images | None):
        raise UserError("evaluate takes as train the images that were trained on; load them first with load_images.")
    if isinstance(gan, Tensor) and not (
        gan.is_floating_point() and gan.dim() == 4 and bool((gan.nan_to_num().abs() < FAR).all())
    ):
        raise UserError(
            f"evaluate takes generated images as floats (N, C, H, W), -1..1, not {gan.dtype} {tuple(gan.shape)}, "
            f"{gan.max()}."
        )
    fake = gan if isinstance(gan, Tensor) else gan.sample(n, seed=seed)
    real = _held_out(domain, fake) if isinstance(domain, str) else domain
    if fake.shape[1:] != real.pixels.shape[1:]:
        raise UserError(
            f"The generated images are {tuple(fake.shape[1:])} and those of {real.name} {tuple(real.pixels.shape[1:])} "
            "(channels, height, width); load the real ones at the GAN's size."
        )
    if min(len(real), len(fake)) <= NEIGHBOURS:
        raise UserError(
            f"{real.name}: {len(real)} real and {len(fake)} generated images are too few; give at least 4 of each."
        )
    scores: dict[str, Any] = {}
    sizes: dict[str, tuple[int, ...]] = {}
    for extractor in ("inception", "efficientnet") if inception else ("efficientnet",):
        a, b = real_features(real, extractor), features(fake, extractor)
        distance, kernel = KEYS[extractor]
        scores[distance], scores[kernel] = frechet_distance(a, b), kernel_distance(a, b)
    scores["precision"], scores["recall"] = precision_recall(a, b, NEIGHBOURS)
    if train is not None:
        scores["memorisation"] = memorisation(b, real_features(train, "efficientnet"), a)
    if mining:
        scores |= {
            "kmmd_efficientnet": kmmd(a, b),
            "mv_efficientnet": mean_variance(a, b),
            "sharpness": sharpness(fake, real.tensor()),
        }
    if diversity:
        if train is None:
            raise UserError("Intra-LPIPS is measured around the images that were trained on; hand them over as train.")
        for name, backbone in INTRA[: 1 + inception]:
            found = intra_lpips(fake, train.tensor(), backbone)
            scores[name], sizes[name] = found.value, found.sizes
    said = protocol(real, isinstance(domain, str), len(fake), None if fake is gan else seed, inception)
    said |= {"kmmd": DEFINITION} if mining else {}
    said |= {"intra_lpips": {"clusters": sizes, "pairs": f"of at most {AT_MOST} of a cluster"}} if diversity else {}
    return {**scores, "protocol": said}


def _held_out(domain: str, fake: Tensor) -> Images:
    """Return the held-out images of a shipped domain at the size of generated ones (N, C, H, W)."""
    return load_images(domain, split="held_out", resolution=fake.shape[-1], channels=fake.shape[1])


def protocol(real: Images, held_out: bool, n_generated: int, seed: int | None, inception: bool) -> dict[str, Any]:
    """Return what a reader needs to repeat a number; seed is None where images were handed in, and not made here."""
    return {
        "version": VERSION,
        "real": f"{real.name}, {'held out' if held_out else 'as given'}"
        + (f", {real.note}" if held_out and real.note else ""),
        "n_real": len(real),
        "n_generated": n_generated,
        "sample_seed": seed,
        "weights": "unknown: images given" if seed is None else "moving average",
        "flips": "none",
        "truncation": None if seed is None else 1.0,
        "resize": "clean-fid (8 bits, PIL bicubic on float channels)",
        "extractors": {name: SIDES[name] for name in SIDES if inception or name == "efficientnet"},
        "noise": f"{NOISE:g}/255, one fixed pattern, efficientnet only",
        "neighbours": NEIGHBOURS,
        "memorised": f"nearer to a training image than {1 - HELD_OUT_QUANTILE:.0%} of the real held-out images",
        "torch": torch.__version__,
    }


def real_features(images: Images, extractor: str) -> np.ndarray:
    """Return features (N, d) of real images, from the cache where they were computed before."""
    pixels = np.ascontiguousarray(images.pixels.numpy())
    key = hashlib.sha256(
        pixels.tobytes() + f"{pixels.shape} {extractor} {SIDES[extractor]} {VERSION}".encode()
    ).hexdigest()[:32]
    path = cache_dir() / "features" / f"{key}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            return file["features"].astype(np.float64)
    except Exception:  # not there, or broken in any of the ways that zipfile and numpy have for it
        rows = features(images.tensor(), extractor)
    try:
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, features=rows.astype(np.float32))
    except UserError:
        pass  # a cache that can't be written costs time, nothing else
    return rows.astype(np.float32).astype(np.float64)
