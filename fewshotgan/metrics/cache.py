"""Features of real images, kept on disk: they are asked for again and again."""

import hashlib

import numpy as np

from fewshotgan.files import UserError, atomic_write, cache_dir
from fewshotgan.images import Images
from fewshotgan.metrics.extractors import SIDES, VERSION, features


def real_features(images: Images, extractor: str) -> np.ndarray:
    """Return features (N, d), float64, of real images, from the cache where they were computed before."""
    pixels = np.ascontiguousarray(images.pixels.numpy())
    key = hashlib.sha256(
        pixels.tobytes() + f"{pixels.shape} {extractor} {SIDES[extractor]} {VERSION}".encode()
    ).hexdigest()[:32]
    path = cache_dir() / "features" / f"{key}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            found: np.ndarray = file["features"].astype(np.float64)
            return found
    except Exception:  # not there, or broken in any of the ways that zipfile and numpy have for it
        rows = features(images.tensor(), extractor)
    try:
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, features=rows.astype(np.float32))
    except UserError:
        pass  # a cache that can't be written costs time, nothing else
    return rows.astype(np.float32).astype(np.float64)
