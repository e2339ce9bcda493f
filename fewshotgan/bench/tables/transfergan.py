"""TransferGAN's table 2 at our scale: from scratch against pretrained, by the number of target images."""

from collections.abc import Sequence

from fewshotgan.bench.claims import Claim, Claims, losses
from fewshotgan.bench.controls import controls_lose, with_controls
from fewshotgan.bench.statistics import advantage
from fewshotgan.bench.table import Column, OwnTable, Row, columns

SIZES = (10, 25, 100, 1000)
SCRATCH, TRANSFERRED = "From scratch", "Pre-trained"
TABLE2 = OwnTable(
    "transfergan-table2",
    "TransferGAN's table 2 at our scale: target images from 10 to 1,000",
    "transfergan",
    ("table-2",),
    with_controls({SCRATCH: Row("scratch"), TRANSFERRED: Row("transfergan")}),
    columns("avatars-stylegan2", "avatars/miniavs", SIZES) + columns("fashion-stylegan2", "fashion/sandal", SIZES),
)


def gains(column: Column) -> dict[int, float]:
    """Return the gain from pretraining by seed: the logarithm of the distance from scratch over that pretrained."""
    scratch, transferred = (losses(TABLE2.rows[label], column) for label in (SCRATCH, TRANSFERRED))
    return {seed: advantage(transferred[seed], scratch[seed]) for seed in sorted(scratch.keys() & transferred.keys())}


def growth() -> list[float]:
    """Return by how much the gain is larger with the fewest images than with the most, of each target and seed."""
    found = []
    for few, many in zip(_of_size(SIZES[0]), _of_size(SIZES[-1]), strict=True):
        small, large = gains(few), gains(many)
        found += [advantage(-small[seed], -large[seed]) for seed in sorted(small.keys() & large.keys())]
    return found


def _of_size(*sizes: int) -> Sequence[Column]:
    return [column for column in TABLE2.columns if column.n in sizes]


def _claims() -> list[Claim]:
    """Return what TransferGAN's table 2 claims of both targets, controls among it."""
    write = Claims("transfergan", TABLE2.name, TABLE2.rows)
    few = SIZES[:-1]
    grows = f"the gain from pretraining grows as the data shrinks: {SIZES[0]} against {SIZES[-1]:,} images"
    return [
        *(
            write.beats(f"pretraining beats training from scratch, {n:,} images", TRANSFERRED, SCRATCH, _of_size(n))
            for n in SIZES
        ),
        Claim("transfergan", grows, TABLE2.name, (growth,)),
        controls_lose(write, TRANSFERRED, "pretraining", f"{few[0]} to {few[-1]} images", _of_size(*few)),
    ]


TABLES = (TABLE2,)
CLAIMS = _claims()
