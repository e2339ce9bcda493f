"""`fewshotgan claims`: every claim and its verdict."""

import argparse

from fewshotgan.bench import papers
from fewshotgan.bench.power import power_table
from fewshotgan.cli.arguments import RESULT, Commands, add_quiet


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("claims", help="print every claim and its verdict")
    how = new.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="as JSON: a list of {paper, claim, table, verdict, pairs, p}")
    how.add_argument("--power", action="store_true", help="instead, how often the tests decide, simulated")
    add_quiet(new, RESULT)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the claims, or what their tests can see."""
    if options.power:
        print(power_table())
    elif options.json:
        print(papers.claims_json())
    else:
        lines = (f"{verdict}  {claim.paper:<12} {claim.statement}" for claim, verdict in papers.verdicts().items())
        print("\n".join(lines))
