"""`fewshotgan proximity`: print how far each domain is from a source domain."""

import argparse
from pathlib import Path

from fewshotgan.bench.pictures import domains_picture
from fewshotgan.bench.proximity import proximity_table
from fewshotgan.cli.arguments import RESULT, Commands, add_quiet
from fewshotgan.files import check_folder
from fewshotgan.pictures import picture_format, save_picture


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser("proximity", help="print how far each domain is from a source domain")
    new.add_argument("source", nargs="?", default="avatars/personas", help="(default: %(default)s)")
    new.add_argument(
        "--picture", type=Path, metavar="FILE", help="also draw each domain, nearest first: .png, .jpg or .webp"
    )
    add_quiet(new, RESULT)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the distances, and draw the domains on request."""
    if options.picture:
        picture_format(options.picture)  # refused before minutes of work
        check_folder(options.picture.parent)
    print(proximity_table(options.source))
    if options.picture:
        save_picture(domains_picture(options.source), options.picture)
