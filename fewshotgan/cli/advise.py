"""`fewshotgan advise`: what to expect of a few images, before anything is trained."""

import argparse
import json

from fewshotgan.bench.advice import advise
from fewshotgan.cli.arguments import RESULT, Commands, add_quiet, name, number
from fewshotgan.gans import GAN, load_gan
from fewshotgan.images import Images, load_images
from fewshotgan.images.squares import FITS


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser("advise", help="say what to expect of a few images", description=run.__doc__)
    new.add_argument("images", type=name, help="a folder, a zip, an image, or a shipped domain")
    new.add_argument("--gan", nargs="+", action="extend", default=[], metavar="FILE", help="compare these GANs as well")
    new.add_argument("--n", type=number, help="use only N images")
    new.add_argument("--fit", choices=FITS, default="crop", help="of images that are not square (default: %(default)s)")
    new.add_argument("--json", action="store_true", help="print everything as JSON, each file that was left out named")
    add_quiet(new, RESULT)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Say what was read and left out, how far the images are from each source, what stands out, and what to run."""
    images = load_images(options.images, options.n, fit=options.fit)
    found = advise(images, [load_gan(one) for one in options.gan])
    print(json.dumps(found.as_dict(), indent=2) if options.json else found)


def head(images: Images, gan: GAN, options: argparse.Namespace) -> str:
    """Return a few lines on images as they were loaded for a GAN; for a grey one their colours are read again."""
    seen = images if images.channels > 1 else load_images(options.images, options.n, fit=options.fit)
    return advise(seen, [gan], timed=False).head(gan.name)
