"""MineGAN and BSA at our scale: table 1, the sizes, classes mined without labels, two GANs and four.

The target domains: on the manifold is a class that the source has seen, off it one that it has not. The paper's own
numbers, KMMD and MV, have no released code; ours are defined in `fewshotgan.metrics.mmd`.

The rate of the adversarial methods on the small residual sources, whose weights are not equalised, is 0.0005, half of
that of their own training, for all of them. It was chosen by samples of one training run (25 dresses, seed 0), no
held-out image among them, when training broke at a higher rate.

BSA's latent term, a sum over the latent's numbers, is of another order than the others at its published weight; within
our budget latents then follow it and not the images (mean absolute error of the 25 training sandals after 300
iterations: 0.24, at weight 0.001 0.13, of their mean 0.23). A row of its own has the smaller weight.
"""

from collections.abc import Callable
from functools import partial
from statistics import correlation, fmean

from fewshotgan.bench.claims import Claim, best, values
from fewshotgan.bench.results import scores
from fewshotgan.bench.table import NOT_ADAPTED, SEEDS, Column, OwnTable, Row
from fewshotgan.gans import SEVERAL

Values = Callable[[], list[float]]
GENERATED = 500
METRICS = ("kmmd_efficientnet", "mv_efficientnet", "sharpness", "fd_efficientnet")
RATE = ("learning_rate", 0.0005)
NOFT, FULL = Row("minegan-noft", (RATE,)), Row("minegan", (RATE,))
RANDOM, UNIFORM = Row("minegan-noft", (RATE, ("miner", "random"))), Row("minegan", (RATE, ("selector", "uniform")))
ROWS = {"TransferGAN": Row("transfergan", (RATE,)), "BSA": Row("bsa"), "MineGAN (w/o FT)": NOFT, "MineGAN": FULL}
ON, OFF = "fashion/dress", "fashion/sandal"
SIZES = (25, 100, 1000)
RATIOS = (10, 30, 50, 70, 90)
TWO = SEVERAL.join(("fashion-wgan-sneaker", "fashion-wgan-dress"))
# two are near sandals, two are far
FOUR = SEVERAL.join(f"fashion-wgan-{name}" for name in ("sneaker", "ankle-boot", "dress", "trouser"))


def _column(label: str, gan: str, images: str, n: int, iterations: int = 200) -> Column:
    return Column(label, gan, images, n, iterations, GENERATED)


def _sizes(where: str, images: str) -> tuple[Column, ...]:
    return tuple(_column(f"{where}, {n}", "fashion-wgan", images, n) for n in SIZES)


ON_SIZES, OFF_SIZES = _sizes("on manifold", ON), _sizes("off manifold", OFF)
LOOSE = {"BSA, latent weight 0.001": Row("bsa", (("latent_weight", 0.001),))}
CONTROLS = {"source, not adapted": Row(NOT_ADAPTED), "control: MineGAN (w/o FT), random miner": RANDOM}


def _equalised(row: Row) -> Row:
    """Return a row for StyleGAN2, whose rate is the methods' default."""
    return Row(row.method, tuple(option for option in row.options if option != RATE))


TABLE1 = OwnTable(
    "minegan-table1",
    "MineGAN's table 1 at our scale: 25 images of a class that the source has seen (dress) and of one that it has not "
    "(sandal)",
    "minegan",
    ("table-1",),
    {**ROWS, **LOOSE, **CONTROLS},
    (ON_SIZES[0], OFF_SIZES[0]),
    METRICS,
)
AVATARS = OwnTable(
    "minegan-avatars",
    "MineGAN's table 1 on avatars: 25 images of the source's own style and of another",
    "minegan",
    (),
    {label: _equalised(row) for label, row in {**ROWS, **CONTROLS}.items()},
    (
        _column("on manifold, 25", "avatars-stylegan2", "avatars/personas", 25),
        _column("off manifold, 25", "avatars-stylegan2", "avatars/miniavs", 25),
    ),
    METRICS,
)
BY_SIZE = OwnTable(
    "minegan-sizes",
    "MineGAN's experiment i: target sets of 25 to 1,000 images (figure 2 has 100)",
    "minegan",
    (),
    ROWS,
    ON_SIZES + OFF_SIZES,
    METRICS[:3],
)
BY_LENGTH = OwnTable(
    "bsa-iterations",
    "BSA by the number of iterations, each cell a run of its own: "
    "25 images of a class that the source has not seen (sandal)",
    "minegan",
    (),
    {"BSA": ROWS["BSA"], **LOOSE},
    tuple(_column(f"{count:,} iterations", "fashion-wgan", OFF, 25, count) for count in (200, 1000, 5000)),
    METRICS,
)
CONDITIONAL = OwnTable(
    "minegan-conditional",
    "MineGAN's experiment iii: a class-conditional source and 500 images of a class, no labels",
    "minegan",
    (),
    {"TransferGAN": ROWS["TransferGAN"], "MineGAN (w/o FT)": NOFT, "MineGAN": FULL},
    (_column("on manifold, 500", "fashion-sngan", ON, 500), _column("off manifold, 500", "fashion-sngan", OFF, 500)),
    METRICS,
)
MIXED = OwnTable(
    "minegan-two",
    "MineGAN's experiment iv: two GANs, 200 images of which a part lies on the manifold of each; "
    "selector_0 is the weight of the first",
    "minegan",
    (),
    {"MineGAN (w/o FT)": NOFT, "MineGAN": FULL, "control: uniform selector": UNIFORM},
    tuple(_column(f"{r} % sneakers", TWO, f"{r}% fashion/sneaker, {100 - r}% fashion/dress", 200, 300) for r in RATIOS),
    ("selector_0", "kmmd_efficientnet"),
)
OF_FOUR = OwnTable(
    "minegan-four",
    "MineGAN's experiment v: four GANs, sneakers (0), ankle boots (1), dresses (2), trousers (3), "
    "of which two are far from the target",
    "minegan",
    (),
    {"MineGAN": FULL},
    (_column("sandals", FOUR, OFF, 200, 300), _column("pullovers", FOUR, "fashion/pullover", 200, 300)),
    ("selector_0", "selector_1", "selector_2", "selector_3", "kmmd_efficientnet"),
)
NEAR = {"sandals": (0, 1), "pullovers": (2, 3)}


