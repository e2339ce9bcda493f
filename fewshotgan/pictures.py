"""Pictures: grids of samples, labelled rows, interpolation GIFs. Every function returns what it draws."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from fewshotgan.files import UserError, atomic_write
from fewshotgan.images import Images

if TYPE_CHECKING:
    from fewshotgan.run import Run

GAP = 2
PAPER, INK = (255, 255, 255), (40, 40, 40)
PALETTE_PIXELS = 60_000  # sampled per picture to choose its palette
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
HOW: dict[str, dict[str, Any]] = {
    "PNG": {"optimize": True}, "JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True},
}  # fmt: skip


def grid(images: Tensor | Images, columns: int | None = None, zoom: int | None = None) -> Image.Image:
    """Return images (N, C, H, W), -1..1, as one picture.

    Args:
        images: samples or a set of images.
        columns: per row; by default, enough for a wide rectangle.
        zoom: integer magnification; by default, enough to make an image at least 96 pixels wide.
    """
    x = images.tensor() if isinstance(images, Images) else images
    n, _, height, width = x.shape
    columns = columns or max(1, min(n, int(np.ceil(np.sqrt(2 * n)))))
    zoom = zoom or max(1, -(-96 // width))
    rows = -(-n // columns)
    pixels = ((x.clamp(-1, 1) + 1) * 127.5).round().byte().expand(-1, 3, -1, -1).permute(0, 2, 3, 1).cpu().numpy()
    h, w = height * zoom + GAP, width * zoom + GAP
    canvas = Image.new("RGB", (columns * w - GAP, rows * h - GAP), PAPER)
    for i, picture in enumerate(pixels):
        tile = Image.fromarray(picture).resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
        canvas.paste(tile, (i % columns * w, i // columns * h))
    return canvas


def show(
    images: "Tensor | Images | Image.Image", columns: int | None = None, title: str | None = None
) -> Image.Image | None:
    """Display images in a notebook; return the picture elsewhere (a notebook would display it a second time)."""
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
    """Return a font for titles, `size` pixels high: the charts' font, or a system font if only that covers `text`.

    Folder names may be in any script, and Pillow's default font covers little but Latin.
    """
    from matplotlib.font_manager import findfont, fontManager, get_font

    def has(path: str) -> bool:
        try:
            return letters <= get_font(path).get_charmap().keys()
        except (OSError, RuntimeError):  # matplotlib lists fonts that were since removed
            return False

    ours = findfont("DejaVu Sans")
    # LastResort has only placeholder boxes
    others = sorted({font.fname for font in fontManager.ttflist if "LastResort" not in font.name})
    letters = {ord(letter) for letter in text if letter.isprintable()}
    return ImageFont.truetype(next((path for path in (ours, *others) if has(path)), ours), size)


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
        UserError: for another suffix, or if the file can't be written.
    """
    form = picture_format(path)
    with atomic_write(path) as temporary:
        picture.save(temporary, form, **HOW[form])


def save_film(images: Tensor, path: str | Path, milliseconds: int = 60) -> None:
    """Write images (N, C, H, W), -1..1, as a looping GIF."""
    frames = [grid(image[None], 1) for image in images]
    with atomic_write(path) as temporary:
        frames[0].save(temporary, "GIF", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0)


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
