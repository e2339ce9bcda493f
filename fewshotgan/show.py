"""Pictures: grids of samples, labelled rows, curves, films of interpolations. Everything returns what it draws."""

import inspect
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from fewshotgan.files import atomic_write
from fewshotgan.images import Images, load_images
from fewshotgan.proximity import proximity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fewshotgan.train import Run

matplotlib.rcParams.update({"figure.dpi": 96, "font.family": "DejaVu Sans", "axes.spines.top": False, "axes.spines.right": False})

GAP = 2
PAPER, INK = (255, 255, 255), (40, 40, 40)
PALETTE_PIXELS = 60_000  # of a picture, from which its colours are taken


def grid(images: Tensor | Images, columns: int | None = None, zoom: int | None = None) -> Image.Image:
    """Return images (N, C, H, W), -1..1, as one picture.

    Args:
        images: samples or a set of images.
        columns: by default as many as make a wide rectangle.
        zoom: whole-number magnification; by default so that an image is at least 96 pixels wide.
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


def show(images: "Tensor | Images | Image.Image", columns: int | None = None, title: str | None = None) -> Image.Image | None:
    """Show images in a notebook; elsewhere return the picture (there, a cell that ends so would draw it twice)."""
    picture = images if isinstance(images, Image.Image) else grid(images, columns)
    picture = stack({title: picture}) if title else picture
    if _in_notebook():
        from IPython.display import display

        display(light(picture))
        return None
    return picture


def light(picture: Image.Image) -> Image.Image:
    """Return a picture in 256 colours of its own: a third of the bytes as PNG, and no JPEG beside it, so that notebooks stay small.

    The colours are means of clusters, of every n-th pixel of a large picture: the median cut alone turns green hair ochre.
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
    """Return the charts' font, `size` pixels high, for titles in pictures; where it lacks letters of `text`, Chinese ones say, a font
    of this system that has them all, if there is one. (Pillow's own lacks what many folders' names have.)
    """
    from matplotlib.font_manager import findfont, fontManager, get_font

    def has(path: str) -> bool:
        try:
            return letters <= get_font(path).get_charmap().keys()
        except (OSError, RuntimeError):  # matplotlib remembers fonts that are gone
            return False

    ours = findfont("DejaVu Sans")
    others = sorted({font.fname for font in fontManager.ttflist if "LastResort" not in font.name})  # which has nothing but boxes
    letters = {ord(letter) for letter in text if letter.isprintable()}
    return ImageFont.truetype(next((path for path in (ours, *others) if has(path)), ours), size)


def stack(rows: Mapping[str, Image.Image]) -> Image.Image:
    """Return pictures beneath each other, each under its title."""
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
    """Return labelled rows of images; a column shows what one latent becomes in each row."""
    return stack({title: grid(images, len(images), zoom) for title, images in rows.items()})


def before_during_after(run: "Run", moments: int = 4, samples: int = 8) -> Image.Image:
    """Return samples from the same latents at a few moments of a run, the first and the last among them."""
    chosen = np.unique(np.linspace(0, len(run.snapshots) - 1, moments).round().astype(int))
    return columns({f"iteration {run.snapshots[i][0]}": run.snapshots[i][1][:samples] for i in chosen})


def result_figure(source: Tensor, target: Images, adapted: Tensor) -> Image.Image:
    """Return the picture of a result: source samples, the few images, what the same latents became; (N, C, H, W) each."""
    few = target.tensor()[: len(source)]
    return columns({"source GAN": source, f"{len(target)} images of {target.name}": few, "adapted, same latents": adapted})


def domains_picture(source: str = "avatars/personas", each: int = 8) -> Image.Image:
    """Return images of a source domain and of those around it, nearest first, with their distance: what close and distant look like."""
    rows = {f"{source}, the source": load_images(source, n=each).tensor()}
    for row in proximity(source):
        rows[f"{row.domain}: {row.distance:.0f}, {row.verdict}"] = load_images(row.domain, n=each).tensor()
    return columns(rows, zoom=1)


