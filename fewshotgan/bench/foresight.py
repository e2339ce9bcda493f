"""Which measure, taken beforehand, tells how an adaptation ends? Rank correlations over the pairs of source and target
that the ledger has (`transfergan-sources`).

Sources are ranked within a target, as one chooses a source for given images; whether a target is hard for all sources
does not matter. The results of one source on several targets are not independent, so whole sources are resampled: the
interval is a bootstrap over sources, and chance a permutation of their measures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from statistics import fmean

import numpy as np

from fewshotgan.bench.claims import losses
from fewshotgan.bench.outlook import MEASURES, outlook
from fewshotgan.bench.table import Column, Row, is_here, load_source
from fewshotgan.bench.tables.transfer_sources import SOURCES, TABLE
from fewshotgan.images import load_images
from fewshotgan.progress import watched

ENOUGH = 5  # sources of each target
DRAWS = 2000
MIDDLE = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Foresight:
    """How well a measure told beforehand which source would end nearest.

    Attributes:
        measure: one of `MEASURES`.
        correlation: of its ranks and those of the final distances, -1..1; 1 if it always tells the order.
        low, high: a 95 % interval.
        chance: the middle 95 % of what permuted measures reach.
        p: chance of a correlation this high for permuted measures.
        pairs: of source and target.
    """

    measure: str
    correlation: float
    low: float
    high: float
    chance: tuple[float, float]
    p: float
    pairs: int

    def __str__(self) -> str:
        """Return the finding in words."""
        verdict = "" if self.p <= 0.05 else "; no better than chance"
        return (
            f"rank correlation {self.correlation:.2f} ({self.low:.2f} to {self.high:.2f}) with the final distance over "
            f"{self.pairs} pairs{verdict}"
        )


def foresight() -> list[Foresight]:
    """Return how well each measure told the final distances, the best first; nothing until the ledger has runs of five
    sources or more for every target.
    """
    labels = [label for label in SOURCES if is_here(TABLE.rows[label], TABLE.columns[0])]
    ends = np.array([[_end(TABLE.rows[label], column) for column in TABLE.columns] for label in labels])
    if not len(labels) or (~np.isnan(ends)).sum(axis=0).min() < ENOUGH:
        return []
    return judge(_measured(tuple(labels)), ends)


def _end(row: Row, column: Column) -> float:
    """Return the mean of a cell's losses; infinite if a run collapsed, NaN if there are no runs."""
    found = losses(row, column)
    return fmean(found.values()) if found else float("nan")


@cache
def _measured(labels: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return {measure: (sources, targets)}, on the images that are trained on; small values promise more."""
    found = {measure: np.zeros((len(labels), len(TABLE.columns))) for measure in MEASURES}
    targets = [load_images(column.images, column.n) for column in TABLE.columns]
    for i, label in enumerate(watched(labels, "sources")):
        gan = load_source(SOURCES[label])
        for j, images in enumerate(targets):
            one = outlook(gan, images)
            for measure in MEASURES:
                found[measure][i, j] = one.far(measure)
    return found


def judge(measured: Mapping[str, np.ndarray], ends: np.ndarray, draws: int = DRAWS) -> list[Foresight]:
    """Return how well measures tell final distances, the best first.

    Args:
        measured: {measure: (sources, targets)}, small values promising more.
        ends: final losses (sources, targets), NaN where there are none.
        draws: of the interval, and of chance.
    """
    rng, size = np.random.default_rng(0), len(ends)
    again = rng.integers(size, size=(draws, size))
    permuted = rng.permuted(np.tile(np.arange(size), (draws, 1)), axis=1)
    pairs, found = int((~np.isnan(ends)).sum()), []
    for measure, values in measured.items():
        reached = float(agreement(values, ends))
        low, high = np.percentile(agreement(values[again], ends[again]), MIDDLE).tolist()
        by_chance = agreement(values[permuted], ends)
        first, last = np.percentile(by_chance, MIDDLE).tolist()
        p = float((1 + (by_chance >= reached - 1e-12).sum()) / (1 + draws))
        found.append(Foresight(measure, reached, low, high, (first, last), p, pairs))
    return sorted(found, key=lambda one: -one.correlation)


def agreement(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the correlation (...) of the ranks that sources have within their target in two arrays
    (..., sources, targets), over all pairs; 0 where all are level. Pairs without an end (NaN) are left out.
    """
    a, b = _ranks(np.where(np.isnan(ends), np.nan, values)), _ranks(ends)
    scale = np.sqrt(np.square(a).sum(axis=(-2, -1)) * np.square(b).sum(axis=(-2, -1)))
    return np.asarray((a * b).sum(axis=(-2, -1)) / np.where(scale == 0, 1, scale))


def _ranks(x: np.ndarray) -> np.ndarray:
    """Return the ranks of the sources within their target (..., sources, targets), less their mean; 0 of NaN."""
    one, other = x[..., :, None, :], x[..., None, :, :]
    return np.asarray(((one > other).sum(axis=-2) - (one < other).sum(axis=-2)) / 2)
