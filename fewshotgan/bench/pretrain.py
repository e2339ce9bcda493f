"""Follow a recipe of a source GAN, and publish what comes of it.

`fewshotgan pretrain RECIPE --minutes 9` goes on from where the last call stopped, writes `checkpoint.pt` every minute
and the GAN with its card at the end of each call: run it again until it says that it is done. `--start GAN` begins with
the weights of a GAN that was published earlier, whose images then count as seen.
"""

import datetime
import platform
from pathlib import Path
from typing import Any

import torch

from fewshotgan.bench import proximity
from fewshotgan.bench.recipes import RECIPES, Recipe
from fewshotgan.checkpoint import digest
from fewshotgan.files import UserError, atomic_write, check_folder
from fewshotgan.gans.gan import GAN
from fewshotgan.images import Images, load_images
from fewshotgan.methods import Conditional, TransferGAN
from fewshotgan.pictures import grid, light, save_picture
from fewshotgan.run import Run, Viewer
from fewshotgan.train import Loop, choose_device, make_task

FAMILY_NAMES = {
    "stylegan2": "StyleGAN2",
    "progan": "ProGAN",
    "sngan": "SNGAN",
    "wgan_resnet": "WGAN-GP's residual GAN",
    "gp_resnet": "GP-GAN",
}


def pretrain(
    name: str,
    out: str | Path,
    *,
    images: Images | None = None,
    minutes: float | None = None,
    thousands: int | None = None,
    start: GAN | None = None,
    seed: int = 0,
    device: str | None = None,
    progress: bool = True,
    viewer: Viewer | None = None,
) -> Run:
    """Follow a recipe, or go on following it; write `<name>.safetensors` into `out`.

    Args:
        name: of the recipe.
        out: folder of the checkpoint and the GAN.
        images: more images of the recipe's domain than the project ships (the renderer beside the data makes them).
        minutes: stop after so long, resumably.
        thousands: of images to see in all; the recipe's number by default.
        start: a GAN with the recipe's networks to begin with, instead of fresh weights; its card tells what it has
            seen.
        seed: of everything random.
        device: a GPU where there is one by default.
        progress: show a progress bar.
        viewer: called with (iteration, images) at each snapshot.

    Raises:
        UserError: if there is no such recipe, `start` has other networks, or images lack the labels of
            class-conditional ones.
    """
    if name not in RECIPES:
        raise UserError(f"There is no recipe {name!r}; there are {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    if start is not None and start.config != recipe.config:
        raise UserError(
            f"{start.name} has other networks than the recipe {name}; leave out --start, "
            "or start with a GAN of that recipe."
        )
    if start is not None and not {"images_seen", "seconds", "recipe"} <= start.card.keys():
        raise UserError(
            f"{start.name} was not made by pretraining: its card does not say how many images it has seen; "
            "start with another."
        )
    images = images or load_images(recipe.images)
    place = choose_device(device)
    source = start or GAN.create(recipe.config, recipe.name, seed=seed)
    before = {key: start.card[key] for key in ("images_seen", "seconds", "recipe")} if start else {}
    seen = before.get("images_seen", 0)
    iterations = ((recipe.thousands if thousands is None else thousands) * 1000 - seen) // recipe.batch
    if iterations < 1:
        raise UserError(f"{source.name} has seen {seen} images; ask for more than that with --thousands.")
    check_folder(out)
    loop = make_loop(recipe, source, images, iterations, seed, place, viewer)
    if start:
        loop.spec["digests"]["start"] = digest(start.weights())
    run = loop.run(Path(out) / "checkpoint.pt", minutes, progress)
    run.gan.name = recipe.name
    run.gan.card = card(recipe, run, images, seen + loop.iteration * recipe.batch, place)
    if start:
        run.gan.card |= {"started_from": before, "seconds": run.gan.card["seconds"] + before["seconds"]}
    run.gan.save(Path(out) / f"{recipe.name}.safetensors")
    return run


def make_loop(
    recipe: Recipe, source: GAN, images: Images, iterations: int, seed: int, device: torch.device, viewer: Viewer | None
) -> Loop:
    """Return the training loop of a recipe; the budget is not part of its spec, so that it may be extended."""
    method = (Conditional if source.classes else TransferGAN)(**recipe.options)
    task = make_task(source, images.pixels, recipe.batch, seed, recipe.augment, device, images.labels)
    method.build(task)
    spec = {
        "recipe": recipe.name,
        "config": recipe.config,
        "batch": recipe.batch,
        "seed": seed,
        "options": method.options(),
    }
    spec["digests"] = {"images": digest([images.pixels])}
    return Loop(method, task, spec, iterations, 1000, viewer)


def publish(gan: GAN, recipe: Recipe, folder: str | Path) -> None:
    """Measure a GAN against its bar and write it with its model card: `<name>.safetensors`, `<name>.md`, `<name>.png`.

    The weights are rounded to half precision, in place, before anything is measured: what is measured is what ships.

    Raises:
        UserError: if a file can't be written.
    """
    folder = Path(folder)
    gan.to_half()
    gan.card["quality"] = proximity.quality(gan, recipe.images)
    gan.save(folder / f"{gan.name}.safetensors", torch.float16)
    write_card(gan, folder)


def write_card(gan: GAN, folder: Path) -> None:
    """Write the page and the samples of a GAN that has been measured."""
    quality = gan.card["quality"]
    save_picture(light(grid(gan.sample(48, seed=0), 12, 64 // gan.resolution)), folder / f"{gan.name}.png")
    verdict = "meets" if quality["meets_bar"] else "**misses**"
    rows = "\n".join(
        f"| {key.replace('_', ' ')} | {value} |" for key, value in gan.card.items() if key not in ("summary", "quality")
    )
    page = (
        f"# {gan.name}\n\n{gan.card['summary']}. Generator (moving average) and discriminator.\n\n"
        f"![samples, seed 0, not chosen]({gan.name}.png)\n\n| | |\n| --- | --- |\n{rows}\n"
        f"| fd_efficientnet to held-out real images | {quality['fd_efficientnet']} |\n"
        f"| closest other domain | {quality['closest']}, {quality['closest_distance']} |\n\n"
        f"The ratio, {quality['ratio']}, {verdict} the bar of {quality['bar']} (evaluation protocol "
        f"{quality['protocol']}).\n"
    )
    with atomic_write(folder / f"{gan.name}.md") as temporary:
        temporary.write_text(page, encoding="utf-8")


def card(recipe: Recipe, run: Run, images: Images, seen: int, device: torch.device) -> dict[str, Any]:
    """Return the model card, as it stands before any evaluation."""
    family = FAMILY_NAMES[recipe.config["family"]]
    size = (
        sum(p.numel() for p in run.gan.generator.parameters()),
        sum(p.numel() for p in run.gan.discriminator.parameters()),
    )
    return {
        "summary": f"{family}, {run.gan.resolution} pixels, {images.name}, {seen / 1000:.0f} thousand images seen",
        "data": {"domain": recipe.images, "training_images": len(images)},
        "images_seen": seen,
        "recipe": {"batch": recipe.batch, "augment": recipe.augment, **run.spec["options"]},
        "parameters": {"generator": size[0], "discriminator": size[1]},
        "seconds": round(run.seconds),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"CPU ({platform.machine()})",
        "torch": torch.__version__,
        "date": datetime.date.today().isoformat(),
    }
