"""TransferGAN's tables at our scale: which network is transferred, and from scratch against pretrained by the number of
target images, on WGAN-GP's networks, as in the paper, and on StyleGAN2s.

All sizes of a target had 500 iterations in `TABLE2`. In `SIZES` each has its own number, chosen on a development domain
(`TUNING`): of those in `GRID` whose product of both methods' distances, pretrained and from scratch, is within five
percent of the least, the smallest. More than 1,000 images have the iterations of 1,000.
"""

from math import log
from statistics import fmean

from fewshotgan.bench.claims import Claim, Claims, losses
from fewshotgan.bench.controls import AS_IT_IS, controls_lose, with_controls
from fewshotgan.bench.table import Column, OwnTable, Row, columns

SCRATCH, TRANSFERRED = "From scratch", "Pre-trained"
ROWS = with_controls({SCRATCH: Row("scratch"), TRANSFERRED: Row("transfergan")})
TABLE2 = OwnTable(
    "transfergan-table2",
    "TransferGAN's table 2 at our scale: target images from 10 to 1,000",
    "transfergan",
    ("table-2",),
    ROWS,
    columns("avatars-stylegan2", "avatars/miniavs", (10, 25, 100, 1000))
    + columns("fashion-stylegan2", "fashion/sandal", (10, 25, 100, 1000)),
)

SOURCE = "fashion-wgan"  # WGAN-GP's networks, as in the paper; sandals and bags are not in it
METRICS = ("fd_efficientnet", "iw")
BOTH, ONLY_D, ONLY_G, NEITHER = "G and D", "D alone", "G alone", "neither"
CONFIGURATION = OwnTable(
    "transfergan-configuration",
    "Which network to transfer: generator, discriminator, both or neither; 1,000 images",
    "transfergan",
    ("configuration",),
    with_controls(
        {
            label: Row("transfergan", (("transfer", transfer),))
            for label, transfer in ((NEITHER, "none"), (ONLY_D, "D"), (ONLY_G, "G"), (BOTH, "GD"))
        }
    ),
    tuple(Column(f"fashion/{name} 1000", SOURCE, f"fashion/{name}", 1000) for name in ("sandal", "bag")),
    METRICS,
)

DEVELOPMENT = "avatars/toon-head"  # drawn faces in grey, which are no target
GRID = (125, 250, 500, 1000)
ITERATIONS = {10: 250, 100: 500, 1000: 1000}  # by the rule above, as far as `TUNING` is recorded
TUNING = OwnTable(
    "transfergan-size-tuning",
    f"Iterations by the number of target images, each cell a run of its own, on the development target {DEVELOPMENT}",
    "transfergan",
    (),
    ROWS,
    tuple(Column(f"{n} images, {count}", SOURCE, DEVELOPMENT, n, count) for n in ITERATIONS for count in GRID),
)
TARGETS = {  # and as many images as there are
    "fashion/sandal": (10, 100, 1000),
    "fashion/bag": (10, 100, 1000),
    "avatars/personas": (10, 100, 1000, 4000),
}
SIZES = OwnTable(
    "transfergan-size",
    "From scratch against pretrained by the number of target images, from 10 to all that there are",
    "transfergan",
    ("table-2",),
    ROWS,
    tuple(
        Column(f"{target} {n}", SOURCE, target, n, ITERATIONS[min(n, 1000)])
        for target, sizes in TARGETS.items()
        for n in sizes
    ),
    METRICS,
)


def chosen(n: int) -> int | None:
    """Return the iterations of n images that the rule gives on the development target; None until all are recorded."""
    found: dict[int, list[float]] = {}
    for column in (column for column in TUNING.columns if column.n == n):
        sides = [losses(ROWS[label], column) for label in (SCRATCH, TRANSFERRED)]
        if not all(sides):
            return None
        found[column.iterations] = [fmean(side.values()) for side in sides]
    products = {count: fmean(each) for count, each in found.items()}
    return min(count for count, product in products.items() if product <= min(products.values()) + log(1.05))


def by_target(own: OwnTable) -> list[list[Column]]:
    """Return a table's columns, a list for each target."""
    targets = dict.fromkeys((column.gan, column.images) for column in own.columns)
    return [[column for column in own.columns if (column.gan, column.images) == target] for target in targets]


def _of_size(own: OwnTable, *sizes: int) -> list[Column]:
    return [column for column in own.columns if column.n in sizes]


def _claims() -> list[Claim]:
    """Return what the paper claims of sizes, controls among it."""
    found = []
    for own, networks in ((TABLE2, ""), (SIZES, ", WGAN-GP's networks")):
        write = Claims("transfergan", own.name, own.rows)
        sizes = sorted({column.n for column in own.columns if column.n <= 1000})
        few = _of_size(own, *sizes[:-1])
        found += [
            *(
                write.beats(
                    f"pretraining beats training from scratch, {n:,} images{networks}",
                    TRANSFERRED,
                    SCRATCH,
                    _of_size(own, n),
                )
                for n in sizes
            ),
            write.shrinks(
                f"the gain from pretraining shrinks as the data grows{networks}", TRANSFERRED, SCRATCH, by_target(own)
            ),
            controls_lose(write, TRANSFERRED, "pretraining", f"{sizes[0]} to {sizes[-2]} images{networks}", few),
        ]
    return [*found, *_configuration()]


def _configuration() -> list[Claim]:
    """Return what the paper claims of the networks that are transferred."""
    write, targets = Claims("transfergan", CONFIGURATION.name, CONFIGURATION.rows), CONFIGURATION.columns
    best = "transferring G and D beats every other choice"
    return [
        write.beats(f"{best}, in FD", BOTH, (ONLY_G, ONLY_D, NEITHER), targets),
        write.beats(f"{best}, in IW", BOTH, (ONLY_G, ONLY_D, NEITHER), targets, "iw"),
        write.beats("transferring D alone beats training from scratch", ONLY_D, NEITHER, targets),
        write.beats("transferring G alone is worse than training from scratch", NEITHER, ONLY_G, targets),
        write.beats(f"control: the {AS_IT_IS} loses to transferring G and D, 1,000 images", BOTH, AS_IT_IS, targets),
    ]


TABLES = (TABLE2, CONFIGURATION, TUNING, SIZES)
CLAIMS = _claims()
