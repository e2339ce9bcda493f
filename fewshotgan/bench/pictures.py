"""Pictures of what the bench measures."""

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
