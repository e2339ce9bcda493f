"""Figures for the lessons, and printing of the package's own source code."""

import inspect
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import matplotlib
import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from fewshotgan.pictures import INK, PAPER, columns, title_font

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FROZEN, TRAINED = (120, 170, 215), (240, 175, 95)
STYLE = {
    "figure.dpi": 96,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
styled = matplotlib.rc_context(rc=cast(Any, STYLE))  # as a decorator, the style holds only while a figure is drawn


@styled
def curves(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str, log: bool = False
) -> "Figure":
    """Return a line plot of {label: (xs, ys)}; `log` makes the x axis logarithmic."""
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


@styled
def importance_figure(scores: Mapping[str, Mapping[str, Tensor]], share: float) -> "Figure":
    """Return a figure of filter importance: a panel per adaptation, a strip per layer, and the share kept per layer.

    Args:
        scores: {adaptation: {layer, from latents to image: importance of its filters (out,)}}.
        share: fraction of all filters that count as important, 0..1.
    """
    from matplotlib import pyplot

    layers = list(next(iter(scores.values())))
    widths = [2.0] * len(scores) + [1.6]
    figure, axes = pyplot.subplots(
        1, len(widths), figsize=(11, 0.24 * len(layers) + 1.2), width_ratios=widths, layout="constrained"
    )
    kept = {}
    for panel, (name, found) in zip(axes, scores.items(), strict=False):
        everyone = np.sort(np.concatenate([found[layer].cpu().numpy() for layer in layers]))
        rank = {layer: np.searchsorted(everyone, found[layer].cpu().numpy()) / len(everyone) for layer in layers}
        kept[name] = [float((rank[layer] >= 1 - share).mean()) for layer in layers]
        for row, layer in enumerate(layers):
            strip = np.sort(rank[layer])[::-1]
            panel.imshow(
                strip[None], aspect="auto", extent=(0, 1, row + 0.45, row - 0.45), vmin=0, vmax=1, cmap="viridis"
            )
        panel.set(
            title=name, ylim=(len(layers) - 0.5, -0.5), xlim=(0, 1), xticks=[], xlabel="filters, most important first"
        )
        panel.set_yticks(range(len(layers)), layers if panel is axes[0] else [""] * len(layers), fontsize=7)
    for name, shares in kept.items():
        axes[-1].plot(shares, range(len(layers)), marker="o", markersize=3, label=name)
    axes[-1].set(
        title="important", xlabel="share of the layer's filters", ylim=(len(layers) - 0.5, -0.5), xlim=(0, 1), yticks=[]
    )
    axes[-1].grid(alpha=0.25)
    axes[-1].legend(frameon=False, fontsize=8)
    pyplot.close(figure)
    return figure


@styled
def heat_map(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    x: str,
    y: str,
    marks: Sequence[Sequence[str]],
    what: str,
) -> "Figure":
    """Return a heat map of values (rows, columns).

    Args:
        values: (rows, columns); NaN is left white.
        rows: labels of the rows.
        columns: labels of the columns.
        x: label of the x axis.
        y: label of the y axis.
        marks: text appended to each number, often empty; indexed as `values`.
        what: label of the colour bar.
    """
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


@styled
def bars(values: Mapping[str, Mapping[str, float]], y: str) -> "Figure":
    """Return bar charts of {panel: {label: value}} on one scale."""
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


@styled
def box_plots(series: Mapping[str, Mapping[str, Mapping[str, Tensor]]]) -> "Figure":
    """Return box plots (quartiles, whiskers at 5 and 95 %), a panel per quantity.

    Args:
        series: {quantity: {label: {layer: values}}}.
    """
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(series), figsize=(11, 3.4), squeeze=False, layout="constrained")
    for panel, (quantity, found) in zip(axes[0], series.items(), strict=True):
        for k, (label, layers) in enumerate(found.items()):
            width = 0.8 / len(found)
            at = np.arange(len(layers)) + (k - (len(found) - 1) / 2) * width
            data, colour = [value.flatten().cpu().numpy() for value in layers.values()], f"C{k}"
            boxes = panel.boxplot(
                data, positions=at, widths=width * 0.85, whis=(5, 95), showfliers=False, patch_artist=True
            )
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
    """Return labelled rows of kernels (N, k, k) on one grey scale, with zero in the middle."""
    most = max(float(kernels.abs().max()) for kernels in rows.values()) or 1.0
    return columns({label: kernels[:, None] / most for label, kernels in rows.items()}, zoom)


def groups_picture(rows: Mapping[str, Sequence[tuple[str, str, bool]]]) -> Image.Image:
    """Return networks as rows of boxes: {network: [(name, content, frozen), ...]}; frozen boxes are blue."""
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
    """Return a scatter plot of {label: coordinates (N, 2)}; the first is grey and below the others."""
    return maps_figure({"": points})


@styled
def maps_figure(
    maps: Mapping[str, Mapping[str, np.ndarray]], names: tuple[str, str] = ("first principal component", "second")
) -> "Figure":
    """Return scatter plots side by side on one scale, each as in `map_figure`.

    Args:
        maps: {title: {label: coordinates (N, 2)}}.
        names: labels of the x and y axes.
    """
    from matplotlib import pyplot

    wide = len(maps) > 1
    size = (4.2 * len(maps), 4.4) if wide else (6.4, 4.2)
    figure, panels = pyplot.subplots(
        1, len(maps), figsize=size, layout="constrained", squeeze=False, sharex=True, sharey=True
    )
    for axes, (title, points) in zip(panels[0], maps.items(), strict=True):
        for i, (label, rows) in enumerate(points.items()):
            axes.scatter(rows[:, 0], rows[:, 1], s=7, alpha=0.55, color="0.7" if i == 0 else None, label=label)
        axes.set(xticks=[], yticks=[], xlabel=names[0], ylabel=names[1], title=title)
        axes.legend(
            frameon=False,
            fontsize=8,
            markerscale=2,
            **({"loc": "upper center", "bbox_to_anchor": (0.5, -0.08)} if wide else {}),
        )
    pyplot.close(figure)
    return figure


def show_source(thing: Callable[..., object]) -> None:
    """Print the source code of a function, method or class, so that a lesson shows the code that runs."""
    print(textwrap.dedent(inspect.getsource(thing)).rstrip())
