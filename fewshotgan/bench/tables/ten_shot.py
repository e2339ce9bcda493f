"""10-shot adaptation on one source that meets its bar: all methods, each at the rate and for the iterations that were
its best on a development target.

Sandals and coats are close to the source, whose six classes are shoes and clothes as well; bags and drawn faces are
distant. Dresses are the development target: the source has not seen them, and no other table compares methods on them.
"""

from collections.abc import Iterator

from fewshotgan.bench.claims import Claim
from fewshotgan.bench.controls import with_controls
from fewshotgan.bench.table import Column, OwnTable, Row

SOURCE = "fashion-stylegan2"
CLOSE, DISTANT = ("fashion/sandal", "fashion/coat"), ("fashion/bag", "avatars/lorelei")
DEVELOPMENT = "fashion/dress"
RANDOM, REVERSED = "control: AdAM, random filters", "control: AdAM, importance reversed"
LAMBDA = 100.0  # of EWC in all tables: the best of those in `adam.BY_WEIGHT`
RIVALS = {
    "TransferGAN": Row("transfergan"),
    "FreezeD": Row("freezed"),
    "EWC": Row("ewc", (("weight", LAMBDA),)),
    "CDC": Row("cdc"),
    "DCL": Row("dcl"),
}
ADAM = {
    "AdAM": Row("adam"),
    RANDOM: Row("adam", (("importance", "random"),)),
    REVERSED: Row("adam", (("importance", "reversed"),)),
}
METHODS = {
    "scratch": Row("scratch"),
    **RIVALS,
    "RICK": Row("rick"),
    "FSGAN": Row("fsgan"),
    "BSA": Row("bsa"),
    "MineGAN without fine-tuning": Row("minegan-noft"),
    "MineGAN": Row("minegan"),
    **ADAM,
}
RATES = {"bsa": (0.03, 0.0075)}  # of Adam: a method's own, and a quarter of it
USUAL_RATES = (0.002, 0.0005)
ITERATIONS = (125, 250, 500, 1000)


def at_rate(row: Row, rate: float, iterations: int | None = None) -> Row:
    """Return a row at a learning rate, and for so many iterations instead of its column's."""
    return Row(row.method, (*row.options, ("learning_rate", rate)), iterations=iterations)


def rated() -> Iterator[tuple[str, Row]]:
    """Yield each method but AdAM's controls at each of its rates; where no network trains there is one."""
    for label, row in METHODS.items():
        if label not in (RANDOM, REVERSED):
            for rate in RATES.get(row.method, USUAL_RATES):
                yield f"{label}, rate {rate:g}", at_rate(row, rate)


TUNING = OwnTable(
    "adaptation-10-shot-tuning",
    f"The methods by learning rate and iterations, each cell a run of its own, on the development target {DEVELOPMENT}",
    "adam",
    (),
    with_controls(dict(rated())),
    tuple(Column(f"{count} iterations", SOURCE, DEVELOPMENT, 10, count) for count in ITERATIONS),
)

TABLES = (TUNING,)
CLAIMS: list[Claim] = []