def weights(column: Column, parts: tuple[int, ...], of: Callable[[list[float]], float] = fmean) -> list[float]:
    """Return the mean (or `of`, such as `min`) of the weights of some of four GANs, a seed each."""
    found = [scores(FULL, column, f"selector_{part}") for part in parts]
    return [of([one[seed] for one in found]) for seed in found[0]]


def correlations(row: Row) -> list[float]:
    """Return, a seed each, the correlation over the ratios of a GAN's weight and its part of the target images."""
    by_ratio = [scores(row, column, "selector_0") for column in MIXED.columns]
    shared = set.intersection(*(set(found) for found in by_ratio))
    return [correlation(RATIOS, [found[seed] for found in by_ratio]) for seed in sorted(shared)]


def _of_table1(own: OwnTable, column: Column) -> list[Claim]:
    """Return what table 1 claims of a target, on (the first column) or off the manifold."""
    transfer, bsa, mined, full = (own.rows[label] for label in ROWS)
    random, found = own.rows["control: MineGAN (w/o FT), random miner"], []
    kmmd, mv, sharp = (partial(values, column=column, metric=metric) for metric in METRICS[:3])

    def claim(paper: str, text: str, lower: Values, higher: Values, tie: bool = False) -> None:
        found.append(
            Claim(paper, f"{text}, {column.images} ({column.label}, {column.gan})", own.name, lower, higher, tie)
        )

    claim(
        "minegan",
        "MineGAN is best or tied in KMMD",
        kmmd(full),
        partial(best, [transfer, bsa, mined], column, METRICS[0]),
        True,
    )
    least = partial(best, [transfer, bsa, mined], column, METRICS[1])
    claim("minegan", "MineGAN is best or tied in MV (nearest to 1, that of real images)", mv(full), least, True)
    for label, rival in (("TransferGAN", transfer), ("BSA", bsa)):
        if column is own.columns[0]:
            text = f"without fine-tuning MineGAN is on par with {label} or better in KMMD"
            claim("minegan", text, kmmd(mined), kmmd(rival), True)
        else:
            claim("minegan", f"without fine-tuning MineGAN falls behind {label} in KMMD", kmmd(rival), kmmd(mined))
    claim("minegan", "control: a random miner loses to a trained one in KMMD", kmmd(mined), kmmd(random))
    for label, row in ((label, row) for label, row in own.rows.items() if row.method == "bsa"):
        claim("bsa", f"{label} does not collapse: its MV is nearer to 1 than TransferGAN's", mv(row), mv(transfer))
        claim("bsa", f"{label} is blurrier than TransferGAN", sharp(row), sharp(transfer))
    return found


def _of_several() -> list[Claim]:
    """Return what is claimed of classes, of two GANs and of four."""
    found = []

    def claim(text: str, own: OwnTable, lower: Values, higher: Values) -> None:
        found.append(Claim("minegan", text, own.name, lower, higher))

    for column in CONDITIONAL.columns:
        kmmd = partial(values, column=column, metric=METRICS[0])
        text = f"mined classes beat the mean class: MineGAN against TransferGAN in KMMD, {column.images}"
        claim(text, CONDITIONAL, kmmd(FULL), kmmd(ROWS["TransferGAN"]))
    for label in ("MineGAN (w/o FT)", "MineGAN"):
        follow = partial(correlations, ROWS[label])
        claim(
            f"two GANs: weights follow the mixture, with a correlation above 0.9, {label}",
            MIXED,
            _constant(0.9),
            follow,
        )
    for column in MIXED.columns:
        kmmd = partial(values, column=column, metric=METRICS[0])
        if column is not MIXED.columns[len(RATIOS) // 2]:  # where uniform is right
            claim(f"control: a uniform selector loses in KMMD, {column.label}", MIXED, kmmd(FULL), kmmd(UNIFORM))
    for column in OF_FOUR.columns:
        near = NEAR[column.label]
        far = tuple(part for part in range(4) if part not in near)
        of_far, of_near, least = (partial(weights, column, *parts) for parts in ((far,), (near,), (far, min)))
        claim(f"four GANs: the far ones get less weight, {column.label}", OF_FOUR, of_far, of_near)
        claim(
            f"four GANs: the far ones get some weight, above one percent each, {column.label}",
            OF_FOUR,
            _constant(0.01),
            least,
        )
    return found


def _constant(value: float) -> Values:
    """Return what reads a bar for a claim, as if three seeds had it."""
    return lambda: [value] * len(SEEDS)


TABLES = (TABLE1, AVATARS, BY_SIZE, BY_LENGTH, CONDITIONAL, MIXED, OF_FOUR)
CLAIMS = [
    claim for own in (TABLE1, AVATARS) for column in own.columns for claim in _of_table1(own, column)
] + _of_several()
