"""`fewshotgan export`: a GAN for other programs."""

import argparse

from fewshotgan.cli.arguments import Commands, number, place
from fewshotgan.export import FILES, to_pngs
from fewshotgan.gans import load_gan


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("export", help="write a GAN for other programs", description=run.__doc__)
    new.add_argument("gan", help="a shipped GAN or a file")
    new.add_argument("--to", choices=[*FILES, "pngs"], required=True, help="the form")
    new.add_argument("--out", type=place, required=True, help="the file to write; of pngs, the folder")
    new.add_argument("--n", type=number, default=1000, help="how many pngs (default: %(default)s)")
    new.add_argument("--seed", type=number, default=0, help="of their latents (default: %(default)s)")
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write a GAN for other programs.

    onnx and torchscript hold its generator, rosinality a StyleGAN2 as that code keeps it, pngs its images.
    """
    gan = load_gan(options.gan)
    if options.to == "pngs":
        to_pngs(gan, options.out, options.n, options.seed)
    else:
        FILES[options.to](gan, options.out)
    print(options.out)
