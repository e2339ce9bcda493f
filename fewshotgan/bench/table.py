"""What a table of ours is made of: rows (methods), columns (images and a source), and the spec of each cell's runs.

A run is a pure function of its spec. Cells of several tables that have one spec share one run.
"""

from dataclasses import dataclass
from typing import Any

from fewshotgan.gans import SEVERAL, version
from fewshotgan.metrics.extractors import VERSION
from fewshotgan.session import BATCH, ITERATIONS

Spec = dict[str, Any]
SEEDS = (0, 1, 2, 3, 4)
# the same for every method
BUDGET: dict[str, Any] = {"iterations": ITERATIONS, "batch": BATCH, "augment": "diffaugment"}
NOT_ADAPTED = "none"  # the control: the source as it is
REPLAY = "replay"  # the control: the few images, repeated
CONTROLS = (NOT_ADAPTED, REPLAY)  # of which nothing trains
FEW = 10  # images, up to which Intra-LPIPS is measured


@dataclass(frozen=True)
class Row:
    """A row: a method, what of its options is not the default, and the augmentation, where the row is about it.

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
        mining: whether the numbers of MineGAN's and BSA's tables are measured too, and then of how many generated
            images all are.
    """

    label: str
    gan: str
    images: str
    n: int
    iterations: int = ITERATIONS
    mining: int = 0


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


def shots_text(own: OwnTable) -> str:
    """Return which images the seeds of a table are trained on, in words."""
    return "all seeds have one set of shots"


def cell_spec(row: Row, column: Column, seed: int) -> Spec:
    """Return the spec of one run; another source file of the same name, or another protocol, makes another spec: old
    runs don't count.
    """
    gan = row.gan or column.gan
    versions = SEVERAL.join(version(name) for name in gan.split(SEVERAL))
    source = {
        "gan": gan,
        "gan_sha256": versions,
        "protocol": VERSION,
        **({"mining": column.mining} if column.mining else {}),
    }
    spec = {**source, "images": column.images, "method": row.method, "seed": seed}
    options = {"options": dict(row.options)} if row.options else {}
    budget = {**BUDGET, "iterations": row.iterations or column.iterations, "augment": row.augment}
    if row.method == NOT_ADAPTED:
        # around few images diversity is measured, of the source too
        return {**spec, "n": column.n} if column.n <= FEW else spec
    if row.method == REPLAY:
        return {**spec, "n": column.n}
    return {**spec, "n": column.n, **budget, **options}
