"""Decoding of image files: what a file is, and its upright picture in 8 bits; whatever cannot be read says why."""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError, features

FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")  # that Pillow reads
SUFFIXES = frozenset(
    [
        ".avif",
        ".bmp",
        ".gif",
        ".heic",
        ".heif",
        ".hif",
        ".ico",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".mpo",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
OTHERS = {  # what people keep beside their pictures
    **dict.fromkeys((".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"), "a video"),
    **dict.fromkeys((".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"), "a raw photo: export it as JPEG"),
    **dict.fromkeys((".ai", ".eps", ".pdf", ".svg", ".svgz"), "drawn in vectors: export it as PNG"),
    **dict.fromkeys((".jxl", ".psd", ".tga", ".xcf"), "export it as PNG"),
}
STARTS = {  # of files; what a name without a known ending is recognised by
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP  ": "JPEG2000",
}
HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}  # brands
HEAD = 32  # bytes that tell what a file is
MOST_PIXELS = 80_000_000  # per image, checked before decoding
TOPS = (255, 1023, 4095, 16383, 65535)  # of 8, 10, 12, 14 and 16 bits
DARK = 64  # colours of 16 bits that stay below it, of 256, are of fewer bits
DIM = 16  # a greatest value below this is no picture of 0 to 255
TURNS = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Decoded:
    """An upright picture of mode L, RGB or RGBA; `scaled` says how its values became 8 bits, if that was a choice."""

    picture: Image.Image
    scaled: str = ""


def recognise(head: bytes) -> str | None:
    """Return the format of a file that begins so; None if it is no image."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    if head[4:8] == b"ftyp":
        brands = {head[i : i + 4] for i in (8, *range(16, HEAD, 4))}
        return "AVIF" if brands & {b"avif", b"avis"} else "HEIF" if brands & HEIF else None
    return next((kind for start, kind in STARTS.items() if head.startswith(start)), None)


def decode(data: bytes) -> Decoded:
    """Return the picture in a file's bytes, turned upright as its EXIF says; the first one of several.

    Raises:
        ValueError: says why it cannot be; other errors of Pillow's come from broken files.
    """
    kind = recognise(data[:HEAD])
    if kind == "HEIF":
        return _plain(_heif(data))
    if kind == "AVIF" and not features.check("avif"):
        raise ValueError("AVIF: needs Pillow 11.3 or newer")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ValueError(
            f"a kind of {kind} that can't be read: export it as PNG" if kind else "not an image"
        ) from error
    _check_size(picture.width, picture.height)
    stored = str(getattr(picture, "tile", ""))  # how the pixels lie in the file, gone once they are loaded
    picture.load()
    if "RGB;16" in stored and int(np.asarray(picture.convert("RGB")).max()) < DARK:
        raise ValueError("colours of 12 bits in 16: convert it to 8 bits")  # Pillow has kept the upper 8 of them
    return _plain(_upright(picture))


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise ValueError(f"{width}x{height} pixels are too many to decode")


def _heif(data: bytes) -> Image.Image:
    """Return the picture of a HEIC file, upright."""
    try:
        import pillow_heif
    except ImportError as error:
        raise ValueError("HEIC: to read it, pip install 'fewshotgan[photos]'") from error
    try:
        found = pillow_heif.open_heif(io.BytesIO(data))
    except Exception as error:  # which, is not documented
        raise ValueError("a damaged HEIC") from error
    _check_size(*found.size)
    picture: Image.Image = found.to_pillow()
    return picture


def _upright(picture: Image.Image) -> Image.Image:
    """Return the picture rotated as its EXIF says, or as it is if the EXIF is unreadable."""
    try:
        turn = TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return picture
    return picture if turn is None else picture.transpose(turn)


def _plain(picture: Image.Image) -> Decoded:
    """Return the picture in mode L, RGB, or RGBA where it is partly transparent; palettes are resolved."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return _scaled(np.asarray(picture, dtype=np.float64))
    if picture.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        opaque = layer.getchannel("A").getextrema() == (255, 255)
        return Decoded(layer.convert("RGB") if opaque else layer)
    return Decoded(picture if picture.mode == "L" else picture.convert("RGB"))


def _scaled(values: np.ndarray) -> Decoded:
    """Return values of more than 8 bits in 8: those up to 1 as fractions, whole ones by the bits that they need, all
    others by the range they span.
    """
    if not np.isfinite(values).all():
        raise ValueError("holds NaN or infinity")
    low, high = float(values.min()), float(values.max())
    whole, said = bool((values == values.round()).all()), ""
    if low >= 0 and high <= 1:
        bottom, top = 0.0, 1.0
    elif low >= 0 and high <= TOPS[-1] and (whole or DIM <= high <= TOPS[0]):
        bottom, top = 0.0, float(next(each for each in TOPS if high <= each))
        said = "" if top in (TOPS[0], TOPS[-1]) else f"values read as {int(top).bit_length()} bits"
    else:
        bottom, top, said = low, max(high, low + 1e-9), "values scaled by the range they span"
    return Decoded(Image.fromarray(((values - bottom) * (255 / (top - bottom))).round().astype(np.uint8)), said)


def why_not(error: Exception) -> str:
    """Return in a few words why a file cannot be decoded."""
    return str(error).split("\n")[0].strip().rstrip(".") or "broken"
