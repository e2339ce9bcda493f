"""TransferGAN's table 2 at our scale: from scratch against pretrained, by the number of target images."""

from functools import partial

from fewshotgan.bench.claims import Claim, values
from fewshotgan.bench.results import scores
from fewshotgan.bench.table import NOT_ADAPTED, Column, OwnTable, Row, columns

SIZES = (10, 25, 100, 1000)
TABLE2 = OwnTable(
    "transfergan-table2",
    "TransferGAN's table 2 at our scale: target images from 10 to 1,000",
    "transfergan",
    ("table-2",),
    {"source, not adapted": Row(NOT_ADAPTED), "From scratch": Row("scratch"), "Pre-trained": Row("transfergan")},
    columns("avatars-stylegan2", "avatars/miniavs", SIZES) + columns("fashion-stylegan2", "fashion/sandal", SIZES),
)


def gains(column: Column) -> list[float]:
    """Return the relative gain from pretraining, 1 - FD(pre-trained) / FD(scratch), of each seed that has both."""
    transferred, scratch = scores(Row("transfergan"), column), scores(Row("scratch"), column)
    return [1 - transferred[seed] / scratch[seed] for seed in transferred if seed in scratch]


def _claims() -> list[Claim]:
    """Return what TransferGAN's table 2 claims."""
    sizes, found = TABLE2, []
    scratch, transferred = sizes.rows["From scratch"], sizes.rows["Pre-trained"]
    for column in sizes.columns:
        text = f"pretraining beats training from scratch: {column.images}, {column.n} images"
        found.append(Claim("transfergan", text, sizes.name, values(transferred, column), values(scratch, column)))
    for images in dict.fromkeys(column.images for column in sizes.columns):
        few, *_, many = (column for column in sizes.columns if column.images == images)
        text = f"the gain from pretraining grows as the data shrinks: {images}, {few.n} against {many.n} images"
        found.append(Claim("transfergan", text, sizes.name, partial(gains, many), partial(gains, few)))
    return found


TABLES = (TABLE2,)
CLAIMS = _claims()
