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
from statistics import correlation, fmean

from fewshotgan.bench.claims import Claim, Claims, smaller
from fewshotgan.bench.controls import controls_lose, with_controls
from fewshotgan.bench.results import scores
from fewshotgan.bench.table import Column, OwnTable, Row
from fewshotgan.gans import SEVERAL

GENERATED = 500
KMMD, MV = "kmmd_efficientnet", "mv_efficientnet"
METRICS = (KMMD, MV, "sharpness", "fd_efficientnet")
RATE = ("learning_rate", 0.0005)
NOFT, FULL = Row("minegan-noft", (RATE,)), Row("minegan", (RATE,))
RANDOM, UNIFORM = Row("minegan-noft", (RATE, ("miner", "random"))), Row("minegan", (RATE, ("selector", "uniform")))
ROWS = {"TransferGAN": Row("transfergan", (RATE,)), "BSA": Row("bsa"), "MineGAN (w/o FT)": NOFT, "MineGAN": FULL}
ON, OFF = "fashion/dress", "fashion/sandal"
ON_TOO, OFF_TOO = "fashion/trouser", "fashion/bag"
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
MINED_BY_CHANCE, UNIFORM_LABEL = "control: MineGAN (w/o FT), random miner", "control: uniform selector"
FOLLOWS, LEAST = 0.9, 0.01  # bars of the claims: a correlation, and a weight


def _equalised(row: Row) -> Row:
    """Return a row for StyleGAN2, whose rate is the methods' default."""
    return Row(row.method, tuple(option for option in row.options if option != RATE))


TABLE1 = OwnTable(
    "minegan-table1",
    "MineGAN's table 1 at our scale: 25 images of classes that the source has seen (dress, trouser) "
    "and of ones that it has not (sandal, bag)",
    "minegan",
    ("table-1",),
    with_controls({**ROWS, **LOOSE, MINED_BY_CHANCE: RANDOM}),
    (
        ON_SIZES[0],
        _column("on manifold (trouser), 25", "fashion-wgan", ON_TOO, 25),
        OFF_SIZES[0],
        _column("off manifold (bag), 25", "fashion-wgan", OFF_TOO, 25),
    ),
    METRICS,
)
AVATARS = OwnTable(
    "minegan-avatars",
    "MineGAN's table 1 on avatars: 25 images of the source's own style and of two others",
    "minegan",
    (),
    with_controls({label: _equalised(row) for label, row in {**ROWS, MINED_BY_CHANCE: RANDOM}.items()}),
    (
        _column("on manifold, 25", "avatars-stylegan2", "avatars/personas", 25),
        _column("off manifold, 25", "avatars-stylegan2", "avatars/miniavs", 25),
        _column("off manifold (toon-head), 25", "avatars-stylegan2", "avatars/toon-head", 25),
    ),
    METRICS,
)
BY_SIZE = OwnTable(
    "minegan-sizes",
    "MineGAN's experiment i: target sets of 25 to 1,000 images (figure 2 has 100)",
    "minegan",
    (),
    with_controls(ROWS),
    ON_SIZES + OFF_SIZES,
    METRICS[:3],
)
BY_LENGTH = OwnTable(
    "bsa-iterations",
    "BSA by the number of iterations, each cell a run of its own: "
    "25 images of a class that the source has not seen (sandal)",
    "minegan",
    (),
    with_controls({"BSA": ROWS["BSA"], **LOOSE}),
    tuple(_column(f"{count:,} iterations", "fashion-wgan", OFF, 25, count) for count in (200, 1000, 5000)),
    METRICS,
)
CONDITIONAL = OwnTable(
    "minegan-conditional",
    "MineGAN's experiment iii: a class-conditional source and 500 images of a class, no labels",
    "minegan",
    (),
    with_controls({"TransferGAN": ROWS["TransferGAN"], "MineGAN (w/o FT)": NOFT, "MineGAN": FULL}),
    (_column("on manifold, 500", "fashion-sngan", ON, 500), _column("off manifold, 500", "fashion-sngan", OFF, 500)),
    METRICS,
)
MIXED = OwnTable(
    "minegan-two",
    "MineGAN's experiment iv: two GANs, 200 images of which a part lies on the manifold of each; "
    "selector_0 is the weight of the first",
    "minegan",
    (),
    with_controls({"MineGAN (w/o FT)": NOFT, "MineGAN": FULL, UNIFORM_LABEL: UNIFORM}),
    tuple(_column(f"{r} % sneakers", TWO, f"{r}% fashion/sneaker, {100 - r}% fashion/dress", 200, 300) for r in RATIOS),
    ("selector_0", "kmmd_efficientnet"),
)
OF_FOUR = OwnTable(
    "minegan-four",
    "MineGAN's experiment v: four GANs, sneakers (0), ankle boots (1), dresses (2), trousers (3), "
    "of which two are far from the target",
    "minegan",
    (),
    with_controls({"MineGAN": FULL}),
    (_column("sandals", FOUR, OFF, 200, 300), _column("pullovers", FOUR, "fashion/pullover", 200, 300)),
    ("selector_0", "selector_1", "selector_2", "selector_3", "kmmd_efficientnet"),
)
NEAR = {"sandals": (0, 1), "pullovers": (2, 3)}


def weights(column: Column, parts: tuple[int, ...], of: Callable[[list[float]], float] = fmean) -> list[float]:
    """Return the mean (or `of`, such as `min`) of the weights of some of four GANs, a seed each."""
    found = [scores(FULL, column, f"selector_{part}") for part in parts]
    return [of([one[seed] for one in found]) for seed in found[0]]


