"""Pretraining pools: many more images of a domain than ship, in one file that a source GAN is trained on.

A pool is a `.npy.xz`: uint8 images (N, H, W) or (N, H, W, 3), compressed by xz with a dictionary as large as the pool.
Drawings are put together from the same parts, so 50,000 of them at 64 pixels take 3 MB. `python data/build.py pool`
writes pools.
"""

import io
import lzma
from pathlib import Path

import numpy as np
import torch

from fewshotgan.files import UserError, atomic_write, clip, first_line
from fewshotgan.images import Images

SUFFIX = ".npy.xz"


def save_pool(pixels: np.ndarray, path: str | Path, labels: np.ndarray | None = None) -> None:
    """Write images, uint8 (N, H, W) or (N, H, W, 3), and for a class-conditional source their labels (N,)."""
    buffer = io.BytesIO()
    np.save(buffer, pixels, allow_pickle=False)
    np.save(buffer, np.zeros(0, np.uint8) if labels is None else labels.astype(np.uint8), allow_pickle=False)
    size = max(2**20, min(1 << 30, buffer.tell()))
    chain = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": size, "nice_len": 273, "mf": lzma.MF_HC4, "depth": 64}]
    with atomic_write(path) as temporary:
        temporary.write_bytes(lzma.compress(buffer.getvalue(), format=lzma.FORMAT_XZ, filters=chain))


def load_pool(path: str | Path, name: str) -> Images:
    """Return the images of a pool as those of the domain `name`.

    Raises:
        UserError: if the file is no pool.
    """
    try:
        with lzma.open(path) as file:
            content = io.BytesIO(file.read())
        pixels = np.load(content, allow_pickle=False)
        labels = np.load(content, allow_pickle=False)
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4):
            raise ValueError(f"{pixels.dtype} {pixels.shape}")
    except (OSError, lzma.LZMAError, ValueError, EOFError) as error:
        reason = clip(getattr(error, "strerror", None) or first_line(error), 60)
        raise UserError(
            f"{clip(path, 90)} is no pool of images ({reason}); write it with `python data/build.py pool`."
        ) from error
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)
    numbers = torch.from_numpy(labels.astype(np.int64)) if len(labels) else None
    return Images(torch.from_numpy(np.ascontiguousarray(pixels)), name, labels=numbers)
