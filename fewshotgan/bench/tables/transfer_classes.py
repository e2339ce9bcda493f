"""TransferGAN's table 6 at our scale: an unconditional source learns classes, by AC-GAN and by conditional norm, at a
hundredth, a tenth and all of the iterations.

The control that must lose learns from shuffled labels. `fewshotgan evaluate` gives the distance of each class.
"""

from fewshotgan.bench.claims import Claim, Claims, better
from fewshotgan.bench.controls import AS_IT_IS, with_controls
from fewshotgan.bench.table import Column, OwnTable, Row
from fewshotgan.bench.tables.transfergan import SOURCE

TARGETS = {
    "sandals and bags": "50% fashion/sandal, 50% fashion/bag",
    "two kinds of faces": "50% avatars/miniavs, 50% avatars/pixel-art",
}
LENGTHS = (5, 50, 500)  # iterations: a hundredth, a tenth and all
JOINED, NORM = "AC-GAN", "conditional norm"
SHUFFLED = f"{NORM}, labels shuffled"
ACCURACY = "class_accuracy"
TABLE = OwnTable(
    "transfergan-classes",
    "From an unconditional source into two classes, 500 images of each, by the number of iterations",
    "transfergan",
    ("table-6",),
    with_controls(
        {
            f"{JOINED} from scratch": Row("acgan", (("transfer", "none"),)),
            JOINED: Row("acgan"),
            f"{NORM} from scratch": Row("cbn_transfer", (("transfer", "none"),)),
            NORM: Row("cbn_transfer"),
            SHUFFLED: Row("cbn_transfer", (("shuffled", True),)),
        }
    ),
    tuple(
        Column(f"{label}, {count}", SOURCE, images, 1000, count)
        for label, images in TARGETS.items()
        for count in LENGTHS
    ),
    ("fd_efficientnet", "iw", "fd_classes", ACCURACY),
)


def _claims() -> list[Claim]:
    """Return what the paper claims of classes, and that shuffled labels lose."""
    write = Claims("transfergan", TABLE.name, TABLE.rows)
    at = {count: [column for column in TABLE.columns if column.iterations == count] for count in LENGTHS}
    found = []
    for label in (JOINED, NORM):
        rows = TABLE.rows[label], TABLE.rows[f"{label} from scratch"]
        every = tuple(better(*rows, columns, "fd_classes") for columns in at.values())
        statement = f"{label} into classes: pretraining beats scratch at a hundredth, a tenth and all of the iterations"
        found.append(Claim("transfergan", statement, TABLE.name, every))
    lost = "control: with shuffled labels the classes are lost"
    return [
        *found,
        write.beats(f"{lost}, in the accuracy of a classifier", NORM, SHUFFLED, at[LENGTHS[-1]], ACCURACY),
        write.beats(f"{lost}, in their distances", NORM, SHUFFLED, at[LENGTHS[-1]], "fd_classes"),
        write.beats(f"control: the {AS_IT_IS} loses to {NORM} into classes", NORM, AS_IT_IS, at[LENGTHS[-1]]),
    ]


TABLES = (TABLE,)
CLAIMS = _claims()
