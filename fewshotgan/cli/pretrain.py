"""`fewshotgan pretrain`: a source GAN, made by its recipe."""

import argparse
from pathlib import Path

from fewshotgan.bench.pretrain import pretrain, publish
from fewshotgan.bench.recipes import RECIPES
from fewshotgan.cli.arguments import Commands, minutes
from fewshotgan.gans import load_gan
from fewshotgan.images import load_images


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("pretrain", help="make a source GAN by its recipe", description=run.__doc__)
    new.add_argument("recipe", help=f"one of {', '.join(RECIPES)}")
    new.add_argument("--images", help="a folder or zip of more images of the recipe's domain (default: those shipped)")
    new.add_argument("--minutes", type=minutes, help="stop after so long; the same command goes on later")
    new.add_argument("--thousands", type=int, help="of images to see in all (default: the recipe's)")
    new.add_argument("--start", metavar="GAN", help="begin with the weights of this GAN (default: fresh weights)")
    new.add_argument("--device", help="cpu, cuda, ... (default: a GPU where there is one)")
    new.add_argument("--out", type=Path, default=Path("runs/pretrain"), help="(default: %(default)s)")
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> int | None:
    """Make a source GAN by its recipe; stops at --minutes or Ctrl-C, and goes on when called again."""
    recipe = RECIPES.get(options.recipe)
    size = recipe.config["generator"] if recipe else {}
    images = (
        load_images(options.images, resolution=size.get("resolution"), channels=size.get("channels"))
        if options.images
        else None
    )
    out, start = options.out / options.recipe, load_gan(options.start) if options.start else None
    run = pretrain(
        options.recipe,
        out,
        images=images,
        minutes=options.minutes,
        thousands=options.thousands,
        start=start,
        device=options.device,
    )
    if not run.finished:
        print(
            f"{run.gan.card['images_seen']} images seen; the same command goes on. So far: "
            f"{out / options.recipe}.safetensors"
        )
        return None
    publish(run.gan, RECIPES[options.recipe], out)
    print(f"done: {out / options.recipe}.safetensors, {run.gan.card['quality']}")
    return None
