"""The tests behind a claim: is what separates two methods more than the luck of seeds and shots?

Runs are paired: both methods of a pair had one seed, and with it the same images. A pair's *advantage* is the loss of
one method less that of the other (`Metric.loss`: for distances the logarithm of their ratio, so that targets of all
distances weigh alike). Pairs of all seeds and targets of a kind go into one Wilcoxon signed-rank test, since

- it needs no normal distribution: of two methods without a difference, each pair's sign is a coin, whatever the spreads
  are, equal or not, and however they differ between targets;
- it works by ranks, so that a run that collapsed counts as the worst of all and not as infinity;
- it is exact for the ten to twenty pairs at hand, where its power is within a few percent of that of the t-test.

Ten pairs are the least: five never reach p < .05 on both sides.

A trend (does a gain shrink as images grow in number?) is one test as well: the runs of one target and one seed make one
slope, and the slopes go into the signed-rank test as pairs do. Where there is no trend, and gains scatter alike to
both sides, a slope is as likely up as down, however much the spreads differ along the way. Page's test, which ranks
within a target and seed, loses its level there: if runs at both ends spread ten times as wide as those between, it
decides 8 % of the cases without a trend.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isinf, log

import numpy as np
import scipy

LEVEL = 0.05  # share of verdicts that may be false, over the claims of a paper
ENOUGH = 10  # pairs
MARGIN = log(1.1)  # of "best or tied": at most ten percent worse
SIGNS = 9999  # that are drawn where ranks are tied


@dataclass(frozen=True)
class Tails:
    """Chances, if there were no difference, of pairs so much for (`better`) or against (`worse`) a method."""

    better: float
    worse: float

    @property
    def both(self) -> float:
        """The chance of pairs this far on either side."""
        return min(1.0, 2 * min(self.better, self.worse))


def advantage(loss: float, other: float) -> float:
    """Return how much smaller the first loss is; two runs that collapsed are level."""
    return 0.0 if isinf(loss) and loss == other else other - loss


def slopes(x: Sequence[float], values: np.ndarray) -> np.ndarray:
    """Return the slopes (N,) of the lines that fit `values` (N, k) over x (k,) best, a target and seed each; infinite
    where a run collapsed, and 0 where those that did balance.
    """
    away = np.asarray(x, dtype=np.float64) - np.mean(x)
    with np.errstate(invalid="ignore"):
        found = (np.where(away == 0, 0.0, values) * away).sum(axis=-1) / np.square(away).sum()
    return np.where(np.isnan(found), 0.0, found)


def compare(advantages: Sequence[float], margin: float = 0.0) -> Tails:
    """Test whether advantages, a pair each, lie above -`margin`, or below it; 1 and 1 of fewer than ten pairs.

    Args:
        advantages: infinite where one of the two runs collapsed.
        margin: by which the first method may be worse.
    """
    shifted = np.asarray(advantages, dtype=np.float64) + margin
    if len(shifted) < ENOUGH or not shifted.any():
        return Tails(1.0, 1.0)
    finite = np.isfinite(shifted)
    worst = np.abs(shifted[finite]).max(initial=0.0) + 1  # the largest rank
    d = np.where(finite, shifted, np.sign(shifted) * worst)
    better, worse = (_signed_rank(d[d != 0], side) for side in ("greater", "less"))
    return Tails(better, worse)


def _signed_rank(d: np.ndarray, side: str) -> float:
    """Return the one-sided chance of differences (n,), none of them zero, by their signed ranks.

    It is exact, up to 13 pairs where some are tied, as those of collapsed runs are; of more, signs are drawn.
    """
    if len(np.unique(np.abs(d))) == len(d):
        return float(scipy.stats.wilcoxon(d, alternative=side, method="exact").pvalue)
    ranks, rng = scipy.stats.rankdata(np.abs(d)) * np.sign(d), np.random.default_rng(0)
    drawn = scipy.stats.permutation_test(
        (ranks,), np.sum, permutation_type="samples", vectorized=True, alternative=side, n_resamples=SIGNS, rng=rng
    )
    return float(drawn.pvalue)


def compare_all(advantages: Sequence[Sequence[float]], margin: float = 0.0) -> Tails:
    """Test one method against each of several: better than all of them (an intersection-union test, the largest chance
    of its parts), or worse than one (by Bonferroni, the smallest chance times their number).
    """
    tails = [compare(each, margin) for each in advantages]
    worse = min(1.0, len(tails) * min(tail.worse for tail in tails))
    return Tails(max(tail.better for tail in tails), worse)


def corrected(tails: Sequence[Tails]) -> list[float]:
    """Return the two-sided chances of a paper's claims by Benjamini and Hochberg (1995).

    Of those below 5 %, at most 5 % are expected to be false.
    """
    return [float(p) for p in scipy.stats.false_discovery_control([tail.both for tail in tails])] if tails else []
