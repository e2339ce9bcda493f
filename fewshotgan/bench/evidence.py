"""What the ledger has measured of targets as far from a source as some images: for advice before training."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import mean

from fewshotgan.bench import ledger
from fewshotgan.bench.measure import metric_version
from fewshotgan.bench.nearness import distance, image_features, source_features
from fewshotgan.bench.schema import Entry, Option
from fewshotgan.bench.table import BUDGET, CONTROLS
from fewshotgan.files import UserError
from fewshotgan.gans import GAN, list_gans, load_gan, version
from fewshotgan.images import list_domains, load_images
from fewshotgan.methods import METHODS, create_method
from fewshotgan.wording import counted

METRIC = "fd_efficientnet"


@dataclass(frozen=True)
class Evidence:
    """The best that the ledger has of a target: mean Fréchet distances (EfficientNet-Lite0) to held-out images.

    Attributes:
        gan, images, n: the source, and the images that it was adapted to.
        distance: between them.
        method, options, iterations, value, seeds: the best runs: how, with which options that are no defaults, for how
            long, how they ended on average, and how many there are.
        compared: how many methods, options and lengths they were the best of.
        untouched, replayed: of the controls, the source as it is and the images repeated; None if not measured.
    """

    gan: str
    images: str
    n: int
    distance: float
    method: str
    options: tuple[tuple[str, Option], ...]
    iterations: int
    value: float
    seeds: int
    compared: int
    untouched: float | None
    replayed: float | None

    def __str__(self) -> str:
        """Return the finding as a sentence."""
        controls = [
            f"{value:.0f} {what}"
            for value, what in ((self.untouched, "untouched"), (self.replayed, "for the images repeated"))
            if value is not None
        ]
        against = f", against {' and '.join(controls)}" if controls else ""
        how = " ".join([self.method, *(f"{name}={value}" for name, value in self.options)])
        return (
            f"{self.gan} on {self.n} images of {self.images} ({self.distance:.0f} away): best of {self.compared}, "
            f"{how}, {self.iterations} iterations: {METRIC} {self.value:.0f} ({counted(self.seeds, 'seed')}){against}."
        )


Target = tuple[str, str, int]  # source, images, number of them
How = tuple[str, tuple[tuple[str, Option], ...], int]  # method, options that are no defaults, iterations


def evidence() -> list[Evidence]:
    """Return the best of each target of a present source that the ledger has runs of."""
    cells: dict[Target, dict[How, list[float]]] = {}
    controls: dict[Target, list[float]] = {}
    for key, entry in ledger.read_runs().items():
        value, spec = _score(key), entry.spec
        if entry.status != "ok" or value is None or spec.images not in list_domains():
            continue
        if spec.method in CONTROLS:
            controls.setdefault((spec.gan, spec.images, spec.n), []).append(value)
        elif (changed := _changed(entry)) is not None:
            cell = cells.setdefault((spec.gan, spec.images, spec.n), {})
            cell.setdefault((spec.method, changed, spec.iterations), []).append(value)
    return [_best(target, cell, controls) for target, cell in cells.items()]


def _best(target: Target, cell: dict[How, list[float]], controls: dict[Target, list[float]]) -> Evidence:
    gan, images, n = target
    how = min(cell, key=lambda how: mean(cell[how]))
    away = distance(image_features(load_images(images, n=n)), source_features(load_gan(gan)))
    untouched, replayed = controls.get(target), controls.get(("", images, n))
    return Evidence(
        *target,
        away,
        *how,
        mean(cell[how]),
        len(cell[how]),
        len(cell),
        mean(untouched) if untouched else None,
        mean(replayed) if replayed else None,
    )


def _score(key: str) -> float | None:
    """Return the newest value of a run at the metric's present version."""
    wanted = METRIC, metric_version(METRIC)
    found = [score.value for score in ledger.read_scores().get(key, ()) if (score.metric, score.version) == wanted]
    return found[-1] if found else None


def _changed(entry: Entry) -> tuple[tuple[str, Option], ...] | None:
    """Return the options of a run that are no defaults; None if `fewshotgan adapt` can't repeat it by options alone."""
    spec = entry.spec
    if spec.gan not in list_gans() or spec.gan_sha256 != version(spec.gan) or spec.method not in METHODS:
        return None
    if (spec.batch, spec.augment) != (BUDGET["batch"], BUDGET["augment"]):
        return None
    try:
        usual = _defaults(spec.method, spec.gan)
    except UserError:
        return None
    return tuple((name, value) for name, value in spec.options.items() if usual.get(name) != value)


@cache
def _defaults(method: str, gan: str) -> dict[str, object]:
    return create_method(method).settle(load_gan(gan)).options()


def nearest(found: Sequence[Evidence], gan: GAN, away: float, n: int) -> Evidence | None:
    """Return what is most like images so far from a source, and so many: of this source, or else of any."""
    own = [one for one in found if one.gan == gan.name] or list(found)

    def unlike(one: Evidence) -> float:
        return max(ratio(one.distance, away), ratio(one.n, n))

    return min(own, key=unlike, default=None)


def ratio(a: float, b: float) -> float:
    """Return the larger of two numbers over the smaller; numbers below 1 count as 1."""
    a, b = max(a, 1.0), max(b, 1.0)
    return max(a / b, b / a)
