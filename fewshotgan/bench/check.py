"""`fewshotgan bench check`: where the bench is fit to judge methods, and where it is not.

A target is fit if its source meets its bar, and plain fine-tuning, at the rate and the number of iterations that suit
it best, is nearer to the held-out images than both controls: the source as it is, and the shots repeated. Only fit
targets stand in tables that compare methods by distance.
"""

from dataclasses import dataclass
from functools import cache
from statistics import fmean

from fewshotgan.bench.controls import AS_IT_IS, REPEATED
from fewshotgan.bench.results import scores
from fewshotgan.bench.table import Column, OwnTable, converted_size, load_converted
from fewshotgan.bench.tables.fitness import FITNESS, ITERATIONS
from fewshotgan.gans import load_gan
from fewshotgan.images import Images
from fewshotgan.metrics import frechet_distance, real_features
from fewshotgan.progress import watched

NOT_RUN = "not run"


@dataclass(frozen=True)
class Fitness:
    """What is known of a source and a target; distances are fd_efficientnet to held-out images, means over seeds.

    Attributes:
        source, target: the pair.
        ratio, bar: of the source's own distance to that of the nearest other domain, and what it must not exceed.
        as_it_is: distance of the source's samples.
        repeated: distance of the ten shots, repeated.
        recall, memorisation: of the ten shots, repeated.
        real: distance of as many training images: what a perfect method could reach.
        tuned: the best row of plain fine-tuning and its distance; None until every row was run.
        enough: whether the best row has fewer iterations than the most that were tried.
    """

    source: str
    target: str
    ratio: float
    bar: float
    as_it_is: float | None
    repeated: float | None
    recall: float | None
    memorisation: float | None
    real: float
    tuned: tuple[str, float] | None
    enough: bool

    @property
    def verdict(self) -> str:
        """Return "fit", "not run", or why it is not fit."""
        if self.tuned is None or self.as_it_is is None or self.repeated is None:
            return NOT_RUN
        worse = [
            name for name, value in ((AS_IT_IS, self.as_it_is), (REPEATED, self.repeated)) if self.tuned[1] >= value
        ]
        missed = ["the source misses its bar"] if self.ratio > self.bar else []
        lost = [f"fine-tuning loses to the {' and the '.join(worse)}"] if worse else []
        return "; ".join(missed + lost) or "fit"


def check() -> list[Fitness]:
    """Return what is known of each source and each of its targets."""
    pairs = [(own, column) for own in FITNESS.values() for column in own.columns]
    return [fitness(own, column) for own, column in watched(pairs, "sources and targets")]


def fitness(own: OwnTable, column: Column) -> Fitness:
    """Return what is known of a source and a target."""
    quality = load_gan(column.gan).card["quality"]
    tuned = {label: _mean(own, label, column) for label in own.rows if label not in (AS_IT_IS, REPEATED)}
    known = {label: mean for label, mean in tuned.items() if mean is not None}
    best = min(known, key=lambda label: known[label]) if len(known) == len(tuned) else None
    return Fitness(
        source=column.gan,
        target=column.images,
        ratio=quality["ratio"],
        bar=quality["bar"],
        as_it_is=_mean(own, AS_IT_IS, column),
        repeated=_mean(own, REPEATED, column),
        recall=_mean(own, REPEATED, column, "recall"),
        memorisation=_mean(own, REPEATED, column, "memorisation"),
        real=_real_distance(column.images, converted_size(column.gan, column.images)),
        tuned=None if best is None else (best, known[best]),
        enough=best is not None and own.rows[best].iterations != ITERATIONS[-1],
    )


def check_table() -> str:
    """Return the check as text."""
    titles = f"{'ratio':>7}{'as it is':>10}{'replay':>8}{'recall':>8}{'memo':>6}{'real':>6}"
    lines = [f"{'source':<20}{'target':<20}{titles}  {'fine-tuning at its best':<54}verdict"]
    for row in check():
        most = "" if row.enough else ", the most tried"
        tuned = f"{row.tuned[1]:.0f} ({row.tuned[0].removeprefix('TransferGAN, ')}{most})" if row.tuned else NOT_RUN
        numbers = (
            f"{_text(row.as_it_is):>10}{_text(row.repeated):>8}{_text(row.recall, 2):>8}{_text(row.memorisation, 2):>6}"
        )
        lines.append(
            f"{row.source:<20}{row.target:<20}{row.ratio:>7.3f}{numbers}{row.real:>6.0f}  {tuned:<54}{row.verdict}"
        )
    foot = (
        "fd_efficientnet to held-out images, means over seeds; recall and memorisation of the shots repeated; real: "
        "as many training images.\nFit: the source meets its bar, and fine-tuning is nearer than both controls."
    )
    return "\n".join([*lines, "", foot])


def _mean(own: OwnTable, label: str, column: Column, metric: str = "fd_efficientnet") -> float | None:
    values = scores(own.rows[label], column, metric).values()
    return fmean(values) if values else None


@cache
def _real_distance(domain: str, size: tuple[int, int] | None) -> float:
    """Return the distance between training and held-out images of a domain, at the size of the source."""
    train, held_out = (load_converted(domain, size, split=split) for split in ("train", "held_out"))
    first = Images(train.pixels[: len(held_out)], train.name)
    return frechet_distance(real_features(held_out, "efficientnet"), real_features(first, "efficientnet"))


def _text(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
