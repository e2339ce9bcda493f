"""10-shot adaptation: AdAM, the methods that it is measured against, its controls and its sweeps."""

from dataclasses import replace

from fewshotgan.bench.claims import Claim, Claims
from fewshotgan.bench.controls import CONTROL_ROWS, controls_lose, with_controls
from fewshotgan.bench.table import Column, OwnTable, Row, columns
from fewshotgan.bench.tables.ten_shot import METHODS, RANDOM, REVERSED, RIVALS
from fewshotgan.session import ITERATIONS

SHOTS = (1, 5, 10, 25, 100)
QUANTILES = (10, 25, 50, 75, 90)
LAMBDAS = (1.0, 1e2, 1e4, 1e6)
TARGETS = ("avatars/toon-head", "avatars/miniavs", "avatars/pixel-art", "avatars/thumbs")  # two close, two distant
ADAM = {label: METHODS[label] for label in ("AdAM", RANDOM, REVERSED)}
TEN = OwnTable(
    "adaptation-10-shot",
    "10-shot adaptation of avatars-stylegan2 to two close and two distant targets",
    "adam",
    ("close", "distant"),
    with_controls({"scratch": Row("scratch"), **RIVALS, "RICK": Row("rick"), "FSGAN": Row("fsgan"), **ADAM}),
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
        label: row if label in CONTROL_ROWS else replace(row, iterations=CHOSEN[row.method])
        for label, row in TEN.rows.items()
    },
    TEN.columns,
    TEN.metrics,
)
QUANTILE = OwnTable(
    "adam-quantile",
    "AdAM by the share of filters that are fine-tuned, 10 images of a close and of a distant target",
    "adam",
    (),
    with_controls(
        {f"AdAM, quantile {q}": ADAM["AdAM"] if q == 50 else Row("adam", (("quantile", q),)) for q in QUANTILES}
    ),
    tuple(Column(target, "avatars-stylegan2", target, 10) for target in TARGETS[1:3]),
)
BY_SHOTS = OwnTable(
    "adam-shots",
    "AdAM and plain fine-tuning by the number of target images, of a close and of a distant target",
    "adam",
    (),
    with_controls({"TransferGAN": RIVALS["TransferGAN"], "AdAM": ADAM["AdAM"]}),
    tuple(column for target in TARGETS[1:3] for column in columns("avatars-stylegan2", target, SHOTS)),
)
DEVELOPMENT = "avatars/adventurer"  # in no table that compares methods, and not far from the median distance
BY_WEIGHT = OwnTable(
    "rival-weights",
    "The rivals by the weight of what they add to the loss, on the development target: the choice of it",
    "adam",
    (),
    with_controls(
        {
            **{f"EWC, lambda {weight:g}": Row("ewc", (("weight", weight),)) for weight in LAMBDAS},
            "CDC, weight 100": Row("cdc", (("weight", 100.0),)),
            "CDC, weight 1000 (its code's)": RIVALS["CDC"],
            "CDC, weight 10000": Row("cdc", (("weight", 10000.0),)),
            "DCL, weights 0.2 and 0.05": Row("dcl", (("weight", 0.2), ("discriminator_weight", 0.05))),
            "DCL, weights 2 and 0.5 (as the paper is read)": RIVALS["DCL"],
            "DCL, weights 20 and 5": Row("dcl", (("weight", 20.0), ("discriminator_weight", 5.0))),
        }
    ),
    (Column(DEVELOPMENT, "avatars-stylegan2", DEVELOPMENT, 10),),
    TEN.metrics,
)
BY_ITERATIONS = OwnTable(
    "adam-iterations",
    "The methods by the number of iterations, each cell a run of its own, on a development target",
    "adam",
    (),
    with_controls({label: TEN.rows[label] for label in ("scratch", *RIVALS, "RICK", "FSGAN", "AdAM")}),
    tuple(
        Column(f"{count} iterations", "avatars-stylegan2", DEVELOPMENT, 10, count) for count in (125, 250, ITERATIONS)
    ),
)
PROGAN = tuple(
    OwnTable(
        f"adam-progan-{where}",
        f"10-shot adaptation of a second family, ProGAN, to two {where} targets",
        "adam",
        (published,),
        with_controls(
            {
                "TransferGAN": RIVALS["TransferGAN"],
                "TransferGAN, ADA instead of DiffAugment": Row("transfergan", augment="ada"),
                "EWC": RIVALS["EWC"],
                "AdAM": ADAM["AdAM"],
            }
        ),
        tuple(Column(target, "avatars-progan", target, 10) for target in targets),
        TEN.metrics,
    )
    for where, published, targets in (
        ("close", "progan-babies", TARGETS[:2]),
        ("distant", "progan-palace", TARGETS[2:]),
    )
)


def _claims(own: OwnTable, budget: str = "") -> list[Claim]:
    """Return what FreezeD and AdAM claim of 10-shot adaptation, controls among it, of a table with these rows."""
    freezed, transfergan, adam = (Claims(paper, own.name, own.rows) for paper in ("freezed", "transfergan", "adam"))
    found = []
    for kind, targets in (("close", own.columns[:2]), ("distant", own.columns[2:])):
        where = f"10 images of {kind} targets{budget}"
        found += [
            freezed.beats(f"FreezeD beats plain fine-tuning, {where}", "FreezeD", "TransferGAN", targets),
            controls_lose(freezed, "FreezeD", "FreezeD", where, targets),
            controls_lose(transfergan, "TransferGAN", "fine-tuning", where, targets),
            controls_lose(adam, "AdAM", "AdAM", where, targets),
            adam.beats(f"control: random filters lose to AdAM's choice, {where}", "AdAM", RANDOM, targets),
            adam.beats(f"control: the reversed choice of filters loses to AdAM's, {where}", "AdAM", REVERSED, targets),
            adam.ties(f"AdAM is best or tied, {where}", "AdAM", RIVALS, targets),
        ]
        if kind == "close":
            found += [
                adam.beats(f"{label} beats plain fine-tuning, {where}", label, "TransferGAN", targets)
                for label in ("EWC", "CDC", "DCL", "AdAM")
            ]
        else:
            found += [
                adam.beats(f"{label} falls behind plain fine-tuning, {where}", "TransferGAN", label, targets)
                for label in ("CDC", "DCL")
            ]
    text = "keeps more diversity (Intra-LPIPS) than plain fine-tuning, 10 images of all targets"
    for label in ("CDC", "DCL"):
        found.append(adam.beats(f"{label} {text}{budget}", label, "TransferGAN", own.columns, own.metrics[1]))
    return found


def _progan_claims() -> list[Claim]:
    """Return what AdAM claims of ProGAN: it is best, in distance and in diversity, and beats the controls."""
    found = []
    for own in PROGAN:
        write = Claims("adam", own.name, own.rows)
        rivals = [label for label in own.rows if label not in ("AdAM", *CONTROL_ROWS)]
        where = f"10 images of {own.name.rsplit('-', 1)[1]} targets, ProGAN"
        diverse = f"AdAM is best or tied in diversity (Intra-LPIPS), {where}"
        found += [
            write.ties(f"AdAM is best or tied, {where}", "AdAM", rivals, own.columns),
            write.ties(diverse, "AdAM", rivals, own.columns, own.metrics[1]),
            controls_lose(write, "AdAM", "AdAM", where, own.columns),
        ]
    return found


TABLES = (TEN, EACH_ITS_BEST, QUANTILE, BY_SHOTS, BY_WEIGHT, BY_ITERATIONS, *PROGAN)
CLAIMS = _claims(TEN) + _claims(EACH_ITS_BEST, ", chosen iterations") + _progan_claims()
