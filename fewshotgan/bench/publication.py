"""What ships of a source: its GAN in half precision, measured against its bar, and a card with samples and curve."""

import datetime
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from fewshotgan.bench.pictures import curve_picture
from fewshotgan.bench.recipes import FAMILY_NAMES, Recipe
from fewshotgan.files import atomic_write
from fewshotgan.gans.gan import GAN
from fewshotgan.images import Images
from fewshotgan.pictures import grid, light, save_picture


def publish(gan: GAN, measure: Callable[[GAN], dict[str, Any]], folder: str | Path) -> None:
    """Measure a GAN and write it with its model card: `<name>.safetensors`, `<name>.md`, `<name>.png`.

    The weights are rounded to half precision, in place, before anything is measured: what is measured is what ships.

    Args:
        gan: the GAN, with the card of its training.
        measure: `proximity.quality` of a shipped domain, or `own.own_quality`.
        folder: of the three files.

    Raises:
        UserError: if a file can't be written.
    """
    folder = Path(folder)
    gan.to_half()
    gan.card["quality"] = measure(gan)
    gan.save(folder / f"{gan.name}.safetensors", torch.float16)
    write_card(gan, folder)


def write_card(gan: GAN, folder: Path) -> None:
    """Write the page and the samples of a GAN that has been measured."""
    quality = gan.card["quality"]
    save_picture(light(grid(gan.sample(48, seed=0), 12, 64 // gan.resolution)), folder / f"{gan.name}.png")
    curve = gan.card.get("curve", [])
    if len(curve) > 1:
        bar = quality["bar"] * quality["closest_distance"] if "bar" in quality else None
        save_picture(curve_picture(by_resolution(curve), bar), folder / f"{gan.name}-curve.png")
    rows = "\n".join(
        f"| {key.replace('_', ' ')} | {value} |"
        for key, value in gan.card.items()
        if key not in ("summary", "quality", "curve")
    )
    page = (
        f"# {gan.name}\n\n{gan.card['summary']}. Generator (moving average) and discriminator.\n\n"
        f"![samples, seed 0, not chosen]({gan.name}.png)\n\n| | |\n| --- | --- |\n{rows}\n"
        f"| precision and recall of 1,000 samples | {quality['precision']}, {quality['recall']} |\n"
        f"{_against_its_bar(quality) if 'bar' in quality else _against_its_own(quality)}"
        f" (evaluation protocol {quality['protocol']}).\n"
    )
    if len(curve) > 1:
        page += f"\n![distance to training images against images seen]({gan.name}-curve.png)\n"
    with atomic_write(folder / f"{gan.name}.md") as temporary:
        temporary.write_text(page, encoding="utf-8")


def _against_its_bar(quality: dict[str, Any]) -> str:
    """Return rows and verdict of a GAN of a shipped domain."""
    verdict = "meets" if quality["meets_bar"] else "**misses**"
    return (
        f"| fd_efficientnet to held-out real images | {quality['fd_efficientnet']} |\n"
        f"| closest other domain | {quality['closest']}, {quality['closest_distance']} |\n\n"
        f"The ratio, {quality['ratio']}, {verdict} the bar of {quality['bar']}"
    )


def _against_its_own(quality: dict[str, Any]) -> str:
    """Return rows and explanation of a GAN of somebody's own images, which has no bar."""
    floor = quality["training_fd"]
    rows = f"| fd_efficientnet | {quality['fd_efficientnet']} |\n"
    rows += f"| the same of the training images, for comparison | {floor} |\n" if floor is not None else ""
    return f"{rows}\nMeasured against {quality['against']}"


def by_resolution(points: list[dict[str, Any]]) -> dict[str, tuple[list[float], list[float]]]:
    """Return a curve as lines: {"64 pixels": (images seen, distances)}."""
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for point in points:
        images, distances = lines.setdefault(f"{point['resolution']} pixels", ([], []))
        images.append(point["images"])
        distances.append(point["fd_efficientnet"])
    return lines


def card(
    recipe: Recipe,
    gan: GAN,
    options: dict[str, object],
    images: Images,
    seen: int,
    seconds: float,
    device: torch.device,
) -> dict[str, Any]:
    """Return the model card, as it stands before any evaluation."""
    family = FAMILY_NAMES[recipe.config["family"]]
    size = [sum(p.numel() for p in network.parameters()) for network in (gan.generator, gan.discriminator)]
    return {
        "summary": f"{family}, {gan.resolution} pixels, {images.name}, {seen / 1000:.0f} thousand images seen",
        "data": {"domain": images.name, "training_images": len(images)},
        "images_seen": seen,
        "recipe": {"batch": recipe.batch, "augment": recipe.augment, "growing": recipe.growing, **options},
        "parameters": {"generator": size[0], "discriminator": size[1]},
        "seconds": round(seconds),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"CPU ({platform.machine()})",
        "torch": torch.__version__,
        "date": datetime.date.today().isoformat(),
    }
