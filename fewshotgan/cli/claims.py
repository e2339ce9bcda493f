"""`fewshotgan claims`: every claim and its verdict."""

import argparse

from fewshotgan.bench import papers
from fewshotgan.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("claims", help="print every claim and its verdict")
    new.add_argument("--json", action="store_true", help="as JSON: a list of {paper, claim, verdict, seeds}")
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the claims."""
    if options.json:
        print(papers.claims_json())
    else:
        print(
            "\n".join(
                f"{row['verdict']:<14} {row['seeds']} seeds  {row['paper']:<12} {row['claim']}"
                for row in papers.claims()
            )
        )
