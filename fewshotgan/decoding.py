"""Decoding of image files: any folder or zip to square pixels of one size; whatever cannot be read says why."""

import io
import lzma
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from fewshotgan.files import UserError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
MOST_PIXELS = 80_000_000  # per image, checked before decoding
MOST_BYTES = 256 * 2**20  # per file, compressed or not
TURNS = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def image_files(path: Path) -> Iterator[tuple[str, bytes | str]]:
    """Yield (name, content or the reason there is none) for each image file of a folder or zip, sorted by name."""
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if _is_image(p.relative_to(path))):
            yield str(file.relative_to(path)), _content(file)
    elif path.is_file() and zipfile.is_zipfile(path):
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise UserError(f"The zip {path} is damaged ({error}); recreate it, or pass the folder itself.") from error
        with archive:
            for info in sorted(archive.infolist(), key=lambda entry: entry.filename):
                if _is_image(Path(info.filename)) and not info.is_dir():
                    yield info.filename, "the file is too big" if info.file_size > MOST_BYTES else _read(archive, info)
    elif path.is_file() and path.suffix.lower() in SUFFIXES:
        yield path.name, _content(path)
    else:
        raise UserError(f"{path} is not an image, a zip or a folder; use a folder of JPEG, PNG or WebP images.")


def _content(file: Path) -> bytes | str:
    """Return a file's bytes, or why it cannot be read; a pipe is not opened, as reading one may never end."""
    try:
        if not file.is_file():
            return "not a regular file"
        return "the file is too big" if file.stat().st_size > MOST_BYTES else file.read_bytes()
    except OSError as error:
        return error.strerror or str(error)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes | str:
    """Return a member's bytes, or why it cannot be read."""
    if info.flag_bits & 1:
        return "password-protected"
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, RuntimeError, EOFError) as error:
        return f"the zip is damaged at this file: {error}"


def _is_image(path: Path) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def decode(data: bytes | str) -> Image.Image:
    """Return an upright picture in mode L or RGB, alpha composited on white; a ValueError says why it cannot."""
    if isinstance(data, str):
        raise ValueError(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        picture = Image.open(io.BytesIO(data))
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError(f"{picture.width}x{picture.height} pixels are too many to decode")
    picture.load()
    return _plain(_upright(picture))


def _upright(picture: Image.Image) -> Image.Image:
    """Return the picture rotated as its EXIF says, or as it is if the EXIF is unreadable."""
    try:
        turn = TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return picture
    return picture if turn is None else picture.transpose(turn)


def _plain(picture: Image.Image) -> Image.Image:
    """Return the picture in mode L or RGB: 16 bits scaled to 8, palettes resolved, alpha composited on white."""
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, dtype=np.float64)
        top = 65535 if picture.mode.startswith("I") else max(1.0, float(np.max(values)))
        return Image.fromarray((values.clip(0, top) * (255 / top)).round().astype(np.uint8))
    if picture.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture if picture.mode == "L" else picture.convert("RGB")


def to_square(picture: Image.Image, resolution: int, channels: int) -> np.ndarray:
    """Return the centre square, resized, uint8 (resolution, resolution, channels)."""
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (resolution, resolution):
        picture = ImageOps.fit(picture, (resolution, resolution), Image.Resampling.LANCZOS)
    return np.asarray(picture).reshape(resolution, resolution, channels)


def stack_pixels(arrays: list[np.ndarray]) -> Tensor:
    """Return uint8 (N, channels, resolution, resolution) of N arrays (resolution, resolution, channels)."""
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def why_not(error: Exception) -> str:
    """Return in a few words why a file cannot be decoded."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return str(error).split("\n")[0] or "broken"
