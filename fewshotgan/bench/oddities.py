"""What stands out in a few images before training: near-duplicates, and those unlike the others."""

from itertools import combinations

import numpy as np
import torch.nn.functional as F

from fewshotgan.bench.nearness import MOST, image_features
from fewshotgan.images import Images
from fewshotgan.wording import listed, printable

SIDE = 16  # to which images are averaged down before pixels are compared
SAME = 6.0  # levels of 255: the root mean square between images that are one, recompressed or slightly brighter
NEAR = 0.25  # of the median distance of features: images that are one, cropped or shifted a little
UNLIKE = 1.25  # times the median of the mean distances to the others, and
ALONE = 1.55  # times the median of the distances to the nearest other
BLANK = 8  # levels of 255 that an image spans at least, if it shows anything


def oddities(images: Images) -> list[str]:
    """Return a sentence for each kind of oddity among the first images that `load_images` has not told: blank and
    identical ones stand in its note.
    """
    images = images.part(0, MOST)
    names = images.names or tuple(f"image {i}" for i in range(len(images)))
    rows, sentences = image_features(images), list[str]()
    away = np.sqrt(np.maximum(0, np.square(rows[:, None] - rows[None]).sum(axis=2)))
    pairs = _pairs(images, away)
    if pairs:
        said = [f"{printable(names[a])} and {printable(names[b])}" for a, b in pairs[:5]]
        more = f" and {len(pairs) - 5} more pairs" if len(pairs) > 5 else ""
        sentences.append(f"Nearly the same: {'; '.join(said)}{more}.")
    unlike = _unlike(away)
    if unlike:
        sentences.append(f"Unlike the others: {listed([names[i] for i in unlike])}; leave out what does not belong.")
    return sentences


def _pairs(images: Images, away: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs of different images that are nearly the same, in pixels or in features (N, N distances)."""
    flat = images.pixels.flatten(1).numpy()
    small = F.adaptive_avg_pool2d(images.pixels.float(), min(SIDE, images.resolution)).flatten(1).numpy()
    usual = float(np.median(away[np.triu_indices(len(away), 1)])) if len(away) > 1 else 0.0
    shown = np.flatnonzero(np.ptp(flat, axis=1) >= BLANK)
    return [
        (int(a), int(b))
        for a, b in combinations(shown, 2)
        if not np.array_equal(flat[a], flat[b])
        and (np.sqrt(np.square(small[a] - small[b]).mean()) < SAME or away[a, b] < NEAR * usual)
    ]


def _unlike(away: np.ndarray) -> list[int]:
    """Return the images that lie far from all others, at most a fifth of them."""
    if len(away) < 5:
        return []
    mean = away.sum(axis=1) / (len(away) - 1)
    nearest = (away + np.diag(np.full(len(away), np.inf))).min(axis=1)
    far = (mean > UNLIKE * np.median(mean)) & (nearest > ALONE * np.median(nearest))
    found = [int(i) for i in np.flatnonzero(far)]
    return found if len(found) <= len(away) / 5 else []
