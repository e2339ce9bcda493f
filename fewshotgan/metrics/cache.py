"""Features of images, kept on disk: those of real images and of sources are asked for again and again."""

import hashlib
from collections.abc import Callable

import numpy as np

from fewshotgan.files import UserError, atomic_write, cache_dir
from fewshotgan.images import Images
from fewshotgan.metrics.extractors import SIDES, VERSION, features


def real_features(images: Images, extractor: str) -> np.ndarray:
    """Return features (N, d), float64, of real images, from the cache where they were computed before."""
    pixels = np.ascontiguousarray(images.pixels.numpy())
    content = pixels.tobytes() + f"{pixels.shape}".encode()
    return kept_features(content, extractor, lambda: features(images.tensor(), extractor))


def kept_features(content: bytes, extractor: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Return features (N, d), float64, of what `content` identifies, from the cache where they were computed before."""
    key = hashlib.sha256(content + f" {extractor} {SIDES[extractor]} {VERSION}".encode()).hexdigest()[:32]
    path = cache_dir() / "features" / f"{key}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            found: np.ndarray = file["features"].astype(np.float64)
            return found
    except Exception:  # not there, or broken in any of the ways that zipfile and numpy have for it
        rows = compute()
    try:
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, features=rows.astype(np.float32))
    except UserError:
        pass  # a cache that can't be written costs time, nothing else
    return rows.astype(np.float32).astype(np.float64)
