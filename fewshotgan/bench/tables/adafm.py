"""AdaFM's tables at our scale: the grid of general parts, the ablation, the rivals, 1,000 images, and 25."""

from dataclasses import replace
from statistics import fmean

from fewshotgan.bench.claims import Claim, Claims
from fewshotgan.bench.controls import AS_IT_IS, REPEATED, controls_lose, with_controls
from fewshotgan.bench.results import scores, shown_runs
from fewshotgan.bench.table import Column, OwnTable, Row

SOURCE = "fashion-gp-resnet"
ITERATIONS = 300
# as the paper's G4D2 at 128 pixels: what is left to train of G makes 8 pixels, and D loses its first two groups
CHOICE = "G3D2"
# general groups of each network, from none to all: the convolution at the image, then the blocks at 32, 16, 8, 4 pixels
GROUPS = range(6)
FRESH = ("specific_from", "fresh")


def target(images: str, n: int, iterations: int = ITERATIONS, gan: str = SOURCE) -> Column:
    """Return the column of a target."""
    return Column(f"{images} {n}", gan, images, n, iterations)


LARGE = target("fashion/sandal", 1000)
SMALL = (target("fashion/bag", 100), target("fashion/sandal", 100), target("fashion/bag", 25))
THOUSAND = (LARGE, target("fashion/bag", 1000))
FEW = (target("fashion/sandal", 25), SMALL[2])
AVATARS = tuple(
    target(images, n, gan="avatars-gp-resnet")
    for images, n in (("avatars/toon-head", 1000), ("avatars/pixel-art", 100))
)
LENGTHS = (75, 150, ITERATIONS)

BATCH_NORMS = "fashion-wgan"  # of the same images as SOURCE, which has no statistics for BSA to bend
BSA = f"BSA ({BATCH_NORMS})"
LOOSE_BSA = f"{BSA}, latent weight 0.001"  # as in MineGAN's tables: for a budget as short as ours
GP_GAN = Row("layer_transfer", (("general", "G0D0"), FRESH))
OUR = Row("adafm")
SCRATCH = Row("smallhead", (("general_from", "scratch"), FRESH))
RANDOM = "control: G3D2, random"
RANDOM_ROW = Row("layer_transfer", (("general", CHOICE), ("general_from", "fresh"), FRESH))


def grid_row(general: str, rest: str = "fresh") -> Row:
    """Return the row of a general part, copied and frozen; the rest fresh, or from the "source" too."""
    return Row("layer_transfer", (("general", general), ("specific_from", rest)))


GRID = OwnTable(
    "layer-grid",
    f"Every general part GmDn of {SOURCE}, copied and frozen, the rest fresh",
    "adafm",
    (),
    with_controls({**{f"G{m}D{n}": grid_row(f"G{m}D{n}") for m in GROUPS for n in GROUPS}, RANDOM: RANDOM_ROW}),
    (LARGE,),
)
CROSS = OwnTable(
    "layer-grid-source",
    "The same, but the rest starts from the source too, as in the released code: a row and a column of the grid",
    "adafm",
    (),
    with_controls(
        {
            general: grid_row(general, "source")
            for general in dict.fromkeys([*(f"G{m}D2" for m in GROUPS), *(f"G3D{n}" for n in GROUPS), "G0D0", "G5D5"])
        }
    ),
    (LARGE,),
)


def _warm(general: str) -> str:
    return f"{general}, the rest from the source"


CHOICES = OwnTable(
    "layer-choice",
    "The general parts that the claims are about, on two large targets",
    "adafm",
    (),
    with_controls(
        {
            **{general: grid_row(general) for general in (CHOICE, "G0D0", "G3D0", "G0D2", "G5D2", "G3D5")},
            **{_warm(general): grid_row(general, "source") for general in (CHOICE, "G0D0", "G5D2")},
            RANDOM: RANDOM_ROW,
        }
    ),
    THOUSAND,
)
STEPS = {  # of the ablation; from (a) to (b) all that is not frozen starts from the source too
    "(a) GP-GAN": GP_GAN,
    "(b) GPHead": Row("gphead"),
    "(c) SmallHead": Row("smallhead"),
    "(d) Our": OUR,
    "control: Our, random filters": Row("adafm", (("general_from", "fresh"),)),
}
ABLATION = OwnTable(
    "adafm-table1",
    "AdaFM's ablation at our scale: two large targets and three small ones",
    "adafm",
    ("table-1",),
    with_controls(STEPS),
    THOUSAND + SMALL,
)


