"""TransferGAN's table 4 at our scale: sources and targets, 1,000 images of each target.

To tell density from diversity, the sources have the same networks and training, and see equally many images: dense ones
those of one class, a diverse one those of eight; another one eight times as many of the eight (`bench/recipes.py`).
No source has seen sandals, bags or these drawn faces.
"""

from collections.abc import Sequence

from fewshotgan.bench.claims import Advantages, Claim, Claims, better, losses
from fewshotgan.bench.controls import AS_IT_IS, with_controls
from fewshotgan.bench.statistics import advantage
from fewshotgan.bench.table import Column, OwnTable, Row
from fewshotgan.bench.tables.transfergan import METRICS

DENSE = {
    "sneakers": "fashion-wgan-sneaker",
    "ankle boots": "fashion-wgan-ankle-boot",
    "trousers": "fashion-wgan-trouser",
    "dresses": "fashion-wgan-dress",
}
DIVERSE, MORE, OTHER, WIDE = "eight classes", "eight classes, 8 x", "drawn faces in grey", "eight classes, wider, 8 x"
SOURCES = DENSE | {
    DIVERSE: "fashion-wgan-diverse",
    MORE: "fashion-wgan-diverse-8x",
    OTHER: "avatars-wgan",
    WIDE: "fashion-wgan",
}
TARGETS = ("fashion/sandal", "fashion/bag", "avatars/miniavs", "avatars/pixel-art")
N, ITERATIONS = 1000, 300
SCRATCH = "scratch"
TABLE = OwnTable(
    "transfergan-sources",
    f"Which source for which target: {N:,} images of each target, all sources but the last of equal networks",
    "transfergan",
    ("table-4",),
    with_controls(
        {
            SCRATCH: Row("scratch", gan=DENSE["sneakers"]),
            **{label: Row("transfergan", gan=gan) for label, gan in SOURCES.items()},
        }
    ),
    tuple(Column(target, SOURCES[WIDE], target, N, ITERATIONS) for target in TARGETS),
    METRICS,
)


def denser(other: str, columns: Sequence[Column]) -> Advantages:
    """Return what reads the advantages of dense sources over another, by label: the mean over the dense ones, of each
    target and of seeds that all have.
    """

    def read() -> list[float]:
        found = []
        for column in columns:
            dense = [losses(TABLE.rows[label], column) for label in DENSE]
            rival = losses(TABLE.rows[other], column)
            for seed in sorted(set.intersection(*map(set, dense), rival)):
                found.append(advantage(sum(each[seed] for each in dense) / len(dense), rival[seed]))
        return found

    return read


def _claims() -> list[Claim]:
    """Return what the paper claims of sources."""
    write, targets = Claims("transfergan", TABLE.name, TABLE.rows), TABLE.columns
    equal = [TABLE.rows[label] for label in SOURCES if label != WIDE]
    every = tuple(better(row, TABLE.rows[SCRATCH], targets) for row in equal)
    return [
        Claim("transfergan", "every source beats training from scratch, 1,000 images", TABLE.name, every),
        Claim(
            "transfergan",
            "density beats diversity: sources of one class beat one of eight, equally many images",
            TABLE.name,
            (denser(DIVERSE, targets),),
        ),
        Claim(
            "transfergan",
            "density beats number: sources of one class beat one of eight with eight times as many images",
            TABLE.name,
            (denser(MORE, targets),),
        ),
        write.beats("of eight classes, eight times as many images make a better source", MORE, DIVERSE, targets),
        write.beats(f"control: the {AS_IT_IS} loses to its fine-tuning, {N:,} images, {WIDE}", WIDE, AS_IT_IS, targets),
    ]


TABLES = (TABLE,)
CLAIMS = _claims()
