"""Claims: sentences of a paper that can fail, and what the ledger says of them.

A claim pools the pairs (two runs of one seed) of all targets of a kind. `decide` tests it, and corrects for the number
of claims of its paper; see `fewshotgan.bench.statistics`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf, log10
from typing import Literal

import numpy as np

from fewshotgan.bench.results import runs, scores
from fewshotgan.bench.statistics import ENOUGH, LEVEL, MARGIN, Tails, advantage, compare_all, corrected, slopes
from fewshotgan.bench.table import Column, Row
from fewshotgan.metrics import get_metric
from fewshotgan.progress import watched

Advantages = Callable[[], list[float]]
"""Reads, when it is asked, how much better one side is than the other, a pair of runs each."""
Pairs = list[list[float]]
"""What was read: over each of the others, a pair of runs each."""


@dataclass(frozen=True)
class Claim:
    """A sentence that can fail.

    Attributes:
        paper: whose claim it is.
        statement: the sentence.
        table: of ours that decides it.
        advantages: of the method that the sentence is about, over each of those it is compared with.
        margin: by which it may be worse all the same ("best or tied"), on the scale of `Metric.loss`.
    """

    paper: str
    statement: str
    table: str
    advantages: tuple[Advantages, ...]
    margin: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What becomes of a claim.

    Attributes:
        word: "holds", "does not hold", or "undecided".
        pairs: of runs that both sides have; of a trend, its slopes, one for each target and seed.
        p: two-sided chance of such pairs without a difference, corrected for the claims of the paper.
    """

    word: Literal["holds", "does not hold", "undecided"]
    pairs: int
    p: float

    def __str__(self) -> str:
        """Return the verdict and what it rests on."""
        grounds = f"p {self.p:.3f}" if self.pairs >= ENOUGH else f"too few, {ENOUGH} are needed"
        return f"{self.word:<14} {self.pairs:>3} pairs, {grounds}"


def decide(claims: Iterable[Claim]) -> dict[Claim, Verdict]:
    """Return the verdict on each claim, corrected for the number of claims of its paper that have enough pairs."""
    by_paper: dict[str, dict[Claim, Pairs]] = {}
    for claim in watched(list(claims), "claims"):
        by_paper.setdefault(claim.paper, {})[claim] = [read() for read in claim.advantages]
    return {claim: verdict for family in by_paper.values() for claim, verdict in _decide(family).items()}


def _decide(read: dict[Claim, Pairs]) -> dict[Claim, Verdict]:
    """Return the verdicts on the claims of one paper, by what was read of each."""
    family, found = list(read), list(read.values())
    pairs = [min(map(len, each)) for each in found]
    tested = [i for i, count in enumerate(pairs) if count >= ENOUGH]
    tails = {i: compare_all(found[i], family[i].margin) for i in tested}
    chances = dict(zip(tested, corrected(list(tails.values())), strict=True))
    return {
        claim: Verdict(_word(tails[i], chances[i]), pairs[i], chances[i])
        if i in tails
        else Verdict("undecided", pairs[i], 1.0)
        for i, claim in enumerate(family)
    }


def _word(tails: Tails, p: float) -> Literal["holds", "does not hold", "undecided"]:
    if p > LEVEL:
        return "undecided"
    return "holds" if tails.better < tails.worse else "does not hold"


def losses(row: Row, column: Column, metric: str = "fd_efficientnet") -> dict[int, float]:
    """Return how bad a cell's runs are, by seed (`Metric.loss`); those that collapsed are infinitely bad."""
    known = {seed: get_metric(metric).loss(value) for seed, value in scores(row, column, metric).items()}
    collapsed = [seed for seed, entry in runs(row, column).items() if entry.status == "failed"]
    return known | dict.fromkeys(collapsed, inf)


def better(first: Row, second: Row, columns: Sequence[Column], metric: str = "fd_efficientnet") -> Advantages:
    """Return what reads the advantages of the first row over the second, of all columns and of seeds that both have."""

    def read() -> list[float]:
        sides = [(losses(first, column, metric), losses(second, column, metric)) for column in columns]
        return [advantage(one[seed], other[seed]) for one, other in sides for seed in sorted(one.keys() & other.keys())]

    return read


def shrinking(
    first: Row, second: Row, sizes: Sequence[Sequence[Column]], metric: str = "fd_efficientnet"
) -> Advantages:
    """Return what reads by how much the advantage of the first row over the second shrinks each time that the images
    grow tenfold in number, a slope for each target and each seed that has runs of both rows at every size.

    Args:
        first, second: the rows.
        sizes: columns of each target, by the number of images.
        metric: of the advantages.
    """

    def read() -> list[float]:
        found: list[float] = []
        for columns in sizes:
            sides = [(losses(first, column, metric), losses(second, column, metric)) for column in columns]
            seeds = sorted(set.intersection(*(one.keys() & other.keys() for one, other in sides)))
            gains = [[advantage(one[seed], other[seed]) for one, other in sides] for seed in seeds]
            found += (-slopes([log10(column.n) for column in columns], np.array(gains))).tolist() if gains else []
        return found

    return read


def smaller(first: Row, second: Row, columns: Sequence[Column], metric: str) -> Advantages:
    """Return what reads by how much the first row's values are smaller, be that better or worse; collapsed runs have
    none.
    """

    def read() -> list[float]:
        sides = [(scores(first, column, metric), scores(second, column, metric)) for column in columns]
        return [other[seed] - one[seed] for one, other in sides for seed in sorted(one.keys() & other.keys())]

    return read


@dataclass(frozen=True)
class Claims:
    """Writes the claims of a paper on a table.

    Attributes:
        paper: whose claims.
        table: its name.
        rows: of the table, by label.
    """

    paper: str
    table: str
    rows: dict[str, Row]

    def beats(
        self,
        statement: str,
        first: str,
        seconds: str | Iterable[str],
        columns: Sequence[Column],
        metric: str = "fd_efficientnet",
        margin: float = 0.0,
    ) -> Claim:
        """Return the claim that the first row is better than the second, or than each of several, up to a margin."""
        others = [seconds] if isinstance(seconds, str) else seconds
        pairs = tuple(better(self.rows[first], self.rows[other], columns, metric) for other in others)
        return Claim(self.paper, statement, self.table, pairs, margin)

    def shrinks(
        self,
        statement: str,
        first: str,
        second: str,
        sizes: Sequence[Sequence[Column]],
        metric: str = "fd_efficientnet",
    ) -> Claim:
        """Return the claim of a trend: the advantage of the first row over the second shrinks as images grow in number;
        `sizes` has the columns of each target.
        """
        return Claim(
            self.paper, statement, self.table, (shrinking(self.rows[first], self.rows[second], sizes, metric),)
        )

    def ties(
        self,
        statement: str,
        first: str,
        seconds: str | Iterable[str],
        columns: Sequence[Column],
        metric: str = "fd_efficientnet",
    ) -> Claim:
        """Return the claim that the first row is better than the others, or at most ten percent worse."""
        return self.beats(statement, first, seconds, columns, metric, MARGIN)
