"""`adapt` as users call it: the training loop, with a live grid of samples where there is a notebook to show it."""

from collections.abc import Sequence
from functools import wraps
from typing import Any

from fewshotgan import train
from fewshotgan.gans import GAN
from fewshotgan.images import Images
from fewshotgan.show import LiveGrid


@wraps(train.adapt)
def adapt(gan: GAN | Sequence[GAN], images: Images, method: str = "freezed", **arguments: Any) -> train.Run:  # noqa: D103 - wraps copies it
    arguments.setdefault("viewer", LiveGrid() if arguments.get("progress", True) else None)
    return train.adapt(gan, images, method, **arguments)
