"""What a table of ours is made of: rows (methods), columns (images and a source), and the spec of each cell's runs.

A run is a pure function of its spec. Cells of several tables that have one spec share one run. A seed decides
everything random, and which of the disjoint few-shot subsets is trained on.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from fewshotgan.bench.schema import Spec
from fewshotgan.checkpoint import digest
from fewshotgan.gans import GAN, SEVERAL, combine, list_gans, load_gan, version
from fewshotgan.images import Images, count_subsets, load_images
from fewshotgan.methods import create_method
from fewshotgan.metrics import get_metric
from fewshotgan.session import BATCH, ITERATIONS

SEEDS = (0, 1, 2, 3, 4)
# the same for every method
BUDGET: dict[str, Any] = {"iterations": ITERATIONS, "batch": BATCH, "augment": "diffaugment"}
NOT_ADAPTED = "none"  # the control: the source as it is
REPLAY = "replay"  # the control: the few images, repeated
CONTROLS = (NOT_ADAPTED, REPLAY)  # of which nothing trains
GENERATED = 1000  # images that a cell is measured on, unless its column has another number
FEW = 10  # images, up to which Intra-LPIPS is measured
STANDARD = ("fd_efficientnet", "kd_efficientnet", "precision", "recall", "memorisation")  # measured of every run
INTRA = "intra_lpips_efficientnet"
SELECTOR = "selector_"  # and a number: the weight of one of several GANs


@dataclass(frozen=True)
class Row:
    """A row: a method or a control, its options that are no defaults, and the augmentation where the row is about it.

    `gan` is the row's own source, for a method that the column's networks have no layers for; `iterations` its own
    count, where one was chosen for it.
    """

    method: str
    options: tuple[tuple[str, Any], ...] = ()
    augment: str = BUDGET["augment"]
    gan: str | None = None
    iterations: int | None = None

    def __str__(self) -> str:
        """Return the method and its options in words."""
        own = self.options if self.augment == BUDGET["augment"] else (("augment", self.augment), *self.options)
        return " ".join([self.method, *(f"{key}={value}" for key, value in own)])


@dataclass(frozen=True)
class Column:
    """A column: images of a domain that a source, or several (" & " between their names), is adapted to, and for how
    long.

    Attributes:
        label: as printed.
        gan, images, n: what is adapted to how many images of which domain.
        iterations: of each run.
        generated: images that its cells are measured on.
    """

    label: str
    gan: str
    images: str
    n: int
    iterations: int = ITERATIONS
    generated: int = GENERATED


@dataclass(frozen=True)
class OwnTable:
    """A table of ours.

    Attributes:
        name: as typed.
        caption: one line.
        paper: key of the paper it mirrors, in data/papers.
        published: ids of that paper's tables, printed beside ours.
        rows: {label: row}.
        columns: what the methods are adapted to.
        metrics: printed in the cells, a block each.
    """

    name: str
    caption: str
    paper: str
    published: tuple[str, ...]
    rows: dict[str, Row]
    columns: tuple[Column, ...]
    metrics: tuple[str, ...] = ("fd_efficientnet",)


def columns(gan: str, images: str, sizes: tuple[int, ...]) -> tuple[Column, ...]:
    """Return a column for each number of images."""
    return tuple(Column(f"{images} {n}", gan, images, n) for n in sizes)


def cell_metrics(own: OwnTable, row: Row, column: Column) -> tuple[str, ...]:
    """Return what is measured of a cell: the standard, what the table prints, and diversity around few images."""
    wanted = dict.fromkeys((*STANDARD, *own.metrics, *((INTRA,) if column.n <= FEW else ())))
    trains, several = row.method not in CONTROLS, SEVERAL in (row.gan or column.gan)
    return tuple(
        metric
        for metric in wanted
        if (trains or get_metric(metric).of_controls) and (several or not metric.startswith(SELECTOR))
    )


def is_here(row: Row, column: Column) -> bool:
    """Return whether the sources of a cell ship; one that is yet to be trained has no runs."""
    return set((row.gan or column.gan).split(SEVERAL)) <= _shipped()


def cell_spec(row: Row, column: Column, seed: int) -> Spec:
    """Return the spec of one run; another source file of the same name makes another spec: old runs don't count."""
    subset, size = seed % count_subsets(column.images, column.n), converted_size(column.gan, column.images)
    gan = "" if row.method == REPLAY else row.gan or column.gan
    trains = row.method not in CONTROLS
    return Spec(
        gan=gan,
        gan_sha256=SEVERAL.join(version(name) for name in gan.split(SEVERAL)) if gan else "",
        images=column.images,
        n=column.n,
        subset=subset,
        size=size,
        images_sha256=_images_digest(column.images, column.n, subset, size),
        method=row.method,
        options=_options(row.method, row.options, gan) if trains else {},
        iterations=(row.iterations or column.iterations) if trains else 0,
        batch=BUDGET["batch"] if trains else 0,
        augment=row.augment if trains else None,
        seed=seed,
        threads=1,
        precision="float32",
    )


def load_source(gan: str) -> GAN:
    """Return the shipped GAN of a spec, or several of them as one."""
    return combine([load_gan(name) for name in gan.split(SEVERAL)])


def shots_text(own: OwnTable) -> str:
    """Return which images the seeds of a table are trained on, in words."""
    rooms: dict[int, set[int]] = {}
    for column in own.columns:
        rooms.setdefault(column.n, set()).add(count_subsets(column.images, column.n))
    short = [
        f"{n:,} images have {' or '.join(map(str, sorted(found)))}"
        for n, found in sorted(rooms.items())
        if min(found) < len(SEEDS)
    ]
    text = "each seed has its own disjoint subset of the training images"
    return f"{text}, as far as there are enough: {', '.join(short)}, taken in turn" if short else text


def digest_images(images: Images) -> str:
    """Return the digest of a set of images by which a spec knows it."""
    return digest([images.pixels])


def load_converted(
    name: str, size: tuple[int, int] | None, n: int | None = None, *, subset: int = 0, split: str = "train"
) -> Images:
    """Return images as `load_images` does, converted to `size`, side in pixels and channels, if there is one."""
    side, channels = size or (None, None)
    return load_images(name, n, subset=subset, split=split, resolution=side, channels=channels)


@cache
def converted_size(gan: str, images: str) -> tuple[int, int] | None:
    """Return the side and the channels to which a domain's images are converted for a source; None if they fit."""
    networks, first = _source(gan), load_images(images, 1)
    size = networks.resolution, networks.channels
    return None if size == (first.resolution, first.channels) else size


@cache
def _images_digest(name: str, n: int, subset: int, size: tuple[int, int] | None) -> str:
    return digest_images(load_converted(name, size, n, subset=subset))


@cache
def _shipped() -> frozenset[str]:
    return frozenset(list_gans())


_source = cache(load_source)


@cache
def _options(method: str, given: tuple[tuple[str, Any], ...], gan: str) -> dict[str, Any]:
    """Return all options of a method with the values that they have for this source."""
    return create_method(method, **dict(given)).settle(_source(gan)).options()
