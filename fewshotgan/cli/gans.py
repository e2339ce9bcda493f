"""`fewshotgan gans`: the shipped GANs."""

import argparse

from fewshotgan.cli.arguments import Commands, print_lines
from fewshotgan.gans import list_gans


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("gans", help="list the gans")
    new.set_defaults(run=run)


def run(_options: argparse.Namespace) -> None:
    """List them."""
    print_lines(list_gans())
