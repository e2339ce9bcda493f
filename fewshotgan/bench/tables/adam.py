"""10-shot adaptation: AdAM, the methods that it is measured against, its controls and its sweeps."""

from dataclasses import replace
from functools import partial

from fewshotgan.bench.claims import Claim, best, values
from fewshotgan.bench.table import NOT_ADAPTED, Column, OwnTable, Row, columns
from fewshotgan.session import ITERATIONS

SHOTS = (1, 5, 10, 25, 100)
QUANTILES = (10, 25, 50, 75, 90)
LAMBDAS = (1.0, 1e2, 1e4, 1e6)
LAMBDA = 100.0  # of EWC in all tables: the best of those on the development target
TARGETS = ("avatars/toon-head", "avatars/miniavs", "avatars/pixel-art", "avatars/thumbs")  # two close, two distant
SOURCE = {"source, not adapted": Row(NOT_ADAPTED)}
ADAM = {
    "AdAM": Row("adam"),
    "control: AdAM, random filters": Row("adam", (("importance", "random"),)),
    "control: AdAM, importance reversed": Row("adam", (("importance", "reversed"),)),
}
EWC = Row("ewc", (("weight", LAMBDA),))
RIVALS = {
    "TransferGAN": Row("transfergan"),
    "FreezeD": Row("freezed"),
    "EWC": EWC,
    "CDC": Row("cdc"),
    "DCL": Row("dcl"),
}
TEN = OwnTable(
    "adaptation-10-shot",
    "10-shot adaptation of avatars-stylegan2 to two close and two distant targets",
    "adam",
    ("close", "distant"),
    {**SOURCE, "scratch": Row("scratch"), **RIVALS, "RICK": Row("rick"), "FSGAN": Row("fsgan"), **ADAM},
    tuple(Column(target, "avatars-stylegan2", target, 10) for target in TARGETS),
    ("fd_efficientnet", "intra_lpips_efficientnet"),
)
# iterations: the best of those on the development target (`BY_ITERATIONS`); AdAM's controls train as long as AdAM
CHOSEN = {
    "scratch": 500, "transfergan": 125, "freezed": 125, "ewc": 250, "cdc": 500, "dcl": 500, "rick": 250,
    "fsgan": 250, "adam": 250,
}  # fmt: skip
EACH_ITS_BEST = OwnTable(
    "adaptation-10-shot-chosen",
    "10-shot adaptation of avatars-stylegan2, "
    "each method with the number of iterations that was its best on a development target",
    "adam",
    TEN.published,
    {
        **SOURCE,
        **{
            label: replace(row, iterations=CHOSEN[row.method]) for label, row in TEN.rows.items() if label not in SOURCE
        },
    },
    TEN.columns,
    TEN.metrics,
)
QUANTILE = OwnTable(
    "adam-quantile",
    "AdAM by the share of filters that are fine-tuned, 10 images of a close and of a distant target",
    "adam",
    (),
    {f"AdAM, quantile {q}": ADAM["AdAM"] if q == 50 else Row("adam", (("quantile", q),)) for q in QUANTILES},
    tuple(Column(target, "avatars-stylegan2", target, 10) for target in TARGETS[1:3]),
)
BY_SHOTS = OwnTable(
    "adam-shots",
    "AdAM and plain fine-tuning by the number of target images, of a close and of a distant target",
    "adam",
    (),
    {"TransferGAN": RIVALS["TransferGAN"], "AdAM": ADAM["AdAM"]},
    tuple(column for target in TARGETS[1:3] for column in columns("avatars-stylegan2", target, SHOTS)),
)
DEVELOPMENT = "avatars/adventurer"  # in no table that compares methods, and not far from the median distance
BY_WEIGHT = OwnTable(
    "rival-weights",
    "The rivals by the weight of what they add to the loss, on the development target: the choice of it",
    "adam",
    (),
    {
        **{f"EWC, lambda {weight:g}": Row("ewc", (("weight", weight),)) for weight in LAMBDAS},
        "CDC, weight 100": Row("cdc", (("weight", 100.0),)),
        "CDC, weight 1000 (its code's)": RIVALS["CDC"],
        "CDC, weight 10000": Row("cdc", (("weight", 10000.0),)),
        "DCL, weights 0.2 and 0.05": Row("dcl", (("weight", 0.2), ("discriminator_weight", 0.05))),
        "DCL, weights 2 and 0.5 (as the paper is read)": RIVALS["DCL"],
        "DCL, weights 20 and 5": Row("dcl", (("weight", 20.0), ("discriminator_weight", 5.0))),
    },
    (Column(DEVELOPMENT, "avatars-stylegan2", DEVELOPMENT, 10),),
    TEN.metrics,
)
BY_ITERATIONS = OwnTable(
    "adam-iterations",
    "The methods by the number of iterations, each cell a run of its own, on a development target",
    "adam",
    (),
    {label: TEN.rows[label] for label in ("scratch", *RIVALS, "RICK", "FSGAN", "AdAM")},
    tuple(
        Column(f"{count} iterations", "avatars-stylegan2", DEVELOPMENT, 10, count) for count in (125, 250, ITERATIONS)
    ),
)
PROGAN = tuple(
    OwnTable(
        f"adam-progan-{where}",
        f"10-shot adaptation of a second family, ProGAN, to a {where} target",
        "adam",
        (published,),
        {
            "TransferGAN": RIVALS["TransferGAN"],
            "TransferGAN, ADA instead of DiffAugment": Row("transfergan", augment="ada"),
            "EWC": RIVALS["EWC"],
            "AdAM": ADAM["AdAM"],
        },
        (Column(target, "avatars-progan", target, 10),),
        TEN.metrics,
    )
    for where, published, target in (("close", "progan-babies", TARGETS[1]), ("distant", "progan-palace", TARGETS[2]))
)