def curves(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str, log: bool = False) -> "Figure":
    """Return a line plot: {label: (xs, ys)}; `log` makes the x axis logarithmic."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    for label, (xs, ys) in series.items():
        axes.plot(xs, ys, marker="o", markersize=4, label=label)
    if log:
        axes.set_xscale("log")
        ticks = sorted({value for xs, _ in series.values() for value in xs})
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.25)
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    pyplot.close(figure)
    return figure


def loss_curves(run: "Run") -> "Figure":
    """Return the losses of a run against its iterations."""
    names = [name for name in run.history[-1] if "/" in name]
    rows = {name: [row for row in run.history if name in row] for name in names}
    series = {name: ([row["iteration"] for row in found], [row[name] for row in found]) for name, found in rows.items()}
    return curves(series, "iteration", "loss")


def importance_figure(scores: Mapping[str, Mapping[str, Tensor]], share: float) -> "Figure":
    """Return a picture of the importance of filters: a strip for each layer, a panel for each adaptation, and beside them who is kept.

    Args:
        scores: {adaptation: {layer, from latents to image: importance of its filters (out,)}}.
        share: 0..1, of all filters, that count as important.
    """
    from matplotlib import pyplot

    layers = list(next(iter(scores.values())))
    widths = [2.0] * len(scores) + [1.6]
    figure, axes = pyplot.subplots(1, len(widths), figsize=(11, 0.24 * len(layers) + 1.2), width_ratios=widths, layout="constrained")
    kept = {}
    for panel, (name, found) in zip(axes, scores.items(), strict=False):
        everyone = np.sort(np.concatenate([found[layer].cpu().numpy() for layer in layers]))
        rank = {layer: np.searchsorted(everyone, found[layer].cpu().numpy()) / len(everyone) for layer in layers}
        kept[name] = [float((rank[layer] >= 1 - share).mean()) for layer in layers]
        for row, layer in enumerate(layers):
            strip = np.sort(rank[layer])[::-1]
            panel.imshow(strip[None], aspect="auto", extent=(0, 1, row + 0.45, row - 0.45), vmin=0, vmax=1, cmap="viridis")
        panel.set(title=name, ylim=(len(layers) - 0.5, -0.5), xlim=(0, 1), xticks=[], xlabel="filters, most important first")
        panel.set_yticks(range(len(layers)), layers if panel is axes[0] else [""] * len(layers), fontsize=7)
    for name, shares in kept.items():
        axes[-1].plot(shares, range(len(layers)), marker="o", markersize=3, label=name)
    axes[-1].set(title="important", xlabel="share of the layer's filters", ylim=(len(layers) - 0.5, -0.5), xlim=(0, 1), yticks=[])
    axes[-1].grid(alpha=0.25)
    axes[-1].legend(frameon=False, fontsize=8)
    pyplot.close(figure)
    return figure


def heat_map(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], x: str, y: str, marks: Sequence[Sequence[str]], what: str
) -> "Figure":
    """Return a table (rows, columns) of `what` as colours, with its numbers and a mark behind each, perhaps empty; NaN is left white."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(0.9 * len(columns) + 1.6, 0.55 * len(rows) + 1.2), layout="constrained")
    image = axes.imshow(values, cmap="viridis_r", aspect="auto")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2 if np.isfinite(values).any() else 0.0
    for (i, j), value in np.ndenumerate(values):
        text = ("-" if np.isnan(value) else f"{value:.0f}") + marks[i][j]
        axes.text(j, i, text, ha="center", va="center", fontsize=9, color="white" if value > middle else "black")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel=x, ylabel=y)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label=what)
    pyplot.close(figure)
    return figure


def bars(values: Mapping[str, Mapping[str, float]], y: str) -> "Figure":
    """Return bars, {panel: {label: value}}, a panel each on one scale."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(values), figsize=(10, 3), sharey=True, squeeze=False, layout="constrained")
    for panel, (title, found) in zip(axes[0], values.items(), strict=True):
        panel.bar(range(len(found)), list(found.values()), color="tab:blue", alpha=0.8)
        panel.set_xticks(range(len(found)), list(found), rotation=45, ha="right", fontsize=8)
        panel.set_title(title, fontsize=10)
        panel.grid(axis="y", alpha=0.25)
    axes[0, 0].set_ylabel(y)
    pyplot.close(figure)
    return figure


def box_plots(series: Mapping[str, Mapping[str, Mapping[str, Tensor]]]) -> "Figure":
    """Return box plots (quartiles; whiskers at 5 and 95 %), a panel for each quantity: {quantity: {label: {layer: values}}}."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(series), figsize=(11, 3.4), squeeze=False, layout="constrained")
    for panel, (quantity, found) in zip(axes[0], series.items(), strict=True):
        for k, (label, layers) in enumerate(found.items()):
            width = 0.8 / len(found)
            at = np.arange(len(layers)) + (k - (len(found) - 1) / 2) * width
            data, colour = [value.flatten().cpu().numpy() for value in layers.values()], f"C{k}"
            boxes = panel.boxplot(data, positions=at, widths=width * 0.85, whis=(5, 95), showfliers=False, patch_artist=True)
            for box in boxes["boxes"]:
                box.set(facecolor=colour, alpha=0.6)
            panel.plot([], [], color=colour, linewidth=6, alpha=0.6, label=label)
        names = list(next(iter(found.values())))
        panel.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
        panel.set_title(quantity)
        panel.grid(axis="y", alpha=0.25)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=4)
    pyplot.close(figure)
    return figure


