"""`load_images`: shipped domains, and any folder, zip or file."""

from dataclasses import replace
from pathlib import Path

from PIL import Image

from fewshotgan.files import UserError
from fewshotgan.images.domains import block, is_shipped, shipped
from fewshotgan.images.images import Images
from fewshotgan.images.own import load_own
from fewshotgan.images.squares import FITS, flatten, stack_pixels, to_square

OWN_SIDE, OWN_CHANNELS = 64, 3  # of anybody's own images, unless asked for others


def load_images(
    source: str | Path,
    n: int | None = None,
    *,
    subset: int = 0,
    split: str = "train",
    resolution: int | None = None,
    channels: int | None = None,
    fit: str = "crop",
) -> Images:
    """Load a shipped domain, a blend of several, or your own images: a folder, a zip, an image file, an LMDB as
    rosinality's StyleGAN2 prepares it, or a folder of Hugging Face's `datasets`.

    Your own images may be AVIF, BMP, GIF, HEIC (with `pip install 'fewshotgan[photos]'`), ICO, JPEG, JPEG 2000, PNG,
    PPM, TIFF or WebP, whatever their names; links to folders are followed. Transparent ones are laid on white, or on
    black or grey where white would hide one of them. `note` says what was done, and names every file that was left out.

    Args:
        source: "avatars/pixel-art", "30% fashion/sneaker, 70% fashion/dress", or a path.
        n: take n images; for a shipped domain, a published few-shot subset.
        subset: which n images, counted from 0; subsets of one size are disjoint (see `count_subsets`).
        split: "train", or "held_out" (shipped domains only, for evaluation).
        resolution: side in pixels to resize to; by default a shipped domain's own, otherwise 64.
        channels: 1 or 3; by default a shipped domain's own, otherwise 3.
        fit: what becomes of your own images that are not square: "crop" keeps their centre, "pad" all of them.

    Raises:
        UserError: if there is no such source, it has no readable image or too few for this subset, or the size is
            impossible.
    """
    if not isinstance(source, str | Path) or not str(source).strip() or source == Path():
        raise UserError(f"load_images takes a folder, a zip, an image file or a shipped domain's name, not {source!r}.")
    if channels not in (None, 1, 3) or (resolution is not None and resolution < 1):
        raise UserError(
            f"resolution={resolution}, channels={channels} is impossible; use a side of at least 1 pixel, and 1 or 3 "
            "channels."
        )
    if split not in ("train", "held_out"):
        raise UserError(f"split={split!r} is unknown; it is 'train' or 'held_out'.")
    if fit not in FITS:
        raise UserError(f"fit={fit!r} is unknown; it is 'crop' or 'pad'.")
    if n is None and subset:
        raise UserError(f"subset={subset} needs a size; pass n as well.")
    if is_shipped(str(source)):
        return resized(shipped(str(source), n, subset, split), resolution, channels)
    if split == "held_out":
        raise UserError(f"{source} is not a shipped domain and has no held-out split; use split='train'.")
    images = load_own(Path(source), resolution or OWN_SIDE, channels or OWN_CHANNELS, fit)
    first, last = block(str(source), len(images), n, subset)
    used = f" Images {first + 1} to {last} of them are used." if last - first < len(images) else ""
    return replace(images.part(first, last), note=images.note + used)


def resized(images: Images, resolution: int | None, channels: int | None) -> Images:
    """Return images of another side or number of channels, unless they already have these."""
    resolution, channels = resolution or images.resolution, channels or images.channels
    if (resolution, channels) == (images.resolution, images.channels):
        return images
    pictures = [Image.fromarray(p.permute(1, 2, 0).numpy().squeeze()) for p in images.pixels]
    arrays = [flatten(to_square(picture, resolution, "crop"), "white", channels) for picture in pictures]
    return replace(
        images, pixels=stack_pixels(arrays), note=f"resized to {resolution} pixels (Lanczos), {channels} channels"
    )
