"""What the tests of `fewshotgan.bench.statistics` see, simulated: how often they decide, by the true difference."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from fewshotgan.bench.statistics import LEVEL, MARGIN, slopes
from fewshotgan.progress import watched

PAIRS = (10, 15, 20, 40)
TRIALS = 10_000
SPREAD = 0.05  # of the logarithm of a distance over seeds and shots: about five percent


@dataclass(frozen=True)
class Rates:
    """Shares of simulated claims that hold, and that do not hold; the rest is undecided."""

    holds: float
    fails: float

    @property
    def decided(self) -> float:
        """The share of verdicts of either kind."""
        return self.holds + self.fails


def draw(pairs: int, gap: float, ratio: float, trials: int, rng: np.random.Generator) -> np.ndarray:
    """Return advantages (trials, pairs) of a method over another, whose runs are independent.

    Args:
        pairs: of runs.
        gap: of the means of their losses, in standard deviations of the method's runs.
        ratio: of the other's standard deviation to that.
        trials: how many claims.
        rng: source of the draws.
    """
    own, other = (SPREAD * scale * rng.normal(size=(trials, pairs)) for scale in (1.0, ratio))
    return other + gap * SPREAD - own


def draw_slopes(count: int, fall: float, spreads: Sequence[float], trials: int, rng: np.random.Generator) -> np.ndarray:
    """Return how much gains shrink from size to size, slopes (trials, count), a target and seed each.

    Args:
        count: of slopes.
        fall: of the mean gain from the first size to the last, in standard deviations of a gain.
        spreads: standard deviations of the gain at each size, even steps apart, of which the mean counts as one.
        trials: how many claims.
        rng: source of the draws.
    """
    sizes = np.arange(len(spreads))
    noise = rng.normal(size=(trials, count, len(spreads))) * spreads / np.mean(spreads)
    return -slopes(sizes.tolist(), noise - fall * sizes / sizes[-1])


def rates(advantages: np.ndarray, margin: float = 0.0) -> Rates:
    """Return how often a single claim is decided at 5 %, of advantages (trials, pairs)."""
    shifted = advantages + margin
    better, worse = (
        scipy.stats.wilcoxon(shifted, axis=1, alternative=side, method="exact").pvalue for side in ("greater", "less")
    )
    decided = 2 * np.minimum(better, worse) <= LEVEL
    return Rates(float((decided & (better < worse)).mean()), float((decided & (worse < better)).mean()))


def power_table(pairs: Sequence[int] = PAIRS, trials: int = TRIALS, seed: int = 0) -> str:
    """Return, as text, how often claims are decided, by the number of pairs and the true difference."""
    rng = np.random.default_rng(seed)
    cases = {
        "identical": (0.0, 1.0, 0.0),
        "identical, spreads 1 and 10": (0.0, 10.0, 0.0),
        "better by half a standard deviation": (0.5, 1.0, 0.0),
        "better by one standard deviation": (1.0, 1.0, 0.0),
        "better by two standard deviations": (2.0, 1.0, 0.0),
        "best or tied: identical": (0.0, 1.0, MARGIN),
        "best or tied: worse by twice the margin": (-2 * MARGIN / SPREAD, 1.0, MARGIN),
    }
    lines = [f"{'holds / does not hold, of pairs':<40}" + "".join(f"{count:>14}" for count in pairs)]
    for name, (gap, ratio, margin) in watched(cases.items(), "cases"):
        found = [rates(draw(count, gap, ratio, trials, rng), margin) for count in pairs]
        lines.append(f"{name:<40}" + "".join(f"{f'{one.holds:.1%} / {one.fails:.1%}':>14}" for one in found))
    for name, (fall, spreads) in {
        "a trend: none": (0.0, (1, 1, 1)),
        "a trend: none, spreads 10, 1 and 10": (0.0, (10, 1, 10)),
        "a trend: by two standard deviations": (2.0, (1, 1, 1)),
    }.items():
        found = [rates(draw_slopes(count, fall, spreads, trials, rng)) for count in pairs]
        lines.append(f"{name:<40}" + "".join(f"{f'{one.holds:.1%} / {one.fails:.1%}':>14}" for one in found))
    note = (
        f"{trials:,} simulated claims each, one at a time; a run's standard deviation is {SPREAD:.0%} of its distance"
    )
    return "\n".join([*lines, "", note])