def kernels_picture(rows: Mapping[str, Tensor], zoom: int = 14) -> Image.Image:
    """Return labelled rows of kernels (N, k, k) in grey, zero in the middle, all rows on one scale."""
    most = max(float(kernels.abs().max()) for kernels in rows.values()) or 1.0
    return columns({label: kernels[:, None] / most for label, kernels in rows.items()}, zoom)


FROZEN, TRAINED = (120, 170, 215), (240, 175, 95)


def groups_picture(rows: Mapping[str, Sequence[tuple[str, str, bool]]]) -> Image.Image:
    """Return networks as rows of boxes: {network: [(name, what is in it, whether it is frozen), ...]}, frozen ones blue."""
    font, small, width, height = title_font(12), title_font(10), 112, 58
    legend = "blue: the general part, from the source, frozen; orange: the specific part"
    across = max(width * max(map(len, rows.values())), math.ceil(small.getlength(legend)))
    canvas = Image.new("RGB", (90 + across, (height + 12) * len(rows) + 24), PAPER)
    pen = ImageDraw.Draw(canvas)
    for row, (network, boxes) in enumerate(rows.items()):
        top = row * (height + 12) + 4
        pen.text((2, top + height // 2 - 8), network, fill=INK, font=font)
        for i, (name, content, frozen) in enumerate(boxes):
            left = 88 + i * width
            pen.rectangle((left, top, left + width - 8, top + height), fill=FROZEN if frozen else TRAINED, outline=INK)
            pen.text((left + 6, top + 6), name, fill=INK, font=font)
            pen.text((left + 6, top + 24), content, fill=INK, font=small)
            pen.text((left + 6, top + 40), "frozen" if frozen else "trains", fill=INK, font=small)
    pen.text((88, canvas.height - 18), legend, fill=INK, font=small)
    return canvas


def map_figure(points: Mapping[str, np.ndarray]) -> "Figure":
    """Return a scatter plot: {label: coordinates (N, 2)}, the first in grey beneath the others."""
    return maps_figure({"": points})


def maps_figure(maps: Mapping[str, Mapping[str, np.ndarray]], names: tuple[str, str] = ("first principal component", "second")) -> "Figure":
    """Return scatter plots of one scale beside each other, each as `map_figure`: {title: {label: coordinates (N, 2)}}; `names` of axes."""
    from matplotlib import pyplot

    wide = len(maps) > 1
    size = (4.2 * len(maps), 4.4) if wide else (6.4, 4.2)
    figure, panels = pyplot.subplots(1, len(maps), figsize=size, layout="constrained", squeeze=False, sharex=True, sharey=True)
    for axes, (title, points) in zip(panels[0], maps.items(), strict=True):
        for i, (label, rows) in enumerate(points.items()):
            axes.scatter(rows[:, 0], rows[:, 1], s=7, alpha=0.55, color="0.7" if i == 0 else None, label=label)
        axes.set(xticks=[], yticks=[], xlabel=names[0], ylabel=names[1], title=title)
        axes.legend(frameon=False, fontsize=8, markerscale=2, **({"loc": "upper center", "bbox_to_anchor": (0.5, -0.08)} if wide else {}))
    pyplot.close(figure)
    return figure


def save_picture(picture: Image.Image, path: str | Path) -> None:
    """Write a PNG, whole or not at all."""
    with atomic_write(path) as temporary:
        picture.save(temporary, "PNG", optimize=True)


def save_film(images: Tensor, path: str | Path, milliseconds: int = 60) -> None:
    """Write images (N, C, H, W), -1..1, as a looping GIF."""
    frames = [grid(image[None], 1) for image in images]
    with atomic_write(path) as temporary:
        frames[0].save(temporary, "GIF", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0)


class LiveGrid:
    """Shows samples while an adaptation runs: in a notebook one picture that is redrawn, elsewhere nothing.

    Pass it as `viewer` to `adapt`.
    """

    def __init__(self, samples: int = 8) -> None:
        self.samples, self.handle = samples, None

    def __call__(self, iteration: int, images: Tensor) -> None:
        """Draw the first samples of this iteration."""
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


def show_source(thing: object) -> None:
    """Print the package's own code of a function, method or class, so that a lesson shows what runs."""
    print(textwrap.dedent(inspect.getsource(thing)).rstrip())
