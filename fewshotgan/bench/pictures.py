"""Pictures of what the bench measures."""

import io
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from PIL import Image

from fewshotgan.bench.foresight import Foresight
from fewshotgan.bench.outlook import MEASURES
from fewshotgan.bench.proximity import proximity
from fewshotgan.images import load_images
from fewshotgan.pictures import columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def domains_picture(source: str = "avatars/personas", each: int = 8) -> Image.Image:
    """Return images of a source domain and of the others, nearest first, labelled with their distance."""
    rows = {f"{source}, the source": load_images(source, n=each).tensor()}
    for row in proximity(source):
        rows[f"{row.domain}: {row.distance:.0f}, {row.verdict}"] = load_images(row.domain, n=each).tensor()
    return columns(rows, zoom=1)


def curve_picture(lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], bar: float | None) -> Image.Image:
    """Return the curve of a source GAN as a picture.

    Args:
        lines: {label: (images seen, distance)}.
        bar: the distance that a good source stays below; None if nobody set one.
    """
    from matplotlib import pyplot

    with pyplot.rc_context({"font.family": "DejaVu Sans", "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
        for label, (images, distance) in lines.items():
            axes.plot(images, distance, marker="o", markersize=3, label=label)
        if bar is not None:
            axes.axhline(bar, color="grey", linestyle="--", linewidth=1, label=f"bar, {bar:.0f} (to held-out images)")
        axes.set(yscale="log", xlabel="images seen", ylabel="fd_efficientnet to training images")
        seen = [number for images, _ in lines.values() for number in images]
        if max(seen) > 10 * min(seen):  # less holds no two powers of ten, whose labels a logarithmic axis lives by
            axes.set_xscale("log")
        else:
            axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.grid(alpha=0.25, which="both")
        axes.legend(frameon=False)
        return _drawn(figure)


def foresight_picture(found: Sequence[Foresight]) -> Image.Image:
    """Return, as a picture, how well each measure told beforehand which source ends nearest: its rank correlation with
    an interval, beside what chance reaches; "not run" where there is nothing.
    """
    from matplotlib import pyplot

    with pyplot.rc_context({"font.family": "DejaVu Sans", "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = pyplot.subplots(figsize=(8.2, 3.4), layout="constrained")
        rows = list(MEASURES) if not found else [one.measure for one in found]
        axes.set_yticks(range(len(rows)), [fill(MEASURES[row], 36) for row in rows])
        axes.set(xlim=(-1.02, 1.02), ylim=(len(rows) - 0.5, -0.5))
        axes.set_xlabel("rank correlation with the final distance, within a target")
        axes.axvline(0, color="grey", linewidth=1)
        for row, one in enumerate(found):
            label = "chance, middle 95 %" if row == 0 else None
            axes.fill_betweenx([row - 0.35, row + 0.35], *one.chance, color="0.85", linewidth=0, label=label)
            axes.plot([one.low, one.high], [row, row], color="C0", linewidth=2)
            axes.plot(one.correlation, row, "o", color="C0", label="measured, 95 % interval" if row == 0 else None)
        if found:
            axes.set_title(f"{found[0].pairs} pairs of source and target", fontsize=10)
            figure.legend(frameon=False, loc="outside lower center", ncols=2)
        else:
            axes.text(0, len(rows) / 2 - 0.5, "not run", ha="center", va="center", fontsize=16, backgroundcolor="white")
        return _drawn(figure)


def _drawn(figure: "Figure") -> Image.Image:
    """Return a figure as a picture, and close it."""
    from matplotlib import pyplot

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=96)
    pyplot.close(figure)
    return Image.open(buffer)
