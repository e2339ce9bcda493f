"""`fewshotgan gans`: list the shipped GANs."""

import argparse

from fewshotgan.cli.arguments import Commands, print_lines
from fewshotgan.gans import list_gans


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser("gans", help="list the shipped GANs")
    new.set_defaults(run=run)


def run(_options: argparse.Namespace) -> None:
    """List the shipped GANs."""
    print_lines(list_gans())
