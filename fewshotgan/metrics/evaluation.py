"""One protocol for every number: `evaluate` and what it says about itself."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Protocol

import torch
from torch import Tensor

from fewshotgan.files import UserError
from fewshotgan.gans.gan import GAN
from fewshotgan.gans.mixture import Generator as Mixture
from fewshotgan.images import Images, load_images
from fewshotgan.metrics.extractors import NOISE, SIDES, VERSION
from fewshotgan.metrics.metric import SAID, Comparison, Metric, Need, have_classes
from fewshotgan.metrics.neighbours import NEIGHBOURS
from fewshotgan.metrics.registry import METRICS, get_metric

FAR = 10  # from -1..1, beyond what a generator draws: images of 0..255, most likely


class Sampler(Protocol):
    """Anything that makes images from a seed."""

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Return (n, C, H, W), -1..1."""


def evaluate(
    gan: Sampler | Tensor,
    domain: str | Images,
    *,
    metrics: Sequence[str] | None = None,
    n: int = 1000,
    seed: int = 0,
    train: Images | None = None,
) -> dict[str, Any]:
    """Compare generated images with real ones that no training has seen.

    Args:
        gan: a GAN, or images (N, C, H, W), -1..1.
        domain: a shipped domain, whose held-out images, resized to the GAN's where they differ, are the reference, or
            images of your own.
        metrics: names out of `fewshotgan.metrics.METRICS`; by default "fd_efficientnet", "kd_efficientnet",
            "precision", "recall" and, given `train`, "memorisation". Features are computed once for all.
        n: how many images to generate.
        seed: of their latents.
        train: the few images that were trained on, for the metrics that need them.

    Returns:
        {name: value, "protocol": what it takes to repeat the values}. Units, range, direction and source of each value
        stand in `METRICS[name]`.

    Raises:
        UserError: if there is no such metric or it lacks what it needs, the sizes don't fit, there are fewer than four
            images of a kind, NaN among them, the extractor can't be fetched, or memorisation is asked for without
            other real images than those trained on.
    """
    images, held_out = _compared(gan, domain, n, seed, train)
    chosen = _chosen(metrics, needs_met(gan, train, images.real, images.labels))
    values = {metric.name: metric.measure(images) for metric in chosen}
    details = {metric.name: metric.detail(images) for metric in chosen if metric.detail}
    made = None if isinstance(gan, Tensor) else seed
    return {**values, "protocol": {**_protocol(images, held_out, made, chosen), **details}}


def needs_met(gan: object, train: Images | None, real: Images, labels: Tensor | None) -> frozenset[Need]:
    """Return which of the metrics' needs a GAN, the images that it was trained on, if known, the real ones and the
    classes (N,) of the generated ones meet.
    """
    met: dict[Need, bool] = {
        "mixture": isinstance(getattr(gan, "generator", None), Mixture),
        "shots": train is not None,
        "classes": have_classes(real, labels),
    }
    return frozenset(need for need, is_met in met.items() if is_met)


def default_metrics(given: frozenset[Need]) -> list[str]:
    """Return the names of what is measured unasked."""
    return [metric.name for metric in METRICS.values() if metric.default and given.issuperset(metric.needs)]


def _chosen(names: Sequence[str] | None, given: frozenset[Need]) -> list[Metric]:
    """Return the metrics that are asked for, or those that are measured unasked, and refuse what they lack."""
    if names is None:
        names = default_metrics(given)
    if isinstance(names, str) or not names:
        raise UserError(f"metrics={names!r} is no list of names; give one, such as ['fd_efficientnet'].")
    chosen = [get_metric(name) for name in names]
    for metric in chosen:
        for need in set(metric.needs) - given:
            raise UserError(f"{metric.name} needs {SAID[need]}.")
    return chosen


