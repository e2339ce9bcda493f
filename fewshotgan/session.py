"""`adapt`: what it is given is checked here, then handed to the training loop, with a live grid of samples in a
notebook.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from fewshotgan.checkpoint import digest
from fewshotgan.device import choose_device
from fewshotgan.files import UserError, check_folder, check_seed, shown, sweep, whole, whole_name
from fewshotgan.gans.gan import GAN, MIXTURE, combine
from fewshotgan.images import Images
from fewshotgan.images.labels import labels_to_learn
from fewshotgan.kept import Kept
from fewshotgan.logs import Log
from fewshotgan.methods import METHODS, Method, create_method
from fewshotgan.pictures import LiveGrid
from fewshotgan.run import Run, Viewer
from fewshotgan.stopping import choose, last
from fewshotgan.train import Loop, make_task

ITERATIONS, BATCH = 500, 8  # unless asked for others: the budget of most tables
MOST_ITERATIONS, MOST_BATCH = 10**8, 10**5  # beyond which a number is a slip of the finger
SNAPSHOTS = 12  # of a run, unless told otherwise
KEEP = ("last", "best")


def adapt(
    gan: GAN | Sequence[GAN],
    images: Images,
    method: str | Method = "freezed",
    *,
    iterations: int = ITERATIONS,
    batch: int = BATCH,
    seed: int = 0,
    augment: str | None = "diffaugment",
    device: str | torch.device | None = None,
    out: str | Path | None = None,
    minutes: float | None = None,
    snapshot_every: int | None = None,
    progress: bool = True,
    viewer: Viewer | None = None,
    discriminator: str | None = None,
    keep: str = "last",
    log: bool = False,
    **options: object,
) -> Run:
    """Adapt a GAN to a few images; the GAN handed in is left untouched.

    Args:
        gan: the pretrained source (a class-conditional one is reduced to its mean class unless the method mines
            classes), or several of one image size to be mined.
        images: the few images, of the GAN's resolution and channels.
        method: a name of `fewshotgan.list_methods()`, or a method made with its options, of the package or your own.
        iterations: steps of the generator, over all stages; a discriminator has several for each with some losses.
        batch: images per step.
        seed: of everything random; the same seed gives the same samples on the same device.
        augment: "diffaugment", "ada" or None, applied to all that the discriminator sees.
        device: a GPU where there is one by default.
        out: folder for a checkpoint; a run with the same arguments goes on from there, after an interruption or with
            more iterations. The GANs along the way lie in its `iterations`.
        minutes: stop (resumably, given `out`) after so much time.
        snapshot_every: iterations between snapshots; a twelfth of the run by default.
        progress: show a progress bar.
        viewer: called with (iteration, images) at each snapshot; by default, beside the progress bar of a notebook, a
            live grid.
        discriminator: "fresh" starts one from scratch, which a GAN that came without needs for most methods; by default
            the GAN's own.
        keep: "last", or "best": the GAN of the snapshot that `fewshotgan.stopping` prefers, by the images alone.
        log: write `losses.csv` into `out`, and TensorBoard's events where that is installed.
        options: of a method that is given by name.

    Returns:
        The `Run`.

    Raises:
        UserError: for GANs, images or options that don't fit.
        CollapseError: if a loss is not finite or the samples collapse; its `run` holds the last good state.
    """
    check_kinds(gan, images)
    chosen = choose_method(method, options)
    gan = gan if isinstance(gan, GAN) else combine(gan)
    iterations, batch, seed = whole("iterations", iterations), whole("batch", batch), whole("seed", seed)
    check_seed(seed)
    check_stopping(minutes, snapshot_every, keep, out, log)
    gan = choose_discriminator(gan, discriminator, seed)
    check(gan, images, chosen, iterations, batch, seed)
    labels = labels_to_learn(images, chosen.name) if chosen.labelled else None
    spec = {
        "gan": gan.name, "images": images.name, "n": len(images), "method": chosen.name, "iterations": iterations,
        "batch": batch, "seed": seed, "augment": augment, "digests": digests(gan, images, labels),
    }  # fmt: skip
    if discriminator is not None:
        spec["discriminator"] = discriminator
    source = gan if chosen.conditional else gan.unconditional()
    task = make_task(source, images.pixels, batch, seed, augment, choose_device(device), labels)
    training = chosen.build(task)
    spec["options"] = training.method.options()
    place = None if out is None else whole_name(out)
    if place is not None:
        check_folder(place)
        sweep(place)
    viewer = viewer or (LiveGrid() if progress else None)
    every = max(1, iterations // SNAPSHOTS) if snapshot_every is None else whole("snapshot_every", snapshot_every)
    loop = Loop(
        training, spec, iterations, every, viewer,
        kept=Kept(place / "iterations" if place else None), log=Log(place) if log and place else None,
    )  # fmt: skip
    run = loop.run(place / "checkpoint.pt" if place else None, minutes, progress)
    if keep == "last":
        return last(run)
    return last(run, "the last: the run was stopped") if run.interrupted else choose(run, images, progress)


def choose_method(method: object, options: dict[str, object]) -> Method:
    """Return the method of a name and its options, or the method itself.

    Raises:
        UserError: if it is neither, or if a method that has its options already gets more.
    """
    if isinstance(method, str):
        return create_method(method, **options)
    if not isinstance(method, Method):
        raise UserError(f"adapt takes a method's name or a method, such as TransferGAN(), not {shown(method)}.")
    if options:
        given = ", ".join(f"{name}=..." for name in options)
        raise UserError(f"Give options to the method itself: {type(method).__name__}({given}).")
    return method


def choose_discriminator(gan: GAN, discriminator: str | None, seed: int) -> GAN:
    """Return the GAN, with a fresh discriminator if that is asked for.

    Raises:
        UserError: for anything but "fresh" or None.
    """
    if discriminator is None:
        return gan
    if discriminator != "fresh":
        raise UserError(
            f'discriminator={shown(discriminator)} can\'t be; give "fresh" for one from scratch, or leave it out.'
        )
    return gan.judged(seed)


def check_kinds(gan: object, images: object) -> None:
    """Raise one sentence if names or paths were handed over instead of what is loaded from them."""
    for one in gan if isinstance(gan, list | tuple) else (gan,):
        if not isinstance(one, GAN):
            raise UserError(f"adapt takes a GAN, not {shown(one)}; load it first with load_gan(name_or_path).")
    if not isinstance(images, Images):
        what = shown(images) if isinstance(images, str | Path) else f"a {type(images).__name__}"
        raise UserError(
            f"adapt takes images as load_images returns them, not {what}; load them first with load_images(folder)."
        )


def check(gan: GAN, images: Images, method: Method, iterations: int, batch: int, seed: int) -> None:
    """Raise one sentence if the images can't be used with this GAN and method."""
    images.check_fits(gan.name, gan.resolution, gan.channels)
    if gan.config["family"] == MIXTURE and not method.multi_source:
        raise UserError(f"{method.name} adapts one GAN at a time; hand over one of {gan.name}, or use minegan.")
    if method.needs_discriminator and not gan.complete:
        without = " or ".join(name for name, kind in METHODS.items() if not kind.needs_discriminator)
        raise UserError(
            f"{method.name} needs a discriminator, and {gan.name} came without one: adapt it with {without}, or start "
            'one from scratch with discriminator="fresh".'
        )
    if len(images) < method.least_images:
        raise UserError(f"{method.name} needs at least {method.least_images} images; {images.name} has {len(images)}.")
    for name, value, most in (("iterations", iterations, MOST_ITERATIONS), ("batch", batch, MOST_BATCH)):
        if not 1 <= value <= most:
            raise UserError(f"{name}={shown(value)} must be from 1 to {most:,}.")


def check_stopping(minutes: object, snapshot_every: object, keep: object, out: str | Path | None, log: bool) -> None:
    """Raise one sentence if a run can't stop, look, keep or log as it is told to."""
    if minutes is not None and not (isinstance(minutes, int | float) and 0 <= minutes < math.inf):
        raise UserError(f"minutes={shown(minutes)} is no time limit; give a number of minutes, or leave it out.")
    if snapshot_every is not None and whole("snapshot_every", snapshot_every) < 1:
        raise UserError(f"snapshot_every={shown(snapshot_every)} must be at least 1.")
    if keep not in KEEP:
        raise UserError(f"keep={shown(keep)} is unknown; it is {' or '.join(map(repr, KEEP))}.")
    if log and out is None:
        raise UserError("A log needs a folder; give out as well.")


def digests(gan: GAN, images: Images, labels: Tensor | None = None) -> dict[str, str]:
    """Return what tells a source, images and the labels that are learned from others of the same names."""
    learned = {} if labels is None else {"labels": digest([labels])}
    return {"gan": digest(gan.weights()), "images": digest([images.pixels]), **learned}
