"""`fewshotgan tables`: published tables, ours beside them, and verdicts."""

import argparse

from fewshotgan.bench import papers
from fewshotgan.cli.arguments import RESULT, Commands, add_quiet


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("tables", help="print tables: published, ours, verdicts")
    new.add_argument("name", nargs="?", help="a table; without one, the list")
    add_quiet(new, RESULT)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print a table, or the list."""
    if options.name:
        print(papers.render_table(options.name))
    else:
        print("\n".join(f"{name:<32} {caption}" for name, caption in papers.tables().items()))