def _compared(
    gan: Sampler | Tensor, domain: str | Images, n: int, seed: int, train: Images | None
) -> tuple[Comparison, bool]:
    """Return generated and real images side by side, and whether these are a domain's held-out ones."""
    if not (isinstance(gan, Tensor) or hasattr(gan, "sample")) or not isinstance(domain, str | Images):
        raise UserError(
            "evaluate takes a GAN or a tensor of images, and a shipped domain's name or Images; load them first."
        )
    if not isinstance(train, Images | None):
        raise UserError("evaluate takes as train the images that were trained on; load them first with load_images.")
    for name, value in (("n", n), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise UserError(f"{name}={value!r} must be a whole number.")
    if isinstance(gan, Tensor) and not (
        gan.is_floating_point() and gan.dim() == 4 and bool((gan.nan_to_num().abs() < FAR).all())
    ):
        raise UserError(
            f"evaluate takes generated images as floats (N, C, H, W), -1..1, not {gan.dtype} {tuple(gan.shape)}, "
            f"{gan.max()}."
        )
    fake = gan if isinstance(gan, Tensor) else gan.sample(n, seed=seed)
    if train is not None and train.pixels.shape[1:] != fake.shape[1:]:
        raise UserError(
            f"The images of train are {tuple(train.pixels.shape[1:])} and the generated ones {tuple(fake.shape[1:])} "
            "(channels, height, width); load them at the GAN's size."
        )
    real = _held_out(domain, fake) if isinstance(domain, str) else domain
    if fake.shape[1:] != real.pixels.shape[1:]:
        raise UserError(
            f"The generated images are {tuple(fake.shape[1:])} and those of {real.name} {tuple(real.pixels.shape[1:])} "
            "(channels, height, width); load the real ones at the GAN's size."
        )
    if train is not None and train.pixels.shape[1:] != real.pixels.shape[1:]:
        raise UserError(
            f"The images that were trained on are {tuple(train.pixels.shape[1:])} and those of {real.name} "
            f"{tuple(real.pixels.shape[1:])} (channels, height, width); load both at the GAN's size."
        )
    if min(len(real), len(fake)) <= NEIGHBOURS:
        raise UserError(
            f"{real.name}: {len(real)} real and {len(fake)} generated images are too few; give at least 4 of each."
        )
    made = None if isinstance(gan, Tensor) else gan
    return Comparison(fake, real, train, made, labels_made(gan, n, seed)), isinstance(domain, str)


def labels_made(gan: object, n: int, seed: int) -> Tensor | None:
    """Return the classes (n,) for which a class-conditional GAN makes images by default; None for any other."""
    return gan.labels(n, seed) if isinstance(gan, GAN) and gan.classes else None


def _origin(images: Images, held_out: bool) -> str:
    """Return where images come from and what was done to them."""
    note = images.note.rstrip(".")
    return f"{images.name}, " + (", ".join(filter(None, ["held out" * held_out, note])) or "as given")


def _held_out(domain: str, fake: Tensor) -> Images:
    """Return the held-out images of a shipped domain at the size of generated ones (N, C, H, W)."""
    return load_images(domain, split="held_out", resolution=fake.shape[-1], channels=fake.shape[1])


def _protocol(images: Comparison, held_out: bool, seed: int | None, chosen: list[Metric]) -> dict[str, Any]:
    """Return what a reader needs to repeat the numbers; seed is None where images were handed in, and not made here."""
    real = images.real
    extractors = sorted({metric.extractor for metric in chosen if metric.extractor})
    return {
        "versions": {metric.name: metric.version for metric in chosen},
        "definitions": {metric.name: f"{metric.units}; {metric.source}" for metric in chosen},
        "features": VERSION,
        "real": _origin(real, held_out),
        **({} if images.shots is None else {"train": _origin(images.shots, False)}),
        "n_real": len(real),
        "n_generated": len(images.fake),
        "sample_seed": seed,
        "weights": "unknown: images given" if seed is None else "moving average",
        "flips": "none",
        "truncation": None if seed is None else 1.0,
        "resize": "clean-fid (8 bits, PIL bicubic on float channels)",
        "extractors": {name: SIDES[name] for name in extractors},
        "noise": f"{NOISE:g}/255, one fixed pattern, efficientnet only",
        "torch": torch.__version__,
    }