def fine_tuned(r1_gamma: float) -> Row:
    """Return TransferGAN's row, at the rate and the penalty of the methods that freeze (20 at 128 pixels, a quarter
    at half of them).
    """
    return Row("transfergan", (("learning_rate", 0.001), ("r1_gamma", r1_gamma)))


RIVALS = OwnTable(
    "adafm-table2",
    "AdaFM's table 2 at our scale: two large targets and three small ones",
    "adafm",
    ("table-2",),
    with_controls({"TransferGAN": fine_tuned(1.25), "Scratch": SCRATCH, "Our": OUR}),
    THOUSAND + SMALL,
)
ON_AVATARS = OwnTable(
    "adafm-avatars",
    "AdaFM's ablation and rivals on avatars of 64 pixels: "
    "a large target and a small one (there (d) is the rivals' Our)",
    "adafm",
    ("table-1", "table-2"),
    with_controls({"TransferGAN": fine_tuned(5.0), "Scratch": SCRATCH, **STEPS}),
    AVATARS,
)
LIMITED = OwnTable(
    "adafm-table3",
    "AdaFM's table 3 at our scale: 1,000 images, with more and more of D frozen",
    "adafm",
    ("table-3",),
    with_controls(
        {
            "Scratch": SCRATCH,
            "Our-G3D2": OUR,
            **{f"Our-G3D{n}": Row("adafm", (("general", f"G3D{n}"),)) for n in (3, 4)},
        }
    ),
    THOUSAND,
)
TWENTY_FIVE = OwnTable(
    "adafm-25",
    "25 images: AdaFM as it is, and in its setting for so few (all of D frozen but the last group, 4 latents, "
    "both penalties), beside "
    f"BSA, which needs batch norms: those of {BATCH_NORMS}",
    "adafm",
    (),
    with_controls(
        {
            "Scratch": SCRATCH,
            "Our": OUR,
            "Our, set for 25": Row(
                "adafm", (("general", "G3D4"), ("penalised", "both"), ("r1_gamma", 2.5), ("z_dim", 4))
            ),
            BSA: Row("bsa", gan=BATCH_NORMS),
            LOOSE_BSA: Row("bsa", (("latent_weight", 0.001),), gan=BATCH_NORMS),
        }
    ),
    FEW,
)
CURVES = OwnTable(
    "adafm-curves",
    "Distance against iterations, each cell a run of its own",
    "adafm",
    (),
    with_controls({"Scratch": SCRATCH, "SmallHead": Row("smallhead"), "Our": OUR}),
    tuple(replace(LARGE, label=f"{length} iterations", iterations=length) for length in LENGTHS),
)


def grid_means() -> list[list[float]]:
    """Return the grid's distances, mean over seeds, a row for each m and a column for each n; NaN where no run is or
    all collapsed.
    """
    found = [[list(scores(GRID.rows[f"G{m}D{n}"], LARGE, old=True).values()) for n in GROUPS] for m in GROUPS]
    return [[fmean(cell) if cell else float("nan") for cell in row] for row in found]


def grid_failures() -> list[list[str]]:
    """Return a star for each run of a cell of the grid that collapsed, laid out as `grid_means`."""
    found = [[shown_runs(GRID.rows[f"G{m}D{n}"], LARGE).values() for n in GROUPS] for m in GROUPS]
    return [["*" * sum(entry.status == "failed" for entry in cell) for cell in row] for row in found]


def curve_means() -> dict[str, tuple[list[int], list[float]]]:
    """Return {method: (iterations, mean distance over seeds)} of what is recorded of the curves."""
    found = {}
    for label, row in CURVES.rows.items():
        points = {column.iterations: list(scores(row, column, old=True).values()) for column in CURVES.columns}
        done = {length: fmean(cell) for length, cell in points.items() if cell}
        found[label] = list(done), list(done.values())
    return found


