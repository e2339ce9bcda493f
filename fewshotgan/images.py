"""Images: the shipped domains with their fixed splits, and any folder or zip, cropped square and resized.

Shipped domains keep training and held-out images apart (`splits.json` next to the zips). Held-out images are for
evaluation and are only returned for `split="held_out"`. Few-shot subsets are consecutive blocks of the published order
of the training images: subset k of n images is `order[k * n : (k + 1) * n]`, so subsets of one size are disjoint, and
subsets 0 of all sizes are nested.
"""

import difflib
import io
import json
import re
import zipfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fewshotgan.decoding import decode, image_files, stack_pixels, to_square, why_not
from fewshotgan.files import UserError, data_dir

MOST_SUBSETS = 10  # per size
MIXTURES = {  # every domain of the collection except these, which serve as targets
    "avatars/source": ("toon-head", "miniavs", "pixel-art", "thumbs"),
    "fashion/source": ("sandal", "bag"),
    "fashion/base": ("sandal", "coat", "bag", "dress"),  # two close targets, a distant one, and one for development
}


@dataclass(frozen=True)
class Images:
    """A set of images of one size.

    Attributes:
        pixels: uint8 (N, C, H, W), C 1 or 3.
        name: the shipped domain or the path.
        note: one sentence on how they were cropped and what was skipped; empty if they are unchanged.
        labels: int64 (N,) for a mixture, the index of the domain that each image comes from; None otherwise.
    """

    pixels: Tensor
    name: str
    note: str = ""
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        """Reject anything but a batch of square uint8 images."""
        x = self.pixels
        if (
            not isinstance(x, Tensor)
            or x.dtype != torch.uint8
            or x.dim() != 4
            or x.shape[1] not in (1, 3)
            or x.shape[2] != x.shape[3]
        ):
            what = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
            raise UserError(
                f"{self.name}: images are a uint8 tensor (N, 1 or 3, side, side) of 0 to 255, not {what}; "
                "convert them first."
            )

    def __len__(self) -> int:
        """Return N."""
        return len(self.pixels)

    @property
    def resolution(self) -> int:
        """Side in pixels."""
        return self.pixels.shape[-1]

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.pixels.shape[1]

    def tensor(self) -> Tensor:
        """Return float32 (N, C, H, W), -1..1."""
        return self.pixels.float() / 127.5 - 1


def load_images(
    source: str | Path,
    n: int | None = None,
    *,
    subset: int = 0,
    split: str = "train",
    resolution: int | None = None,
    channels: int | None = None,
) -> Images:
    """Load a shipped domain, a blend of several, a folder, a dataset zip or one image file.

    Args:
        source: "avatars/pixel-art", "30% fashion/sneaker, 70% fashion/dress", or a path.
        n: take n images; for a shipped domain, a published few-shot subset.
        subset: which n images, counted from 0; subsets of one size are disjoint (see `count_subsets`).
        split: "train", or "held_out" (shipped domains only, for evaluation).
        resolution: side in pixels to resize to; by default a shipped domain's own, otherwise 64.
        channels: 1 or 3; by default a shipped domain's own, otherwise 3.

    Raises:
        UserError: if there is no such source, it has no readable image or too few for this subset, or the size is
            impossible.
    """
    if channels not in (None, 1, 3) or (resolution is not None and resolution < 1):
        raise UserError(
            f"resolution={resolution}, channels={channels} is impossible; use a side of at least 1 pixel, and 1 or 3 "
            "channels."
        )
    if split not in ("train", "held_out"):
        raise UserError(f"split={split!r} is unknown; it is 'train' or 'held_out'.")
    if n is None and subset:
        raise UserError(f"subset={subset} needs a size; pass n as well.")
    if shares := _shares(str(source)):
        return _convert(_blended(str(source), shares, n, subset, split), resolution, channels)
    if str(source) in list_domains():
        first, last = _block(str(source), _size(str(source), split), n, subset)
        return _convert(_shipped(str(source), split, first, last), resolution, channels)
    if split == "held_out":
        raise UserError(f"{source} is not a shipped domain and has no held-out split; use split='train'.")
    images = _from_path(Path(source), resolution or 64, channels or 3)
    return _part(images, *_block(str(source), len(images), n, subset))


