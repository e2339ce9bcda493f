"""`fewshotgan domains`: the shipped domains."""

import argparse

from fewshotgan.cli.arguments import Commands, print_lines
from fewshotgan.images import list_domains


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("domains", help="list the domains")
    new.set_defaults(run=run)


def run(_options: argparse.Namespace) -> None:
    """List them."""
    print_lines(list_domains())
