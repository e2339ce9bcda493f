"""`fewshotgan pretrain`: a source GAN, by a shipped recipe or of one's own images."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fewshotgan.bench.own import OWN_FAMILIES, SIZES, hold_back, named, own_quality, own_recipe
from fewshotgan.bench.pools import SUFFIX, load_pool
from fewshotgan.bench.pretrain import find_recipe, pretrain
from fewshotgan.bench.proximity import quality
from fewshotgan.bench.publication import publish
from fewshotgan.bench.recipes import RECIPES, Recipe
from fewshotgan.cli.arguments import EXIT_STOPPED, Commands, add_device, add_quiet, minutes, number, place
from fewshotgan.files import UserError
from fewshotgan.gans import GAN, load_gan
from fewshotgan.images import Images, load_images
from fewshotgan.images.labels import with_folders_as_classes
from fewshotgan.images.squares import FITS

OWN = "own"
Measure = Callable[[GAN], dict[str, Any]]


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("pretrain", help="make a source GAN, also of your own images", description=run.__doc__)
    new.add_argument("recipe", help=f"{OWN}, for your own images, or one of {', '.join(RECIPES)}")
    given = (
        f"a folder or a zip to make a source of, or a pool ({SUFFIX}) of the recipe's domain (default: those shipped)"
    )
    new.add_argument("--images", help=given)
    new.add_argument("--family", choices=OWN_FAMILIES, default="stylegan2", help="of `own` (default: %(default)s)")
    new.add_argument("--size", type=int, choices=SIZES, default=64, help="of `own`, in pixels (default: %(default)s)")
    new.add_argument("--grey", action="store_true", help="of `own`: grey images (default: colour)")
    classes = "of `own`: class-conditional, by a dataset.json or a folder for each class"
    new.add_argument("--classes", action="store_true", help=classes)
    new.add_argument("--fit", choices=FITS, default="crop", help="of images that are not square (default: %(default)s)")
    new.add_argument("--name", help="of a GAN of your own images (default: the recipe's and the folder's)")
    new.add_argument("--minutes", type=minutes, help="stop after this long; the same command goes on later")
    new.add_argument("--thousands", type=number, help="of images to see in all (default: the recipe's)")
    new.add_argument("--batch", type=number, help="images per step (default: the recipe's)")
    new.add_argument("--bf16", action="store_true", help="mixed precision: faster on a processor made for it")
    new.add_argument("--start", metavar="GAN", help="begin with the weights of this GAN (default: fresh weights)")
    add_device(new)
    new.add_argument("--out", type=place, default=Path("runs/pretrain"), help="of checkpoints (default: %(default)s)")
    new.add_argument("--publish", type=place, metavar="DIR", help="of the GAN with its card (default: --out)")
    add_quiet(new)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> int | None:
    """Follow a recipe; stop at --minutes or Ctrl-C, and go on when called again. The best GAN so far is published.

    The best is the one nearest to training images; held-out images are measured for its card alone. With --images
    FOLDER the GAN is of these images: its card bears the folder's name, and it is measured against images of the folder
    that were held back from training.
    """
    recipe, images, measure = chosen(options)
    out = options.out / recipe.name
    run = pretrain(
        recipe,
        out,
        images=images,
        minutes=options.minutes,
        thousands=options.thousands,
        start=load_gan(options.start) if options.start else None,
        batch=options.batch,
        mixed=options.bf16,
        device=options.device,
        progress=not options.quiet,
    )
    curve, seen = run.gan.card["curve"], run.gan.card["images_seen"]
    said = [f"{seen:,} images seen, fd_efficientnet {curve[-1]['fd_efficientnet']} to training images."]
    path, folder = out / f"{recipe.name}.safetensors", options.publish or out / "published"
    if path.is_file() and newer(path, folder / path.name):
        gan = load_gan(path)
        publish(gan, measure, folder)
        said.append(f"published: {folder / path.name}, {gan.card['quality']}")
    if not options.quiet:
        print("\n".join(said if run.finished else [*said, "The same command goes on."]))
    return None if run.finished else EXIT_STOPPED


def chosen(options: argparse.Namespace) -> tuple[Recipe, Images | None, Measure]:
    """Return the recipe, the images where they are not the shipped ones, and how the GAN is measured.

    Raises:
        UserError: for options that don't fit together.
    """
    if options.recipe == OWN:
        if not options.images:
            raise UserError("`pretrain own` makes a source of your images; name their folder: --images DIR.")
        images = _own(options, options.size, 1 if options.grey else 3)
        images = with_folders_as_classes(images) if options.classes else images
        train, held = hold_back(images)
        recipe = own_recipe(train, options.family, classes=options.classes, name=options.name)
        return recipe, train, partial(own_quality, train=train, held=held)
    recipe = find_recipe(options.recipe)
    if options.images is None or options.images.endswith(SUFFIX):
        pool = load_pool(options.images, recipe.images) if options.images else None
        return recipe, pool, partial(quality, source=recipe.images)
    train, held = hold_back(_own(options, recipe.resolution, recipe.config["generator"]["channels"]))
    recipe = replace(recipe, name=options.name or f"{recipe.name}-{train.name}", images=train.name)
    return recipe, train, partial(own_quality, train=train, held=held)


def _own(options: argparse.Namespace, size: int, channels: int) -> Images:
    """Return the images of the user's own, named after their folder."""
    images = load_images(options.images, resolution=size, channels=channels, fit=options.fit)
    if images.note and not options.quiet:
        print(images.note)
    return named(images, options.images)


def newer(path: Path, published: Path) -> bool:
    """Return whether a GAN lies elsewhere on its curve than the published one, or none is published."""
    return not published.is_file() or load_gan(path).card["curve"] != load_gan(published).card.get("curve")
