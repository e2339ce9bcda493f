"""Claims: sentences of a paper that the ledger decides."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, stdev

from fewshotgan.bench.results import runs, scores
from fewshotgan.bench.table import Column, Row

ENOUGH_SEEDS = 3
LARGE_IS_GOOD = ("intra_lpips_efficientnet", "sharpness")
MV = "mv_efficientnet"


def weighed(row: Row, column: Column, metric: str = "fd_efficientnet") -> list[float]:
    """Return the values of a cell, a seed each, as a claim weighs them: a run that failed has the worst value, not
    none.

    MV, of which 1 is the best, counts by its distance from 1.
    """
    known, worst = scores(row, column, metric), -math.inf if metric in LARGE_IS_GOOD else math.inf
    values = [
        known.get(seed, worst) for seed, entry in runs(row, column).items() if seed in known or entry.status == "failed"
    ]
    return [abs(value - 1) for value in values] if metric == MV else values


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
        """Return "holds", "does not hold", or "undecided" (see `judge`)."""
        return judge(self.lower(), self.higher(), self.tie)


def judge(lower: list[float], higher: list[float], tie: bool = False) -> str:
    """Compare intervals of one standard deviation about the means; `tie`: whether an overlap is enough.

    An infinite value is a run that failed. A side of which one failed lies beyond everything that did not; of two such
    sides nothing is decided, nor of fewer than three seeds.
    """
    if min(len(lower), len(higher)) < ENOUGH_SEEDS:
        return "undecided"
    (low, low_by), (high, high_by) = (_interval(values) for values in (lower, higher))
    if low + low_by < high - high_by:
        return "holds"
    if low - low_by > high + high_by:
        return "does not hold"
    return "holds" if tie and not math.isinf(low) else "undecided"


def _interval(values: list[float]) -> tuple[float, float]:
    """Return mean and standard deviation; of values one of which is infinite, that one."""
    failed = [value for value in values if math.isinf(value)]
    return (failed[0], 0.0) if failed else (fmean(values), stdev(values))


def best(rows: list[Row], column: Column, metric: str = "fd_efficientnet", largest: bool = False) -> list[float]:
    """Return the values, a seed each, of the row that is hardest to be tied with; none unless every row has enough
    seeds.

    It is the row whose interval (as in `judge`) ends lowest, or with `largest` begins highest: who overlaps it is
    beaten by no row.
    """
    found = [weighed(row, column, metric) for row in rows]
    if any(len(values) < ENOUGH_SEEDS for values in found):
        return []
    if largest:
        return max(found, key=lambda values: _interval(values)[0] - _interval(values)[1])
    return min(found, key=lambda values: sum(_interval(values)))


def values(row: Row, column: Column, metric: str = "fd_efficientnet") -> Callable[[], list[float]]:
    """Return what reads a cell's values, a seed each, when it is asked: for a claim."""
    return lambda: weighed(row, column, metric)
