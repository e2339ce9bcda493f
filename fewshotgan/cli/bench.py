"""`fewshotgan bench check`: whether the bench is fit to judge methods."""

import argparse

from fewshotgan.bench.check import check_table
from fewshotgan.cli.arguments import RESULT, Commands, add_quiet


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("bench", help="say where the bench is fit to judge methods", description=run.__doc__)
    new.add_argument("what", choices=["check"], help="print each source and target with its controls")
    add_quiet(new, RESULT)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print for each source and target whether fine-tuning beats the source as it is and the shots repeated."""
    print(check_table())
