"""A set of images of one size: what methods train on and metrics compare."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fewshotgan.files import UserError, clip


@dataclass(frozen=True)
class Images:
    """A set of images of one size.

    Attributes:
        pixels: uint8 (N, C, H, W), C 1 or 3.
        name: the shipped domain or the path.
        note: how they were cropped, what stands out in them and what was left out; empty if they are unchanged.
        labels: int64 (N,), the class of each image, counted from 0: the domain that it comes from in a mixture, or what
            the images' own `dataset.json` says; None otherwise.
        classes: how many there are, at least as many as `labels` shows; 0 without labels.
        names: of the N files, as they lie in the folder; empty for shipped domains.
        left_out: files that could not be used, each with its reason.
    """

    pixels: Tensor
    name: str
    note: str = ""
    labels: Tensor | None = None
    classes: int = 0
    names: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Reject anything but a batch of square uint8 images; count the classes."""
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
        seen = 0 if self.labels is None or not len(self.labels) else int(self.labels.max()) + 1
        object.__setattr__(self, "classes", 0 if self.labels is None else max(self.classes, seen))

    def check_fits(self, name: str, resolution: int, channels: int) -> None:
        """Check that the images are of the side in pixels and the channels that a GAN of that name makes.

        Raises:
            UserError: if they aren't.
        """
        if (self.resolution, self.channels) != (resolution, channels):
            raise UserError(
                f"{clip(self.name, 40)} has {self.resolution} pixels and {self.channels} channels, "
                f"{clip(name, 40)} {resolution} and {channels}; use load_images(..., resolution={resolution}, "
                f"channels={channels})."
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

    def part(self, first: int, last: int) -> "Images":
        """Return the images from `first` to before `last`."""
        labels = None if self.labels is None else self.labels[first:last]
        return replace(self, pixels=self.pixels[first:last], labels=labels, names=self.names[first:last])
