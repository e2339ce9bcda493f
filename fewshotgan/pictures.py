"""Pictures: grids of samples, labelled rows, files of them. Every function returns what it draws."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from fewshotgan.files import UserError, atomic_write
from fewshotgan.images import Images
from fewshotgan.pixels import enlargement, to_bytes

if TYPE_CHECKING:
    from fewshotgan.run import Run

GAP = 2
PAPER, INK = (255, 255, 255), (40, 40, 40)
PALETTE_PIXELS = 60_000  # sampled per picture to choose its palette
SHEET_PIXELS = 100_000_000  # of a grid; few programs open a larger picture
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
HOW: dict[str, dict[str, Any]] = {
    "PNG": {"optimize": True}, "JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True},
}  # fmt: skip
MOST = {"PNG": 2**31 - 1, "JPEG": 65_535, "WEBP": 16_383}  # pixels of a side that the format can hold


def grid(images: Tensor | Images, columns: int | None = None, zoom: int | None = None) -> Image.Image:
    """Return images as one picture.

    Args:
        images: samples (N, C, H, W), -1..1, uint8 pixels (N, C, H, W), or a set of images.
        columns: per row; by default, enough for a wide rectangle.
        zoom: integer magnification; by default, enough to make an image at least 96 pixels wide.

    Raises:
        UserError: for anything else, or for more images than a picture can hold.
    """
    x = to_bytes(images)
    n, _, height, width = x.shape
    columns = columns or max(1, min(n, int(np.ceil(np.sqrt(2 * n)))))
    zoom = zoom or enlargement(width)
    rows = -(-n // columns)
    h, w = height * zoom + GAP, width * zoom + GAP
    check_sheet(n, width * zoom)
    pixels = x.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    canvas = Image.new("RGB", (columns * w - GAP, rows * h - GAP), PAPER)
    for i, picture in enumerate(pixels):
        tile = Image.fromarray(picture).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
        canvas.paste(tile, (i % columns * w, i // columns * h))
    return canvas


def check_sheet(n: int, side: int) -> None:
    """Raise one sentence if n images of `side` pixels make a picture that few programs would open.

    Raises:
        UserError: if so.
    """
    if n * (side + GAP) ** 2 > SHEET_PIXELS:
        raise UserError(f"{n} images of {side} pixels are too many for one picture; draw fewer or smaller ones.")


def show(
    images: "Tensor | Images | Image.Image", columns: int | None = None, title: str | None = None
) -> Image.Image | None:
    """Display images in a notebook; return the picture elsewhere (a notebook would display it a second time).

    Args:
        images: samples (N, C, H, W), -1..1, uint8 pixels (N, C, H, W), a set of images, or a picture.
        columns: per row.
        title: above the picture.

    Raises:
        UserError: for anything else.
    """
    picture = images if isinstance(images, Image.Image) else grid(images, columns)
    picture = stack({title: picture}) if title else picture
    if _in_notebook():
        from IPython.display import display

        display(light(picture))
        return None
    return picture


def light(picture: Image.Image) -> Image.Image:
    """Return a picture with an adaptive palette of 256 colours, a third of the size as PNG, to keep notebooks small.

    The palette comes from k-means clustering, on every n-th pixel of a large picture; median cut alone turns green hair
    ochre.
    """
    picture = picture.convert("RGB")
    step = max(1, round((picture.width * picture.height / PALETTE_PIXELS) ** 0.5))
    few = picture.resize((max(1, picture.width // step), max(1, picture.height // step)), Image.Resampling.NEAREST)
    colours = few.quantize(255, kmeans=1, dither=Image.Dither.NONE)
    numbers = np.array(picture.quantize(palette=colours, dither=Image.Dither.NONE))
    numbers[(np.asarray(picture) == PAPER).all(axis=2)] = 255  # white stays white
    lighter = Image.fromarray(numbers)
    lighter.putpalette([*((colours.getpalette() or []) + [0] * 768)[: 3 * 255], *PAPER])
    return lighter


def title_font(size: int, text: str = "") -> ImageFont.FreeTypeFont:
    """Return a font for titles, `size` pixels high: the charts' font, or another if that covers more of `text`.

    Folder names may be in any script, and Pillow's default font covers little but Latin.
    """
    from matplotlib.font_manager import findfont, fontManager, get_font

    def covered(path: str) -> int:
        try:
            return len(letters & get_font(path).get_charmap().keys())
        except (OSError, RuntimeError):  # matplotlib lists fonts that were since removed
            return -1

    letters = {ord(letter) for letter in text if letter.isprintable()}
    ours = findfont("DejaVu Sans")
    # of "Last Resort", by whichever name, every letter is a placeholder
    others = sorted({font.fname for font in fontManager.ttflist if not _is_placeholder(font.name, font.fname)})
    return ImageFont.truetype(max((ours, *others), key=covered), size)


def _is_placeholder(*names: str) -> bool:
    """Return whether a font, by its name or its file's, has boxes for letters: Unicode's Last Resort fonts."""
    return any("lastresort" in re.sub(r"[^a-z]", "", name.rpartition("/")[2].lower()) for name in names)


def stack(rows: Mapping[str, Image.Image]) -> Image.Image:
    """Return pictures stacked vertically, each below its title."""
    font = title_font(13, "".join(rows))
    width = max(picture.width for picture in rows.values())
    height = sum(picture.height + 30 for picture in rows.values())
    canvas = Image.new("RGB", (max(width, 300), height), PAPER)
    pen, y = ImageDraw.Draw(canvas), 0
    for title, picture in rows.items():
        pen.text((2, y + 7), title, fill=INK, font=font)
        canvas.paste(picture, (0, y + 28))
        y += picture.height + 30
    return canvas


def beside(pictures: Mapping[str, Image.Image]) -> Image.Image:
    """Return pictures next to each other, each below its title."""
    font, pen = title_font(13, "".join(pictures)), ImageDraw.Draw(Image.new("RGB", (1, 1)))
    widths = [max(picture.width, int(pen.textlength(title, font)) + 8) + 8 for title, picture in pictures.items()]
    canvas = Image.new("RGB", (sum(widths) - 8, 28 + max(picture.height for picture in pictures.values())), PAPER)
    pen, x = ImageDraw.Draw(canvas), 0
    for (title, picture), width in zip(pictures.items(), widths, strict=True):
        pen.text((x + 2, 7), title, fill=INK, font=font)
        canvas.paste(picture, (x, 28))
        x += width
    return canvas


def columns(rows: Mapping[str, Tensor], zoom: int | None = None) -> Image.Image:
    """Return labelled rows of images (N, C, H, W), -1..1; a column shows one latent in every row."""
    return stack({title: grid(images, len(images), zoom) for title, images in rows.items()})


def before_during_after(run: "Run", moments: int = 4, samples: int = 8) -> Image.Image:
    """Return samples from the same latents at a few snapshots of a run, first and last included."""
    chosen = np.unique(np.linspace(0, len(run.snapshots) - 1, moments).round().astype(int))
    return columns({f"iteration {run.snapshots[i][0]}": run.snapshots[i][1][:samples] for i in chosen})


def result_figure(source: Tensor, target: Images, adapted: Tensor) -> Image.Image:
    """Return a picture of a result: source samples, the few images, adapted samples from the same latents.

    Args:
        source: (N, C, H, W), -1..1.
        target: the few images.
        adapted: (N, C, H, W), -1..1.
    """
    few = target.tensor()[: len(source)]
    return columns(
        {"source GAN": source, f"{len(target)} images of {target.name}": few, "adapted, same latents": adapted}
    )


def picture_format(path: str | Path) -> str:
    """Return the format of a picture's file, by its suffix.

    Raises:
        UserError: if there is none for the suffix.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise UserError(f"{path} must end in {', '.join(FORMATS)}, which say how the picture is written.")
    return FORMATS[suffix]


def save_picture(picture: Image.Image, path: str | Path) -> None:
    """Write a picture atomically, as PNG, JPEG or (lossless) WebP by its suffix.

    Raises:
        UserError: for another suffix, a picture that its format can't hold, or if the file can't be written.
    """
    form = picture_format(path)
    if max(picture.size) > MOST[form]:
        raise UserError(f"{path}: {form} holds at most {MOST[form]} pixels a side, not {max(picture.size)}; use .png.")
    with atomic_write(path) as temporary:
        picture.save(temporary, form, **HOW[form])


class LiveGrid:
    """Show samples while an adaptation runs: in a notebook, one picture that is redrawn; elsewhere, nothing.

    Pass it as `viewer` to `adapt`.
    """

    def __init__(self, samples: int = 8) -> None:
        self.samples, self.handle = samples, None

    def __call__(self, iteration: int, images: Tensor) -> None:
        """Draw the first samples (N, C, H, W), -1..1, of this iteration."""
        if not _in_notebook():
            return
        from IPython.display import display

        picture = light(stack({f"iteration {iteration}": grid(images[: self.samples], self.samples)}))
        if self.handle is None:
            self.handle = display(picture, display_id=True)
        else:
            self.handle.update(picture)


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")
