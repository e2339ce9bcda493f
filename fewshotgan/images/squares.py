"""From upright pictures to squares of one size: cropped or padded, transparent ones on a ground that shows them."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

FITS = ("crop", "pad")
GROUNDS = {"white": 255, "black": 0, "grey": 128}  # in the order in which they are tried
CONTRAST = 24  # levels of 255 by which artwork must differ from its ground, on average


def to_square(picture: Image.Image, resolution: int, fit: str) -> Image.Image:
    """Return a picture of mode L, RGB or RGBA as a square: its centre, or all of it with its edge's colour around."""
    size = (resolution, resolution)
    if fit == "crop" or picture.width == picture.height:
        return picture if picture.size == size else ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    small = ImageOps.contain(picture, size, Image.Resampling.LANCZOS)
    square = Image.new(picture.mode, size, _edge(small))
    square.paste(small, ((resolution - small.width) // 2, (resolution - small.height) // 2))
    return square


def _edge(picture: Image.Image) -> tuple[int, ...]:
    """Return the median colour of the two edges that padding continues; nothing where a picture may be transparent."""
    if picture.mode == "RGBA":
        return (0, 0, 0, 0)
    pixels = np.asarray(picture).reshape(picture.height, picture.width, -1)
    edges = pixels[:, [0, -1]] if picture.height > picture.width else pixels[[0, -1]]
    return tuple(int(value) for value in np.median(edges.reshape(-1, pixels.shape[2]), axis=0))


def choose_ground(squares: Sequence[Image.Image]) -> str:
    """Return the ground for all transparent squares: the first on which each differs enough from it, or else that on
    which the faintest differs most.
    """
    layers = [np.asarray(square, dtype=np.float64) for square in squares if square.mode == "RGBA"]
    seen = [layer for layer in layers if layer[..., 3].any()]
    faintest = {
        name: min((_contrast(layer, level) for layer in seen), default=255.0) for name, level in GROUNDS.items()
    }
    clear = [name for name in GROUNDS if faintest[name] >= CONTRAST]
    return clear[0] if clear else max(faintest, key=lambda name: faintest[name])


def _contrast(layer: np.ndarray, level: int) -> float:
    """Return by how much the visible part of a layer (side, side, 4) differs from a grey level, 0..255."""
    difference = np.abs(layer[..., :3] - level).max(axis=2)
    return float((difference * layer[..., 3]).sum() / layer[..., 3].sum())


def flatten(square: Image.Image, ground: str, channels: int) -> np.ndarray:
    """Return a square as uint8 (side, side, channels), a transparent one on its ground."""
    if square.mode == "RGBA":
        square = Image.alpha_composite(Image.new("RGBA", square.size, (*(GROUNDS[ground],) * 3, 255)), square)
    return np.asarray(square.convert("L" if channels == 1 else "RGB")).reshape(*square.size, channels)


def is_coloured(square: Image.Image) -> bool:
    """Return whether anything is lost when a square turns grey."""
    if square.mode == "L":
        return False
    pixels = np.asarray(square.convert("RGBA"), dtype=np.int16)
    return bool((np.ptp(pixels[..., :3], axis=2)[pixels[..., 3] > 0] > 8).any())  # JPEG's grey wavers by a few levels


def stack_pixels(arrays: Sequence[np.ndarray]) -> Tensor:
    """Return uint8 (N, channels, resolution, resolution) of N arrays (resolution, resolution, channels)."""
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
