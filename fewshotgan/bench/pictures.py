"""Pictures of what the bench measures."""

import io
from collections.abc import Mapping, Sequence

from PIL import Image

from fewshotgan.bench.proximity import proximity
from fewshotgan.images import load_images
from fewshotgan.pictures import columns


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
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=96)
        pyplot.close(figure)
    return Image.open(buffer)
