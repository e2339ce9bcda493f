"""`adapt`: what it is given is checked here, then handed to the training loop, with a live grid of samples in a
notebook.
"""

import reprlib
from collections.abc import Sequence
from pathlib import Path

import torch

from fewshotgan.checkpoint import digest
from fewshotgan.device import choose_device
from fewshotgan.files import UserError, check_folder
from fewshotgan.gans.gan import GAN, MIXTURE, check_seed, combine
from fewshotgan.images import Images
from fewshotgan.methods import Method, create_method
from fewshotgan.pictures import LiveGrid
from fewshotgan.run import Run, Viewer
from fewshotgan.train import Loop, make_task

ITERATIONS, BATCH = 500, 8  # unless asked for others: the budget of most tables


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
        out: folder for a checkpoint; an interrupted run with the same arguments goes on from there.
        minutes: stop (resumably, given `out`) after so much time.
        snapshot_every: iterations between snapshots; a twelfth of the run by default.
        progress: show a progress bar.
        viewer: called with (iteration, images) at each snapshot; by default, beside the progress bar of a notebook, a
            live grid.
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
    check(gan, images, chosen, iterations, batch, seed)
    spec = {
        "gan": gan.name, "images": images.name, "n": len(images), "method": chosen.name, "iterations": iterations,
        "batch": batch, "seed": seed, "augment": augment, "digests": digests(gan, images),
    }  # fmt: skip
    source = gan if chosen.conditional else gan.unconditional()
    training = chosen.build(make_task(source, images.pixels, batch, seed, augment, choose_device(device)))
    spec["options"] = training.method.options()
    if out:
        check_folder(out)
    viewer = viewer or (LiveGrid() if progress else None)
    loop = Loop(training, spec, iterations, snapshot_every or max(1, iterations // 12), viewer)
    return loop.run(Path(out) / "checkpoint.pt" if out else None, minutes, progress)


def choose_method(method: object, options: dict[str, object]) -> Method:
    """Return the method of a name and its options, or the method itself.

    Raises:
        UserError: if it is neither, or if a method that has its options already gets more.
    """
    if isinstance(method, str):
        return create_method(method, **options)
    if not isinstance(method, Method):
        raise UserError(f"adapt takes a method's name or a method, such as TransferGAN(), not {reprlib.repr(method)}.")
    if options:
        given = ", ".join(f"{name}=..." for name in options)
        raise UserError(f"Give options to the method itself: {type(method).__name__}({given}).")
    return method


def check_kinds(gan: object, images: object) -> None:
    """Raise one sentence if names or paths were handed over instead of what is loaded from them."""
    for one in gan if isinstance(gan, list | tuple) else (gan,):
        if not isinstance(one, GAN):
            raise UserError(f"adapt takes a GAN, not {one!r}; load it first with load_gan(name_or_path).")
    if not isinstance(images, Images):
        what = repr(images) if isinstance(images, str | Path) else f"a {type(images).__name__}"
        raise UserError(
            f"adapt takes images as load_images returns them, not {what}; load them first with load_images(folder)."
        )


def check(gan: GAN, images: Images, method: Method, iterations: int, batch: int, seed: int) -> None:
    """Raise one sentence if the images can't be used with this GAN and method."""
    if (images.resolution, images.channels) != (gan.resolution, gan.channels):
        raise UserError(
            f"{images.name} has images of {images.resolution} pixels and {images.channels} channels, {gan.name} makes "
            f"{gan.resolution} and {gan.channels}; load them with load_images(..., resolution={gan.resolution}, "
            f"channels={gan.channels})."
        )
    if gan.config["family"] == MIXTURE and not method.multi_source:
        raise UserError(f"{method.name} adapts one GAN at a time; hand over one of {gan.name}, or use minegan.")
    if method.needs_discriminator and not gan.complete:
        raise UserError(
            f"{method.name} needs a discriminator, and {gan.name} came without one; load a file that has both networks."
        )
    if len(images) < method.least_images:
        raise UserError(f"{method.name} needs at least {method.least_images} images; {images.name} has {len(images)}.")
    for name, value in (("iterations", iterations), ("batch", batch), ("seed", seed)):
        if not isinstance(value, int):
            raise UserError(f"{name}={value!r} must be a whole number.")
    if iterations < 1 or batch < 1:
        raise UserError(f"iterations={iterations} and batch={batch} must both be at least 1.")
    check_seed(seed)


def digests(gan: GAN, images: Images) -> dict[str, str]:
    """Return what tells a source and images from others of the same names."""
    return {"gan": digest(gan.weights()), "images": digest([images.pixels])}
