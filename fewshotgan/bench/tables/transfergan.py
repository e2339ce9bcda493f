"""TransferGAN's tables at our scale, on its own networks where the table is about them: which network is transferred,
from scratch against pretrained by the number of target images, and from an unconditional source into classes.
"""

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

SOURCE = "fashion-wgan"  # WGAN-GP's networks, as in the paper; sandals and bags are not in it
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
    ("fd_efficientnet", "iw"),
)
CLASSES = "50% fashion/sandal, 50% fashion/bag"
SHUFFLED = "conditional norm, labels shuffled"
INTO_CLASSES = OwnTable(
    "transfergan-classes",
    "From an unconditional source into classes, at a hundredth, a tenth and all of the iterations; 1,000 images",
    "transfergan",
    ("table-6",),
    {
        "AC-GAN from scratch": Row("acgan", (("transfer", "none"),)),
        "AC-GAN": Row("acgan"),
        "conditional norm from scratch": Row("cbn_transfer", (("transfer", "none"),)),
        "conditional norm": Row("cbn_transfer"),
        SHUFFLED: Row("cbn_transfer", (("shuffled", True),)),
    },
    tuple(Column(f"{iterations} iterations", SOURCE, CLASSES, 1000, iterations) for iterations in (5, 50, 500)),
    ("fd_efficientnet", "fd_classes", "class_accuracy"),
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
        *_configuration(),
        *_classes(),
    ]


def _configuration() -> list[Claim]:
    """Return what the paper claims of the networks that are transferred."""
    write, targets = Claims("transfergan", CONFIGURATION.name, CONFIGURATION.rows), CONFIGURATION.columns
    return [
        write.beats("transferring G and D beats every other choice", BOTH, (ONLY_G, ONLY_D, NEITHER), targets),
        write.beats("transferring D alone beats training from scratch", ONLY_D, NEITHER, targets),
        write.beats("transferring G alone is worse than training from scratch", NEITHER, ONLY_G, targets),
        controls_lose(write, BOTH, "transferring G and D", "1,000 images", targets),
    ]


def _classes() -> list[Claim]:
    """Return what the paper claims of classes, and the control of shuffled labels."""
    write, every, last = Claims("transfergan", INTO_CLASSES.name, INTO_CLASSES.rows), INTO_CLASSES.columns, "fd_classes"
    norm, own = "conditional norm", INTO_CLASSES.columns[-1:]
    return [
        *(
            write.beats(f"{label} into classes: pretraining beats scratch", label, f"{label} from scratch", every, last)
            for label in ("AC-GAN", norm)
        ),
        write.beats("control: with shuffled labels the classes are lost", norm, SHUFFLED, own, "class_accuracy"),
    ]


TABLES = (TABLE2, CONFIGURATION, INTO_CLASSES)
CLAIMS = _claims()
