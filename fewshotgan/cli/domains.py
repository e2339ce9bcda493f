"""`fewshotgan domains`: list the shipped image domains."""

import argparse

from fewshotgan.cli.arguments import Commands, print_lines
from fewshotgan.images import list_domains


def add(commands: Commands) -> None:
    """Add the subcommand."""
    new = commands.add_parser("domains", help="list the shipped image domains")
    new.set_defaults(run=run)


def run(_options: argparse.Namespace) -> None:
    """List the shipped image domains."""
    print_lines(list_domains())
