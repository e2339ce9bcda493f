"""The tables that we fill ourselves, and their claims, as data: one file per paper."""

from fewshotgan.bench.claims import Claim
from fewshotgan.bench.table import OwnTable
from fewshotgan.bench.tables import (
    adafm,
    adam,
    dip,
    fitness,
    minegan,
    ten_shot,
    transfer_classes,
    transfer_sources,
    transfergan,
)
from fewshotgan.files import UserError

PAPERS = (transfergan, transfer_sources, transfer_classes, adafm, minegan, adam, dip, ten_shot, fitness)
TABLES: dict[str, OwnTable] = {table.name: table for paper in PAPERS for table in paper.TABLES}
CLAIMS: list[Claim] = [claim for paper in PAPERS for claim in paper.CLAIMS]


def get_table(name: str) -> OwnTable:
    """Return a table of ours.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in TABLES:
        raise UserError(f"There is no table {name!r} to record; there are {', '.join(TABLES)}.")
    return TABLES[name]
