"""`fewshotgan export`: a GAN for other programs."""

import argparse

from fewshotgan.cli.arguments import Commands, add_gan, add_quiet, place
from fewshotgan.export import ENDINGS, FILES
from fewshotgan.files import UserError, check_apart, clip
from fewshotgan.gans import load_gan
from fewshotgan.progress import announced
from fewshotgan.wording import printable


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("export", help="write a GAN for other programs", description=run.__doc__)
    add_gan(new)
    new.add_argument("--to", choices=FILES, required=True, help="the form")
    new.add_argument("--out", type=place, required=True, help="the file to write")
    add_quiet(new)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write a GAN for other programs.

    onnx and torchscript hold its generator, rosinality a StyleGAN2 as that code keeps it; `fewshotgan sample` writes
    its images.
    """
    check_apart(options.out, options.gan)
    if options.out.suffix.lower() not in ENDINGS[options.to]:
        raise UserError(f"--out {clip(options.out)} must end in {' or '.join(ENDINGS[options.to])} for {options.to}.")
    gan = load_gan(options.gan)
    with announced(f"writing {options.to}, half a minute or so"):
        FILES[options.to](gan, options.out)
    if not options.quiet:
        print(printable(str(options.out)))
