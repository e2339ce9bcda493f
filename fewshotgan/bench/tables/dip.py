"""Data Instance Prior on top of four methods: 25, 100 and 1,000 images of two classes that the source has not seen.

The prior is the shipped encoder that learned without labels ("simclr"): it has seen neither target, and the
metrics use another network, EfficientNet-Lite0. The row whose prior is that network says so; it has the advantage in
"self-supervised comes close". Random features are of the supervised network without its training.

Iterations and sampling are to be chosen on dresses, which the encoder has not seen, but the source has: it leaves no
other class. Neither table of that choice has been recorded yet; until then all rows have 500 iterations, and sample the
pairs that training has seen.

The rate of the adversarial methods is that of all on small residual sources, and BSA has the smaller latent weight, for
the reasons in `fewshotgan.bench.tables.minegan`.
"""

from fewshotgan.bench.claims import Claim, Claims
from fewshotgan.bench.controls import controls_lose, with_controls
from fewshotgan.bench.table import STANDARD, Column, OwnTable, Row, columns
from fewshotgan.bench.tables.minegan import RATE, SIZES

SOURCE, TARGETS, DEVELOPMENT = "fashion-sngan", ("fashion/sandal", "fashion/bag"), "fashion/dress"
LOOSE = ("latent_weight", 0.001)
PRIOR, WITH = ("features", "simclr"), "{}, with DIP"
METHODS = {
    "scratch": Row("scratch", (RATE,)),
    "TransferGAN": Row("transfergan", (RATE,)),
    "FreezeD": Row("freezed", (RATE,)),
    "BSA": Row("bsa", (LOOSE,)),
}
PRIORS = {
    WITH.format("scratch"): Row("dip-scratch", (RATE, PRIOR)),
    WITH.format("TransferGAN"): Row("dip", (RATE, PRIOR)),
    WITH.format("FreezeD"): Row("dip-freezed", (RATE, PRIOR)),
    WITH.format("BSA"): Row("dip-bsa", (LOOSE, PRIOR)),
}
USUAL = WITH.format("TransferGAN")
SUPERVISED = f"{USUAL}, supervised features (the metrics')"
RANDOM, NUMBERS = f"control: {USUAL}, random features", f"control: {USUAL}, one-hot numbers"
FEATURES = {
    label: Row("dip", (RATE, ("features", name)))
    for label, name in ((SUPERVISED, "efficientnet"), (RANDOM, "random"), (NUMBERS, "onehot"))
}
ITERATIONS = (125, 250, 500, 1000)

TABLE = OwnTable(
    "dip",
    "Four methods without and with a data instance prior (self-supervised features), and other priors",
    "dip",
    (),
    with_controls({**METHODS, **PRIORS, **FEATURES}),
    tuple(column for target in TARGETS for column in columns(SOURCE, target, SIZES)),
    STANDARD,
)
BY_ITERATIONS = OwnTable(
    "dip-iterations",
    f"The methods by the number of iterations, each cell a run of its own, on 100 images of the development target "
    f"{DEVELOPMENT}",
    "dip",
    (),
    with_controls({**METHODS, **PRIORS}),
    tuple(Column(f"{count} iterations", SOURCE, DEVELOPMENT, 100, count) for count in ITERATIONS),
)
BY_SAMPLING = OwnTable(
    "dip-sampling",
    f"How a prior's features are drawn, on the development target {DEVELOPMENT}",
    "dip",
    (),
    with_controls(
        {
            "TransferGAN": METHODS["TransferGAN"],
            **{
                f"{USUAL}, {label}": Row("dip", (RATE, PRIOR, *options))
                for label, options in {
                    "bank": (),
                    "neighbours": (("sampling", "neighbours"),),
                    "gaussian": (("sampling", "gaussian"),),
                    "10 clusters, gaussian": (("sampling", "gaussian"), ("clusters", 10)),
                }.items()
            },
        }
    ),
    columns(SOURCE, DEVELOPMENT, SIZES),
    STANDARD,
)


def _claims() -> list[Claim]:
    """Return what the paper claims of the prior, of all targets and sizes, controls among it."""
    write, targets = Claims("dip", TABLE.name, TABLE.rows), TABLE.columns
    few = tuple(column for column in targets if column.n == SIZES[0])
    return [
        *(write.beats(f"DIP improves {label}", WITH.format(label), label, targets) for label in METHODS),
        *(
            write.beats(f"recall rises with DIP on top of {label}", WITH.format(label), label, targets, "recall")
            for label in METHODS
        ),
        *(
            write.beats(f"{kind} features beat random ones and one-hot numbers", label, (RANDOM, NUMBERS), targets)
            for kind, label in (("self-supervised", USUAL), ("supervised", SUPERVISED))
        ),
        write.ties("self-supervised features come close to supervised ones", USUAL, SUPERVISED, targets),
        controls_lose(write, USUAL, "DIP", f"{SIZES[0]} images", few),
    ]


TABLES = (TABLE, BY_ITERATIONS, BY_SAMPLING)
CLAIMS = _claims()
