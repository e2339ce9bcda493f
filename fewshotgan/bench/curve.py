"""The curve of a source in training: distance to training images against images seen."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from fewshotgan.files import atomic_write
from fewshotgan.gans.gan import GAN
from fewshotgan.images import Images
from fewshotgan.metrics import features, frechet_distance, real_features


class Curve:
    """Distance to training images against images seen, kept in a file.

    Args:
        path: of the file.
        images: the training images.
        before: points of the GAN that training began with, if there is no file yet.
        measured: how many samples and training images make a point.

    Attributes:
        points: [{"images", "resolution", "fd_efficientnet", "seconds"}], in order of images seen.
    """

    def __init__(self, path: Path, images: Images, before: list[dict[str, Any]], measured: int) -> None:
        self.path, self.resolution, self.measured = path, images.resolution, measured
        chosen = np.random.default_rng(0).permutation(len(images))[:measured]
        self.real = real_features(Images(images.pixels[chosen], images.name), "efficientnet")
        self.points: list[dict[str, Any]] = (
            json.loads(path.read_text(encoding="utf-8")) if path.is_file() else list(before)
        )

    @property
    def last(self) -> int:
        """Images seen at the last point."""
        return self.points[-1]["images"] if self.points else 0

    def seconds(self, seen: int, otherwise: int) -> int:
        """Return the seconds of training at the last point of at most so many images seen."""
        return max((point["seconds"] for point in self.points if point["images"] <= seen), default=otherwise)

    def measure(self, gan: GAN, seen: int, seconds: float) -> bool:
        """Add a point; return whether it is the lowest of its resolution."""
        distance = frechet_distance(self.real, features(gan.sample(self.measured), "efficientnet"))
        self.points = [
            point for point in self.points if point["images"] < seen
        ]  # later ones are of a run that was killed
        before = [point["fd_efficientnet"] for point in self.points if point["resolution"] == self.resolution]
        point = {
            "images": seen,
            "resolution": self.resolution,
            "fd_efficientnet": round(distance, 1),
            "seconds": round(seconds),
        }
        self.points.append(point)
        with atomic_write(self.path) as temporary:
            temporary.write_text(json.dumps(self.points), encoding="utf-8")
        return distance < min(before, default=math.inf)
