"""`fewshotgan record`: the missing cells of a table, run."""

import argparse

from tqdm import tqdm

from fewshotgan.bench.engines import ENGINES
from fewshotgan.bench.record import record
from fewshotgan.bench.table import SEEDS
from fewshotgan.bench.tables import TABLES
from fewshotgan.cli.arguments import Commands, add_quiet, minutes, number


def add(commands: Commands) -> None:
    """Add the verb to the command."""
    new = commands.add_parser("record", help="run the missing cells of a table", description=run.__doc__)
    new.add_argument("table", help=f"one of {', '.join(TABLES)}")
    new.add_argument(
        "--missing", action=argparse.BooleanOptionalAction, default=True, help="only what the ledger lacks"
    )
    new.add_argument("--rescore", action="store_true", help="measure recorded runs, train no others")
    new.add_argument(
        "--seeds", type=number, nargs="+", default=list(SEEDS), help="which, not how many (default: 0 to 4)"
    )
    new.add_argument("--minutes", type=minutes, help="begin nothing that would not end by then")
    new.add_argument("--engine", choices=ENGINES, default="local", help="what computes (default: %(default)s)")
    new.add_argument("--workers", type=number, default=1, help="runs at a time, a thread each (default: %(default)s)")
    add_quiet(new)
    new.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train and measure the cells of a table, one seed of every cell first, and write each as it finishes.

    A run takes one thread, so that equal specs give equal bits on equal processors; --workers makes several at a time.
    """
    done = record(
        options.table,
        missing=options.missing,
        rescore=options.rescore,
        seeds=tuple(options.seeds),
        minutes=options.minutes,
        engine=options.engine,
        workers=options.workers,
        say=(lambda _text: None) if options.quiet else tqdm.write,
    )
    if not options.quiet:
        print(f"{done} runs recorded")