def _claims_of_layers() -> list[Claim]:
    """Return what is claimed of the general part, of both large targets."""
    write = Claims("adafm", CHOICES.name, CHOICES.rows)
    where = "1,000 images"
    return [
        write.beats(f"{text}, {where}", first, second, CHOICES.columns)
        for text, first, second in (
            ("copying the layers near the image helps: G3D2 beats G0D0", CHOICE, "G0D0"),
            ("copying those of G alone helps: G3D0 beats G0D0", "G3D0", "G0D0"),
            ("copying those of D alone helps: G0D2 beats G0D0", "G0D2", "G0D0"),
            ("copying too many of G hurts: G3D2 beats G5D2", CHOICE, "G5D2"),
            ("copying too many of D hurts: G3D2 beats G3D5", CHOICE, "G3D5"),
            ("where all starts from the source, freezing helps: G3D2 beats G0D0", _warm(CHOICE), _warm("G0D0")),
            (
                "where all starts from the source, freezing too much of G hurts: G3D2 beats G5D2",
                _warm(CHOICE),
                _warm("G5D2"),
            ),
            ("control: a random frozen part loses to the copied one", CHOICE, RANDOM),
            ("control: a random frozen part is worse than none", "G0D0", RANDOM),
            ("control: the source as it is loses to G3D2", CHOICE, AS_IT_IS),
        )
    ]


def _claims_of_steps() -> list[Claim]:
    """Return what the ablation claims, of both large targets and of the small ones, and on avatars of both."""
    found = []
    for own, columns, where in (
        (ABLATION, THOUSAND, "1,000 images"),
        (ABLATION, SMALL, "up to 100 images"),
        (ON_AVATARS, AVATARS, "avatars"),
    ):
        write = Claims("adafm", own.name, own.rows)
        random = "control: random filters, modulated, lose to the source's"
        found += [
            write.beats(f"copying filters helps: GPHead beats GP-GAN, {where}", "(b) GPHead", "(a) GP-GAN", columns),
            write.beats(f"modulation helps: Our beats SmallHead, {where}", "(d) Our", "(c) SmallHead", columns),
            write.beats(f"{random}, {where}", "(d) Our", "control: Our, random filters", columns),
            write.beats(f"control: the source as it is loses to Our, {where}", "(d) Our", AS_IT_IS, columns),
        ]
    write = Claims("adafm", ABLATION.name, ABLATION.rows)
    large = "with much data the small head is no gain: GPHead beats SmallHead, 1,000 images"
    small = "with little data the small head helps: SmallHead beats GPHead, up to 100 images"
    return [
        *found,
        write.beats(large, "(b) GPHead", "(c) SmallHead", THOUSAND),
        write.beats(small, "(c) SmallHead", "(b) GPHead", SMALL),
        write.beats("control: the shots repeated lose to Our, up to 100 images", "(d) Our", REPEATED, SMALL),
    ]


def _claims_of_rivals() -> list[Claim]:
    """Return what is claimed of TransferGAN, Scratch and BSA, and of the settings for few images."""
    found = []
    for own, our, columns, where in (
        (RIVALS, "Our", THOUSAND, "1,000 images"),
        (RIVALS, "Our", SMALL, "up to 100 images"),
        (ON_AVATARS, "(d) Our", AVATARS, "avatars"),
    ):
        write = Claims("adafm", own.name, own.rows)
        found += [
            write.beats(f"Our beats Scratch, {where}", our, "Scratch", columns),
            write.beats(f"Our beats TransferGAN, {where}", our, "TransferGAN", columns),
            write.beats(f"TransferGAN overfits and loses to Scratch, {where}", "Scratch", "TransferGAN", columns),
        ]
    limited = Claims("adafm", LIMITED.name, LIMITED.rows)
    text = "with more of D frozen, Our-G3D4 beats Our-G3D2, 1,000 images"
    few, our = Claims("adafm", TWENTY_FIVE.name, TWENTY_FIVE.rows), "Our, set for 25"
    return [
        *found,
        limited.beats(text, "Our-G3D4", "Our-G3D2", THOUSAND),
        few.beats("the setting for 25 images beats the common one, 25 images", our, "Our", FEW),
        *(few.beats(f"{our}, beats {rival}, 25 images", our, rival, FEW) for rival in (BSA, LOOSE_BSA)),
        controls_lose(few, our, our, "25 images", FEW),
    ]


TABLES = (GRID, CROSS, CHOICES, ABLATION, RIVALS, ON_AVATARS, LIMITED, TWENTY_FIVE, CURVES)
CLAIMS = _claims_of_layers() + _claims_of_steps() + _claims_of_rivals()
