"""Anybody's images: every one that can be read, as squares of one size, with a note on what was done and left out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fewshotgan.decoding import Decoded, decode, why_not
from fewshotgan.files import UserError
from fewshotgan.images.domains import absent
from fewshotgan.images.images import Images
from fewshotgan.images.labels import counted_classes, read_labels
from fewshotgan.images.places import Place, opened
from fewshotgan.images.squares import choose_ground, flatten, is_coloured, stack_pixels, to_square
from fewshotgan.progress import watched
from fewshotgan.wording import counted, listed, printable

BLANK = 8  # levels of 255 that an image spans at least, if it shows anything


@dataclass
class Reading:
    """What was read of a place: squares with their names and labels, and what happened to them.

    Attributes:
        squares, names, labels: of each image, the square in mode L, RGB or RGBA.
        fitted: how many were not square.
        enlarged: names of those that are smaller than the squares.
        scaled: names of those whose values had to be scaled, by how.
        left_out: (name, reason).
    """

    squares: list[Image.Image] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    labels: list[int | None] = field(default_factory=list)
    fitted: int = 0
    enlarged: list[str] = field(default_factory=list)
    scaled: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, found: Decoded, label: int | None, resolution: int, fit: str) -> None:
        """Enter a picture."""
        picture = found.picture
        self.squares.append(to_square(picture, resolution, fit))
        self.names.append(name)
        self.labels.append(label)
        self.fitted += picture.width != picture.height
        if min(picture.size) < resolution:
            self.enlarged.append(name)
        if found.scaled:
            self.scaled.setdefault(found.scaled, []).append(name)


def load_own(path: Path, resolution: int, channels: int, fit: str) -> Images:
    """Return every readable image of a place; the note names the others.

    Raises:
        UserError: if there is no such place, or no readable image in it.
    """
    if not path.exists():
        raise absent(str(path))
    with opened(path, resolution) as place:
        reading = _read(place, resolution, fit)
    if not reading.squares:
        raise UserError(_nothing(path, reading.left_out))
    ground = choose_ground(reading.squares)
    pixels = stack_pixels([flatten(square, ground, channels) for square in reading.squares])
    labels, said = _labels(place, reading)
    sentences = [
        _sizes(reading, resolution, fit),
        _grounds(reading.squares, ground),
        _greys(reading.squares, channels),
        *(f"{how[0].upper()}{how[1:]}: {listed(names)}." for how, names in reading.scaled.items()),
        said,
        *_oddities(pixels.numpy(), reading.names),
        _leavings(reading.left_out),
    ]
    return Images(
        pixels,
        str(path),
        " ".join(sentence for sentence in sentences if sentence),
        labels=None if labels is None else torch.tensor(labels),
        names=tuple(reading.names),
        left_out=tuple(f"{printable(name)}: {reason}" for name, reason in reading.left_out),
    )


def _read(place: Place, resolution: int, fit: str) -> Reading:
    reading = Reading(left_out=list(place.left_out))
    for entry in watched(place.entries, "reading images"):
        try:
            reading.add(entry.name, decode(entry.read()), entry.label, resolution, fit)
        except Exception as error:  # each format raises its own kinds of errors for a broken file
            reading.left_out.append((entry.name, why_not(error)))
    return reading


def _nothing(path: Path, left_out: Sequence[tuple[str, str]]) -> str:
    """Return what to say of a place without a single image."""
    found = f"none of its {counted(len(left_out), 'file')} is a readable image" if left_out else "it is empty"
    first = f", {printable(left_out[0][0])[:60]} for one: {left_out[0][1][:60]}" if left_out else ""
    return f"No images could be loaded from {path}: {found}{first}; use JPEG, PNG or WebP images."


def _sizes(reading: Reading, resolution: int, fit: str) -> str:
    """Return how many images there are, and how they got their size."""
    text = f"{counted(len(reading.squares), 'image')} resized to {resolution}x{resolution} (Lanczos)"
    if reading.fitted:
        how = (
            "centre-cropped to a square first" if fit == "crop" else "padded to a square with the colour of their edge"
        )
        text += f", {reading.fitted} of them {how}"
    if reading.enlarged:
        text += f"; smaller than that, and enlarged: {listed(reading.enlarged)}"
    return text + "."


def _grounds(squares: Iterable[Image.Image], ground: str) -> str:
    """Return on what transparent images were laid."""
    number = sum(square.mode == "RGBA" for square in squares)
    if not number:
        return ""
    why = "" if ground == "white" else ", as white would hide some"
    return f"{counted(number, 'transparent image')} laid on {ground}{why}."


def _greys(squares: Iterable[Image.Image], channels: int) -> str:
    """Return how many images lost their colour."""
    number = sum(map(is_coloured, squares)) if channels == 1 else 0
    return f"{counted(number, 'colour image')} turned grey, as grey is what the GAN makes." if number else ""


def _labels(place: Place, reading: Reading) -> tuple[list[int] | None, str]:
    """Return the images' labels, if all have one, and a sentence about them."""
    if place.labels is not None:
        return read_labels(place.labels, reading.names)
    known = [label for label in reading.labels if label is not None]
    if len(known) < len(reading.names):
        return None, ""
    return known, f"Labels of {counted_classes(max(known) + 1)}."


def _oddities(pixels: np.ndarray, names: Sequence[str]) -> list[str]:
    """Return sentences about images (N, C, H, W) that show nothing, and those that repeat others."""
    flat = pixels.reshape(len(pixels), -1)
    blank = [name for name, one in zip(names, flat, strict=True) if np.ptp(one) < BLANK]
    sentences = [f"Blank, of one colour: {listed(blank)}."] if blank else []
    first: dict[bytes, str] = {}
    repeated = [name for name, one in zip(names, flat, strict=True) if first.setdefault(one.tobytes(), name) != name]
    if len(first) == 1 < len(flat):
        return [*sentences, f"All {len(flat)} images are identical."]
    return [*sentences, f"The same as an earlier image: {listed(repeated)}."] if repeated else sentences


def _leavings(left_out: Sequence[tuple[str, str]]) -> str:
    """Return a sentence that names what was left out, by reason."""
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out:
        reasons.setdefault(reason, []).append(name)
    parts = "; ".join(f"{listed(names)} ({reason})" for reason, names in reasons.items())
    return f"Left out: {parts}." if parts else ""
