"""What the ledger holds of a cell, and claims: sentences of a paper that it decides."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, stdev

from fewshotgan import ledger
from fewshotgan.tables.table import SEEDS, Column, Row, cell_spec

ENOUGH_SEEDS = 3


def runs(row: Row, column: Column) -> dict[int, ledger.Entry]:
    """Return the recorded runs of a cell by seed."""
    entries = ledger.read()
    found = {seed: entries.get(ledger.spec_key(cell_spec(row, column, seed))) for seed in SEEDS}
    return {seed: entry for seed, entry in found.items() if entry}


def scores(row: Row, column: Column, metric: str = "fd_efficientnet") -> dict[int, float]:
    """Return the recorded values of a cell by seed; failed runs have none."""
    found = runs(row, column).items()
    return {seed: entry["metrics"][metric] for seed, entry in found if entry["status"] == "ok" and metric in entry["metrics"]}


@dataclass(frozen=True)
class Claim:
    """A sentence that can fail.

    Attributes:
        paper: whose claim it is.
        statement: the sentence.
        table: of ours that decides it.
        lower, higher: return the values, a seed each, of which the first must be the smaller.
        tie: whether overlapping intervals do as well ("best or tied").
    """

    paper: str
    statement: str
    table: str
    lower: Callable[[], list[float]]
    higher: Callable[[], list[float]]
    tie: bool = False

    def seeds(self) -> int:
        """Return how many seeds both sides have."""
        return min(len(self.lower()), len(self.higher()))

    def verdict(self) -> str:
        """Return "holds", "does not hold", or "undecided" (fewer than three seeds, or overlapping intervals)."""
        return judge(self.lower(), self.higher(), self.tie)


def judge(lower: list[float], higher: list[float], tie: bool = False) -> str:
    """Compare intervals of one standard deviation about the means; `tie`: whether an overlap is enough."""
    if min(len(lower), len(higher)) < ENOUGH_SEEDS:
        return "undecided"
    (low, low_by), (high, high_by) = ((fmean(values), stdev(values)) for values in (lower, higher))
    if low + low_by < high - high_by:
        return "holds"
    if low - low_by > high + high_by:
        return "does not hold"
    return "holds" if tie else "undecided"


def best(rows: list[Row], column: Column, metric: str = "fd_efficientnet", largest: bool = False) -> list[float]:
    """Return the values, a seed each, of the row with the smallest (or largest) mean; none unless every row has enough seeds."""
    found = [list(scores(row, column, metric).values()) for row in rows]
    return (max if largest else min)(found, key=fmean) if all(len(values) >= ENOUGH_SEEDS for values in found) else []


def values(row: Row, column: Column, metric: str = "fd_efficientnet") -> Callable[[], list[float]]:
    """Return what reads a cell's values, a seed each, when it is asked: for a claim."""
    return lambda: list(scores(row, column, metric).values())
