"""Images as tensors become pixels and pictures."""

import torch
from PIL import Image
from torch import Tensor

from fewshotgan.files import UserError
from fewshotgan.images import Images

FAR = 10  # from -1..1, beyond what a generator draws: floats of 0..255, most likely
RESAMPLING = {"nearest": Image.Resampling.NEAREST, "lanczos": Image.Resampling.LANCZOS}
LARGEST = 16_384  # pixels of a resized picture's side


def to_bytes(images: Tensor | Images) -> Tensor:
    """Return images as uint8 (N, C, H, W): those of a set as they are, floats of -1..1 rounded.

    Args:
        images: a set of images, uint8 pixels (N, C, H, W), or samples (N, C, H, W), -1..1.

    Raises:
        UserError: for anything else.
    """
    x = images.pixels if isinstance(images, Images) else images
    if not isinstance(x, Tensor) or x.dim() != 4 or x.shape[1] not in (1, 3) or not len(x):
        what = f"a tensor of shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
        raise UserError(f"A picture is made of images (N, 1 or 3, height, width), not of {what}.")
    if x.dtype == torch.uint8:
        return x.detach().cpu()
    if not x.is_floating_point() or bool((x.nan_to_num().abs() > FAR).any()):
        raise UserError(
            f"A picture is made of uint8 pixels or of floats from -1 to 1, not of {x.dtype} up to {x.max()}; "
            "convert them first."
        )
    return ((x.detach().float().nan_to_num().clamp(-1, 1) + 1) * 127.5).round().byte().cpu()


def to_picture(image: Tensor) -> Image.Image:
    """Return one image (C, H, W), uint8 or -1..1, as a picture of its own size, grey if it has one channel."""
    return Image.fromarray(to_bytes(image[None])[0].permute(1, 2, 0).squeeze(2).numpy())


def enlargement(side: int, least: int = 96) -> int:
    """Return how many times an image of `side` pixels is enlarged to have at least as many as can be seen."""
    return max(1, -(-least // side))


def resized(picture: Image.Image, size: int | None, resample: str | None = None) -> Image.Image:
    """Return a square picture of `size` pixels, by default as it is.

    Args:
        picture: to resize.
        size: side in pixels.
        resample: "nearest" or "lanczos"; by default the first where `size` is a multiple of the picture's own, so that
            pixels stay pixels.

    Raises:
        UserError: for a size below 1 or above 16,384.
    """
    if size is None or size == picture.width:
        return picture
    if not 1 <= size <= LARGEST:
        raise UserError(f"size={size} can't be; give 1 to {LARGEST} pixels.")
    chosen = resample or ("lanczos" if size % picture.width else "nearest")
    return picture.resize((size, size), RESAMPLING[chosen])
