"""`fewshotgan pretrain`: a source GAN, made by its recipe."""

import argparse
from pathlib import Path

from fewshotgan.bench.pools import SUFFIX, load_pool
from fewshotgan.bench.pretrain import pretrain
from fewshotgan.bench.publication import publish
from fewshotgan.bench.recipes import RECIPES, Recipe
from fewshotgan.cli.arguments import EXIT_STOPPED, Commands, add_quiet, minutes, number, place
from fewshotgan.files import UserError
from fewshotgan.gans import load_gan
from fewshotgan.images import Images, load_images


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("pretrain", help="make a source GAN by its recipe", description=run.__doc__)
    new.add_argument("recipe", help=f"one of {', '.join(RECIPES)}")
    images = f"a folder, a zip or a pool ({SUFFIX}) of more images of the recipe's domain (default: those shipped)"
    new.add_argument("--images", help=images)
    new.add_argument("--minutes", type=minutes, help="stop after this long; the same command goes on later")
    new.add_argument("--thousands", type=number, help="of images to see in all (default: the recipe's)")
    new.add_argument("--batch", type=number, help="images per step (default: the recipe's)")
    new.add_argument("--bf16", action="store_true", help="mixed precision: faster on a processor made for it")
    new.add_argument("--start", metavar="GAN", help="begin with the weights of this GAN (default: fresh weights)")
    new.add_argument("--device", help="cpu, cuda, ... (default: a GPU where there is one)")
    new.add_argument("--out", type=place, default=Path("runs/pretrain"), help="of checkpoints (default: %(default)s)")
    new.add_argument("--publish", type=place, metavar="DIR", help="of the GAN with its card (default: --out)")
    add_quiet(new)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> int | None:
    """Follow a recipe; stop at --minutes or Ctrl-C, and go on when called again. The best GAN so far is published.

    The best is the one nearest to training images; held-out images are measured for its card alone.
    """
    recipe = RECIPES.get(options.recipe)
    if recipe is None:
        raise UserError(f"There is no recipe {options.recipe!r}; there are {', '.join(RECIPES)}.")
    out = options.out / recipe.name
    run = pretrain(
        recipe.name,
        out,
        images=more_images(options.images, recipe) if options.images else None,
        minutes=options.minutes,
        thousands=options.thousands,
        start=load_gan(options.start) if options.start else None,
        batch=options.batch,
        mixed=options.bf16,
        device=options.device,
        progress=not options.quiet,
    )
    curve, seen = run.gan.card["curve"], run.gan.card["images_seen"]
    print(f"{seen:,} images seen, fd_efficientnet {curve[-1]['fd_efficientnet']} to training images.")
    path, folder = out / f"{recipe.name}.safetensors", options.publish or out / "published"
    if path.is_file() and newer(path, folder / path.name):
        gan = load_gan(path)
        publish(gan, recipe, folder)
        print(f"published: {folder / path.name}, {gan.card['quality']}")
    if run.finished:
        return None
    print("The same command goes on.")
    return EXIT_STOPPED


def more_images(given: str, recipe: Recipe) -> Images:
    """Return images of the recipe's domain, at the size of its networks."""
    if given.endswith(SUFFIX):
        return load_pool(given, recipe.images)
    return load_images(given, resolution=recipe.resolution, channels=recipe.config["generator"]["channels"])


def newer(path: Path, published: Path) -> bool:
    """Return whether a GAN lies elsewhere on its curve than the published one, or none is published."""
    return not published.is_file() or load_gan(path).card["curve"] != load_gan(published).card.get("curve")
