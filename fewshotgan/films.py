"""Films of samples: GIF by Pillow, MP4 by PyAV."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from fewshotgan.files import UserError, atomic_write
from fewshotgan.pixels import enlargement, resized, to_picture
from fewshotgan.progress import watched

FILMS = (".gif", ".mp4")
FPS = 16


def save_film(
    images: Tensor, path: str | Path, fps: float = FPS, size: int | None = None, resample: str | None = None
) -> None:
    """Write images as a film: a looping `.gif` or an `.mp4` (H.264).

    Args:
        images: frames (N, C, H, W), -1..1.
        path: of the file.
        fps: frames per second, above 0 and at most 100; a GIF counts in hundredths of a second.
        size: side in pixels; by default, as few times the images' own as reach 96.
        resample: as in `pixels.resized`.

    Raises:
        UserError: for another suffix or a rate or size that can't be, without PyAV for an `.mp4`, or if the file can't
            be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FILMS:
        raise UserError(f"{path} must end in {' or '.join(FILMS)}, which says how the film is written.")
    if not 0 < fps <= 100:
        raise UserError(f"fps={fps} can't be; give a number above 0 and up to 100.")
    own = images.shape[-1]
    side = own * enlargement(own) if size is None else size
    frames = [resized(to_picture(image), side, resample).convert("RGB") for image in watched(images, "frames")]
    with atomic_write(path) as temporary:
        if suffix == ".mp4":
            _write_mp4(frames, temporary, fps)
        else:
            duration = round(1000 / fps)
            frames[0].save(temporary, "GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0)


def check_film(path: Path) -> None:
    """Raise one sentence if a film of this name can't be written here, before it is drawn.

    Raises:
        UserError: for an `.mp4` without PyAV.
    """
    if path.suffix.lower() == ".mp4":
        _av(path)


def _av(path: Path) -> object:
    try:
        import av
    except ImportError as error:
        raise UserError(
            f"{path.name} needs PyAV, which is not installed: pip install 'fewshotgan[video]', or write a .gif."
        ) from error
    return av


def _write_mp4(frames: list[Image.Image], path: Path, fps: float) -> None:
    """Write RGB pictures as H.264; odd sides get a line more, for its colours are half as fine as its light."""
    av = _av(path)
    even = [
        np.pad(np.asarray(frame), ((0, frame.height % 2), (0, frame.width % 2), (0, 0)), "edge") for frame in frames
    ]
    with av.open(str(path), "w") as container:  # type: ignore[attr-defined]
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000), options={"crf": "12"})
        stream.height, stream.width = even[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for pixels in watched(even, "encoding"):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))  # type: ignore[attr-defined]
        container.mux(stream.encode(None))