def count_subsets(source: str, n: int) -> int:
    """Return how many disjoint few-shot subsets of n images a shipped domain or a blend has: 1 to 10.

    Raises:
        UserError: if it has fewer than n images, or there is no such domain.
    """
    shares = _shares(source)
    counts = _counts(source, shares, n) if shares else {source: n}
    for domain in counts:
        if domain not in list_domains():
            raise UserError(f"There is no shipped domain {domain!r}; there are {', '.join(list_domains())}.")
    rooms = [_size(domain, "train") // count for domain, count in counts.items() if count]
    if min(rooms, default=0) < 1:
        raise UserError(f"{source} has too few images for a subset of {n}; choose another n.")
    return min(MOST_SUBSETS, *rooms)


def _block(name: str, size: int, n: int | None, subset: int) -> tuple[int, int]:
    """Return where a subset of n of `size` images begins and ends.

    Raises:
        UserError: if there are too few images.
    """
    if n is None:
        return 0, size
    if not 1 <= n <= size:
        raise UserError(f"{name} has {size} images, not {n}; choose n from 1 to {size}.")
    if not 0 <= subset < size // n:
        raise UserError(f"{name} has {size} images and no subset {subset} of {n}; choose subset 0 to {size // n - 1}.")
    return subset * n, (subset + 1) * n


def _part(images: Images, first: int, last: int) -> Images:
    """Return the images from `first` to before `last`."""
    labels = None if images.labels is None else images.labels[first:last]
    return replace(images, pixels=images.pixels[first:last], labels=labels)


@cache
def list_domains() -> dict[str, str]:
    """Return the shipped domains, {name: description in one line}."""
    found = {}
    for collection in ("avatars", "fashion"):
        for name, split in _splits(collection).items():
            found[f"{collection}/{name}"] = f"{split['train']} training and {split['held_out']} held-out images"
    for name, without in MIXTURES.items():
        found[name] = f"all domains except {', '.join(without)}, mixed"
    return found


@cache
def _splits(collection: str) -> dict[str, dict[str, Any]]:
    splits: dict[str, dict[str, Any]] = json.loads(
        (data_dir() / collection / "splits.json").read_text(encoding="utf-8")
    )
    return splits


def _size(name: str, split: str) -> int:
    """Return how many images a split of a shipped domain has."""
    collection, domain = name.split("/")
    splits = _splits(collection)
    parts = [other for other in splits if other not in MIXTURES[name]] if name in MIXTURES else [domain]
    return sum(splits[part][split] for part in parts)


@cache
def _shipped(name: str, split: str, first: int, last: int) -> Images:
    """Return images `first` to before `last` of a split of a shipped domain, in the published order."""
    if name in MIXTURES:
        return _part(_mixed(name, split), first, last)
    collection, domain = name.split("/")
    numbers = _splits(collection)[domain]["order"] if split == "train" else range(last)
    with zipfile.ZipFile(data_dir() / collection / f"{domain}.zip") as archive:
        names = [f"{split}/{number:05d}.webp" for number in numbers[first:last]]
        arrays = [np.array(Image.open(io.BytesIO(archive.read(entry)))) for entry in names]
    stack = np.stack(arrays)
    grey = (stack[..., :1] == stack).all() if collection == "fashion" else False  # WebP stores grey as equal channels
    return Images(torch.from_numpy(stack[..., :1] if grey else stack).permute(0, 3, 1, 2).contiguous(), name)


@cache
def _mixed(name: str, split: str) -> Images:
    """Return a split of a mixture, its domains shuffled once and for all, with labels."""
    collection, _ = name.split("/")
    parts = [f"{collection}/{other}" for other in _splits(collection) if other not in MIXTURES[name]]
    sets = [_shipped(part, split, 0, _size(part, split)).pixels for part in parts]
    labels = torch.arange(len(sets)).repeat_interleave(torch.tensor([len(one) for one in sets]))
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    return Images(torch.cat(sets)[order], name, labels=labels[order])


def _shares(source: str) -> dict[str, int]:
    """Return the percentage per domain of a blend such as "30% fashion/sneaker, 70% fashion/dress"; empty otherwise."""
    parts = [re.fullmatch(r"([1-9]\d*)% (\S+)", part) for part in source.split(", ")]
    return {part[2]: int(part[1]) for part in parts if part} if all(parts) else {}


def _counts(name: str, shares: dict[str, int], n: int) -> dict[str, int]:
    """Return how many of a blend's n images come from each domain; the last one absorbs rounding.

    Raises:
        UserError: if the shares do not sum to 100.
    """
    if sum(shares.values()) != 100:
        raise UserError(f"The shares of {name} sum to {sum(shares.values())} %, not 100 %; adjust them.")
    counts = {domain: round(n * share / 100) for domain, share in shares.items()}
    *_, last = counts
    counts[last] = n - sum(count for domain, count in counts.items() if domain != last)
    return counts


def _blended(name: str, shares: dict[str, int], n: int | None, subset: int, split: str) -> Images:
    """Return n images (by default as many as possible) of shipped domains in these proportions, labelled by domain.

    Raises:
        UserError: if the shares do not sum to 100, or a domain does not exist or has too few images.
    """
    sets = [load_images(domain, split=split) for domain in shares]
    n = n if n is not None else min(len(one) * 100 // share for one, share in zip(sets, shares.values(), strict=True))
    counts = list(_counts(name, shares, n).values())
    if len({one.pixels.shape[1:] for one in sets}) > 1:
        raise UserError(f"The parts of {name} differ in size or channels; blend domains of one collection.")
    for one, count in zip(sets, counts, strict=True):
        if not 0 <= count * (subset + 1) <= len(one) or n < 1:
            part = f"subset {subset} of n={n}" if subset else f"n={n}"
            raise UserError(
                f"{name}: {part} needs {count} images of {one.name}, which has {len(one)}; choose another n."
            )
    pixels = torch.cat(
        [one.pixels[subset * count : (subset + 1) * count] for one, count in zip(sets, counts, strict=True)]
    )
    return Images(pixels, name, labels=torch.arange(len(sets)).repeat_interleave(torch.tensor(counts)))


def _convert(images: Images, resolution: int | None, channels: int | None) -> Images:
    """Resize and convert images in memory, unless they already have this size."""
    resolution, channels = resolution or images.resolution, channels or images.channels
    if (resolution, channels) == (images.resolution, images.channels):
        return images
    pictures = [Image.fromarray(p.permute(1, 2, 0).numpy().squeeze()) for p in images.pixels]
    arrays = [to_square(picture, resolution, channels) for picture in pictures]
    return replace(
        images, pixels=stack_pixels(arrays), note=f"resized to {resolution} pixels (Lanczos), {channels} channels"
    )


def _from_path(path: Path, resolution: int, channels: int) -> Images:
    """Read every readable image; the note names the others."""
    if not path.exists():
        close = difflib.get_close_matches(str(path), list_domains(), n=2, cutoff=0.5)
        hint = f" did you mean {' or '.join(close)}?" if close else f" the domains are {', '.join(list_domains())}."
        raise UserError(f"There is no folder, zip or shipped domain {str(path)!r};{hint}")
    arrays, left_out, cropped = [], [], 0
    for name, data in image_files(path):
        try:
            picture = decode(data)
        except Exception as error:  # each format raises its own kinds of errors for a broken file
            left_out.append(f"{name} ({why_not(error)})")
            continue
        cropped += picture.width != picture.height
        arrays.append(to_square(picture, resolution, channels))
    if not arrays:
        found = (
            f"none of its {len(left_out)} image files is readable: {', '.join(left_out[:5])}"
            if left_out
            else "it contains none"
        )
        raise UserError(f"No images could be loaded from {path}: {found}; use JPEG, PNG or WebP images.")
    note = f"{len(arrays)} images resized to {resolution}x{resolution} (Lanczos)"
    note += f", {cropped} of them centre-cropped to a square first"
    if left_out:
        note += f"; left out: {', '.join(left_out[:10])}" + (
            f" and {len(left_out) - 10} more" if len(left_out) > 10 else ""
        )
    return Images(stack_pixels(arrays), str(path), note + ".")
