"""`fewshotgan proximity`: how far each domain is from a source domain, or which source suits one's own images."""

import argparse
from pathlib import Path

from fewshotgan.bench.choice import choose
from fewshotgan.bench.foresight import foresight
from fewshotgan.bench.pictures import domains_picture, foresight_picture
from fewshotgan.bench.proximity import proximity_table
from fewshotgan.cli.arguments import RESULT, Commands, add_quiet, name, number
from fewshotgan.files import UserError, check_folder
from fewshotgan.gans import load_gan
from fewshotgan.images import load_images
from fewshotgan.images.squares import FITS
from fewshotgan.pictures import picture_format, save_picture

SOURCE = "avatars/personas"


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser(
        "proximity", help="print how far each domain is from a source domain", description=run.__doc__
    )
    new.add_argument("source", nargs="?", help=f"(default: {SOURCE})")
    new.add_argument(
        "--target", type=name, metavar="IMAGES", help="instead, recommend a source for these: a folder, a zip, a domain"
    )
    new.add_argument("--gan", nargs="+", action="extend", default=[], metavar="FILE", help="compare these GANs as well")
    new.add_argument("--n", type=number, help="use only N images of the target")
    new.add_argument("--fit", choices=FITS, default="crop", help="of images that are not square (default: %(default)s)")
    new.add_argument(
        "--picture", type=Path, metavar="FILE", help="also draw each domain, nearest first: .png, .jpg or .webp; with "
        "--target, how well each measure told the best source in the ledger's runs"
    )  # fmt: skip
    add_quiet(new, RESULT)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print how far the domains are from a source domain, and draw them on request; or, with --target, measure each
    source beside one's own images, and recommend one by the measure that told best in the ledger's runs.
    """
    if options.target is None and (options.gan or options.n is not None):
        raise UserError("--gan and --n are about a target; name its images: --target DIR.")
    if options.target is not None and options.source is not None:
        raise UserError(f"With --target the sources are GANs; leave out {options.source}, or add one by --gan FILE.")
    if options.picture:
        picture_format(options.picture)  # refused before minutes of work
        check_folder(options.picture.parent)
    if options.target is not None:
        images = load_images(options.target, options.n, fit=options.fit)
        print(choose(images, [load_gan(one) for one in options.gan]))
    else:
        print(proximity_table(options.source or SOURCE))
    if options.picture:
        drawn = domains_picture(options.source or SOURCE) if options.target is None else foresight_picture(foresight())
        save_picture(drawn, options.picture)