def correlations(row: Row) -> list[float]:
    """Return, a seed each, the correlation over the ratios of a GAN's weight and its part of the target images.

    It is 0 where the weight never changes.
    """
    by_ratio = [scores(row, column, "selector_0") for column in MIXED.columns]
    shared = set.intersection(*(set(found) for found in by_ratio))
    weights = [[found[seed] for found in by_ratio] for seed in sorted(shared)]
    return [correlation(RATIOS, each) if len(set(each)) > 1 else 0.0 for each in weights]


def _of_table1() -> list[Claim]:
    """Return what table 1 claims of targets on and off the manifold, controls among it."""
    mine, found, noft = Claims("minegan", TABLE1.name, TABLE1.rows), [], "MineGAN (w/o FT)"
    for columns, where in ((TABLE1.columns[:2], "on manifold"), (TABLE1.columns[2:], "off manifold")):
        found += [
            mine.ties(f"MineGAN is best or tied in KMMD, {where}", "MineGAN", list(ROWS)[:3], columns, KMMD),
            mine.ties(f"MineGAN is best or tied in MV, {where}", "MineGAN", list(ROWS)[:3], columns, MV),
            mine.beats(
                f"control: a random miner loses to a trained one in KMMD, {where}", noft, MINED_BY_CHANCE, columns, KMMD
            ),
            controls_lose(mine, "MineGAN", "MineGAN in KMMD", where, columns, KMMD),
        ]
    for rival in ("TransferGAN", "BSA"):
        par, behind = (
            f"without fine-tuning MineGAN is on par with {rival} or better",
            f"without fine-tuning MineGAN falls behind {rival}",
        )
        found += [
            mine.ties(f"{par} in KMMD, on manifold", noft, [rival], TABLE1.columns[:2], KMMD),
            mine.beats(f"{behind} in KMMD, off manifold", rival, noft, TABLE1.columns[2:], KMMD),
        ]
    return found


def _of_avatars() -> list[Claim]:
    """Return what is claimed of two styles that the source has not seen."""
    mine, columns = Claims("minegan", AVATARS.name, AVATARS.rows), AVATARS.columns[1:]
    where = "avatars off the manifold"
    return [
        mine.ties(f"MineGAN is best or tied in KMMD, {where}", "MineGAN", list(ROWS)[:3], columns, KMMD),
        controls_lose(mine, "MineGAN", "MineGAN in KMMD", where, columns, KMMD),
    ]


def _of_bsa() -> list[Claim]:
    """Return what BSA claims: it does not collapse, it is blurrier, and beats the controls."""
    write, columns, found = Claims("bsa", TABLE1.name, TABLE1.rows), TABLE1.columns, []
    for label in ("BSA", *LOOSE):
        blurred = smaller(TABLE1.rows[label], TABLE1.rows["TransferGAN"], columns, "sharpness")
        found += [
            write.beats(
                f"{label} does not collapse: its MV is nearer to 1 than TransferGAN's, 25 images",
                label,
                "TransferGAN",
                columns,
                MV,
            ),
            Claim("bsa", f"{label} is blurrier than TransferGAN, 25 images", TABLE1.name, (blurred,)),
            controls_lose(write, label, f"{label} in KMMD", "25 images", columns, KMMD),
        ]
    return found


def _of_several() -> list[Claim]:
    """Return what is claimed of classes, of two GANs and of four."""
    classes, two = (Claims("minegan", own.name, own.rows) for own in (CONDITIONAL, MIXED))
    uneven = [column for column in MIXED.columns if column is not MIXED.columns[len(RATIOS) // 2]]
    mined = "mined classes beat the mean class: MineGAN against TransferGAN in KMMD"
    uniform = "control: a uniform selector loses in KMMD, wherever the mixture is not even"
    return [
        classes.beats(mined, "MineGAN", "TransferGAN", CONDITIONAL.columns, KMMD),
        two.beats(uniform, "MineGAN", UNIFORM_LABEL, uneven, KMMD),
        controls_lose(two, "MineGAN", "MineGAN in KMMD", "two GANs", MIXED.columns, KMMD),
        Claim(
            "minegan",
            f"two GANs: weights follow the mixture, with a correlation above {FOLLOWS}",
            MIXED.name,
            (lambda: [value - FOLLOWS for row in (NOFT, FULL) for value in correlations(row)],),
        ),
        Claim("minegan", "four GANs: the far ones get less weight", OF_FOUR.name, (_near_over_far,)),
        Claim("minegan", f"four GANs: the far ones get more than {LEAST:.0%} each", OF_FOUR.name, (_over_least,)),
    ]


def _near_over_far() -> list[float]:
    """Return by how much the mean weight of the near GANs exceeds that of the far ones, of each target and seed."""
    found = []
    for column in OF_FOUR.columns:
        sides = (weights(column, NEAR[column.label]), weights(column, _far(column)))
        found += [near - far for near, far in zip(*sides, strict=True)]
    return found


def _over_least() -> list[float]:
    """Return by how much the smaller weight of the far GANs exceeds the least, of each target and seed."""
    return [weight - LEAST for column in OF_FOUR.columns for weight in weights(column, _far(column), min)]


def _far(column: Column) -> tuple[int, ...]:
    return tuple(part for part in range(4) if part not in NEAR[column.label])


TABLES = (TABLE1, AVATARS, BY_SIZE, BY_LENGTH, CONDITIONAL, MIXED, OF_FOUR)
CLAIMS = _of_table1() + _of_avatars() + _of_bsa() + _of_several()
