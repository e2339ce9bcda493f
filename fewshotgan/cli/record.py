"""`fewshotgan record`: the missing cells of a table, run."""

import argparse

from fewshotgan.bench.record import record
from fewshotgan.bench.table import SEEDS
from fewshotgan.bench.tables import TABLES
from fewshotgan.cli.arguments import Commands, minutes


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("record", help="run the missing cells of a table", description=run.__doc__)
    new.add_argument("table", help=f"one of {', '.join(TABLES)}")
    new.add_argument(
        "--missing", action=argparse.BooleanOptionalAction, default=True, help="only what the ledger lacks"
    )
    new.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="which, not how many (default: 0 1 2)")
    new.add_argument("--minutes", type=minutes, help="begin nothing that would not end by then")
    new.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run cells of a table, one seed of every cell first, and append each to the ledger as it finishes."""
    done = record(
        options.table, missing=options.missing, seeds=tuple(options.seeds), minutes=options.minutes, jobs=options.jobs
    )
    print(f"{done} runs recorded")
