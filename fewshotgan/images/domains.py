"""The shipped domains and their blends, with fixed splits and fixed few-shot subsets.

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
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image

from fewshotgan.files import UserError, data_dir
from fewshotgan.images.images import Images

MOST_SUBSETS = 10  # per size
MIXTURES = {  # every domain of the collection except these, which serve as targets
    "avatars/source": ("toon-head", "miniavs", "pixel-art", "thumbs"),
    "fashion/source": ("sandal", "bag"),
    "fashion/base": ("sandal", "coat", "bag", "dress"),  # two close targets, a distant one, and one for development
}


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


def is_shipped(source: str) -> bool:
    """Return whether this names a shipped domain or a blend of several, which have held-out images."""
    return source in list_domains() or bool(_shares(source))


def shipped(source: str, n: int | None, subset: int, split: str) -> Images:
    """Return images of a domain or a blend, at their own size; see `load_images`.

    Raises:
        UserError: if there is no such domain, or it has too few images.
    """
    if shares := _shares(source):
        return _blended(source, shares, n, subset, split)
    if source not in list_domains():
        raise absent(source)
    return _shipped(source, split, *block(source, _size(source, split), n, subset))


def absent(source: str) -> UserError:
    """Return what to say of a source that there isn't, with names that are close."""
    close = difflib.get_close_matches(source, list_domains(), n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else "`fewshotgan domains` lists the domains."
    return UserError(f"There is no folder, zip or shipped domain {source[:100]!r}; {hint}")


@cache
def _shipped(name: str, split: str, first: int, last: int) -> Images:
    """Return images `first` to before `last` of a split of a shipped domain, in the published order."""
    if name in MIXTURES:
        return _mixed(name, split).part(first, last)
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
    sets = [shipped(domain, None, 0, split) for domain in shares]
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


def block(name: str, size: int, n: int | None, subset: int) -> tuple[int, int]:
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