def _claims(own: OwnTable, budget: str = "") -> list[Claim]:
    """Return what FreezeD and AdAM claim of 10-shot adaptation, controls among them, of a table with these rows."""
    rows, found = own.rows, []

    def claim(paper: str, text: str, lower: str, higher: str, column: Column, metric: str = "fd_efficientnet") -> None:
        found.append(
            Claim(paper, text, own.name, values(rows[lower], column, metric), values(rows[higher], column, metric))
        )

    for column in own.columns:
        close = column.images in TARGETS[:2]
        where = f"10 images of {column.images} ({'close' if close else 'distant'}){budget}"
        claim("freezed", f"FreezeD beats plain fine-tuning, {where}", "FreezeD", "TransferGAN", column)
        claim(
            "transfergan",
            f"control: the source as it is loses to fine-tuning, {where}",
            "TransferGAN",
            "source, not adapted",
            column,
        )
        if close:
            for better in ("EWC", "CDC", "DCL", "AdAM"):
                for worse in ("TransferGAN", "FreezeD"):
                    claim("adam", f"{better} beats {worse}, {where}", better, worse, column)
        else:
            for worse in ("CDC", "DCL"):
                claim("adam", f"{worse} falls behind plain fine-tuning, {where}", "TransferGAN", worse, column)
        against = partial(best, [rows[label] for label in RIVALS], column)
        found.append(
            Claim("adam", f"AdAM is best or tied, {where}", own.name, values(rows["AdAM"], column), against, tie=True)
        )
        for control in ("control: AdAM, random filters", "control: AdAM, importance reversed"):
            claim("adam", f"{control.replace('AdAM, ', '')} loses to AdAM, {where}", "AdAM", control, column)
        for diverse in ("CDC", "DCL"):
            text = f"{diverse} keeps more diversity (Intra-LPIPS) than plain fine-tuning, {where}"
            claim("adam", text, "TransferGAN", diverse, column, "intra_lpips_efficientnet")
    return found


def _progan_claims() -> list[Claim]:
    """Return what AdAM claims of ProGAN: it is best, in distance and in diversity."""
    found = []
    for own in PROGAN:
        (column,) = own.columns
        *rivals, adam = own.rows.values()
        where = f"10 images of {column.images}, ProGAN"
        against = partial(best, rivals, column)
        found.append(Claim("adam", f"AdAM is best or tied, {where}", own.name, values(adam, column), against, tie=True))
        diversity = partial(best, rivals, column, own.metrics[1], largest=True)
        text = f"AdAM is best or tied in diversity (Intra-LPIPS), {where}"
        found.append(Claim("adam", text, own.name, diversity, values(adam, column, own.metrics[1]), tie=True))
    return found


TABLES = (TEN, EACH_ITS_BEST, QUANTILE, BY_SHOTS, BY_WEIGHT, BY_ITERATIONS, *PROGAN)
CLAIMS = _claims(TEN) + _claims(EACH_ITS_BEST, ", chosen iterations") + _progan_claims()
