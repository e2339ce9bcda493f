"""`fewshotgan sample`: draw images from a GAN."""

import argparse
from pathlib import Path

from fewshotgan.cli.arguments import Commands
from fewshotgan.files import UserError
from fewshotgan.gans import load_gan
from fewshotgan.pictures import grid, save_film, save_picture


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser("sample", help="draw images from a GAN", description=run.__doc__)
    new.add_argument("gan", help="a shipped GAN or a file")
    new.add_argument("--n", type=int, default=32, help="images on the sheet (default: %(default)s)")
    new.add_argument("--seed", type=int, default=0, help="seed of the latents (default: %(default)s)")
    new.add_argument(
        "--truncation", type=float, default=1.0, help="1 for none; less diverse towards 0 (default: %(default)s)"
    )
    new.add_argument("--out", type=Path, required=True, help="a .png for a sheet, a .gif for an interpolation")
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Draw images from a GAN: a sheet (.png) or an interpolation (.gif)."""
    gan = load_gan(options.gan)
    if options.out.suffix == ".gif":
        save_film(gan.interpolate(4, 12, options.seed, truncation=options.truncation), options.out)
    elif options.out.suffix == ".png":
        save_picture(grid(gan.sample(options.n, options.seed, truncation=options.truncation)), options.out)
    else:
        raise UserError(f"{options.out} must end in .png (a sheet) or .gif (an interpolation).")
    print(options.out)
