"""`fewshotgan gans`: list the shipped GANs, or the layouts of checkpoints that can be loaded beside them."""

import argparse

from fewshotgan.cli.arguments import Commands, print_lines
from fewshotgan.gans import list_gans, list_layouts


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser("gans", help="list the shipped GANs, or the layouts of checkpoints that can be loaded")
    new.add_argument("--layouts", action="store_true", help="list the layouts of public checkpoints")
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """List the shipped GANs or the layouts."""
    print_lines(list_layouts() if options.layouts else list_gans())
