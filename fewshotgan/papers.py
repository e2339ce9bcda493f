"""Published tables, our ledger beside them, and the verdict on each claim. The two kinds of number never share a cell."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from statistics import fmean, stdev
from typing import Any

from fewshotgan import ledger
from fewshotgan.files import UserError, data_dir
from fewshotgan.record import BUDGET, NOT_ADAPTED, RIVALS, SEEDS, TABLES, TARGETS, Column, OwnTable, Row, cell_spec

Paper = dict[str, Any]
ENOUGH_SEEDS = 3
NOT_RUN = "not run"
DISTANCES = ("fd_efficientnet", "fid")  # to real images: the smaller the better, and the source has one too


@cache
def papers() -> dict[str, Paper]:
    """Return what data/papers holds: {key: paper with its published tables}."""
    loaded = [tomllib.loads(path.read_text()) for path in sorted((data_dir() / "papers").glob("*.toml"))]
    return {paper["key"]: paper for paper in loaded}


def published(paper: str, table: str) -> dict[str, Any]:
    """Return one published table.

    Raises:
        UserError: if there is no such paper or table.
    """
    if paper not in papers():
        raise UserError(f"There is no paper {paper!r}; there are {', '.join(papers())}.")
    for entry in papers()[paper]["table"]:
        if entry["id"] == table:
            return entry
    raise UserError(f"{paper} has no table {table!r}; it has {', '.join(t['id'] for t in papers()[paper]['table']) or 'none'}.")


def runs(row: Row, column: Column) -> dict[int, ledger.Entry]:
    """Return the recorded runs of a cell by seed."""
    entries = ledger.read()
    found = {seed: entries.get(ledger.spec_key(cell_spec(row, column, seed))) for seed in SEEDS}
    return {seed: entry for seed, entry in found.items() if entry}


def scores(row: Row, column: Column, metric: str = "fd_efficientnet") -> dict[int, float]:
    """Return the recorded values of a cell by seed; failed runs have none."""
    found = runs(row, column).items()
    return {seed: entry["metrics"][metric] for seed, entry in found if entry["status"] == "ok" and metric in entry["metrics"]}


def cell_text(row: Row, column: Column, metric: str) -> str:
    """Return a cell as printed: mean ± standard deviation (seeds), or what else there is to say."""
    if row.method == NOT_ADAPTED and metric not in DISTANCES:
        return "-"
    values = list(scores(row, column, metric).values())
    failed = sum(entry["status"] == "failed" for entry in runs(row, column).values())
    parts = [f"{failed} failed"] if failed else []
    digits = 0 if metric in DISTANCES else 3
    if len(values) == 1:
        parts.insert(0, f"{values[0]:.{digits}f} (1 seed)")
    elif values:
        parts.insert(0, f"{fmean(values):.{digits}f} ± {stdev(values):.{digits}f} ({len(values)} seeds)")
    return ", ".join(parts) or NOT_RUN


def render(headers: list[str], rows: list[list[str]]) -> str:
    """Return a table of fixed-width text."""
    widths = [max(len(row[i]) for row in [headers, *rows]) for i in range(len(headers))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [headers, *rows]]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def render_published(paper: str, table: str) -> str:
    """Return a published table as text."""
    entry = published(paper, table)
    metrics = "/".join(entry["metrics"])
    rows = [[label, *values] for label, values in entry["rows"].items()]
    head = f"published: {papers()[paper]['title']}, {papers()[paper]['venue']}, {entry['id']} ({metrics}; {entry['better']})"
    return f"{head}\n{entry['caption']}\n{render(['', *entry['columns']], rows)}"


def render_own(own: OwnTable) -> str:
    """Return a table of ours as text: the ledger's cells and the protocol beneath."""
    blocks = []
    for metric in own.metrics:
        better = "lower is better" if metric in DISTANCES else "higher is better"
        blocks.append(f"{metric} ({better})")
        for gan in dict.fromkeys(column.gan for column in own.columns):
            chosen = [column for column in own.columns if column.gan == gan]
            rows = [[label, *(cell_text(row, column, metric) for column in chosen)] for label, row in own.rows.items()]
            blocks.append(render([gan, *(column.label for column in chosen)], rows))
    budget = ", ".join(f"{value} {key}" if key != "augment" else str(value) for key, value in BUDGET.items())
    head = f"ours, from the ledger: {own.name}"
    foot = f"{budget} for every method; 1,000 generated against held-out real images; mean ± standard deviation over seeds"
    if any(row.method == NOT_ADAPTED for row in own.rows.values()):
        foot += " (of the source, which is not trained, over samples)"
    return "\n".join([head, own.caption, "\n\n".join(blocks), foot])


def render_table(name: str) -> str:
    """Return a table as text: a name of ours ("transfergan-table2": published, ours, verdicts), or "paper/table".

    Raises:
        UserError: if there is no such table.
    """
    if name in TABLES:
        own = TABLES[name]
        verdicts = [f"{claim.verdict():<14} {claim.statement}" for claim in CLAIMS if claim.table == name]
        claimed = ["claims\n" + "\n".join(verdicts)] if verdicts else []
        parts = [*(render_published(own.paper, table) for table in own.published), render_own(own), *claimed]
        return "\n\n".join(parts)
    if "/" in name:
        return render_published(*name.split("/", 1))
    raise UserError(f"There is no table {name!r}; there are {', '.join(tables())}.")


def tables() -> dict[str, str]:
    """Return all tables: {name: caption}, ours first."""
    ours = {name: own.caption for name, own in TABLES.items()}
    return ours | {f"{key}/{t['id']}": t["caption"] for key, paper in papers().items() for t in paper["table"]}


@dataclass(frozen=True)
class Claim:
    """A sentence that can fail.

    Attributes:
        paper: whose claim it is.
        statement: the sentence.
        table: of ours that decides it.
        lower, higher: return the values, a seed each, of which the first must be the smaller.
        tie: whether overlapping intervals do as well ("best or tied").
    """

    paper: str
    statement: str
    table: str
    lower: Callable[[], list[float]]
    higher: Callable[[], list[float]]
    tie: bool = False

    def seeds(self) -> int:
        """Return how many seeds both sides have."""
        return min(len(self.lower()), len(self.higher()))

    def verdict(self) -> str:
        """Return "holds", "does not hold", or "undecided" (fewer than three seeds, or overlapping intervals)."""
        return judge(self.lower(), self.higher(), self.tie)


def judge(lower: list[float], higher: list[float], tie: bool = False) -> str:
    """Compare intervals of one standard deviation about the means; `tie`: whether an overlap is enough."""
    if min(len(lower), len(higher)) < ENOUGH_SEEDS:
        return "undecided"
    (low, low_by), (high, high_by) = ((fmean(values), stdev(values)) for values in (lower, higher))
    if low + low_by < high - high_by:
        return "holds"
    if low - low_by > high + high_by:
        return "does not hold"
    return "holds" if tie else "undecided"


def gains(column: Column) -> list[float]:
    """Return the relative gain from pretraining, 1 - FD(pre-trained) / FD(scratch), of each seed that has both."""
    transferred, scratch = scores(RIVALS["TransferGAN"], column), scores(Row("scratch"), column)
    return [1 - transferred[seed] / scratch[seed] for seed in transferred if seed in scratch]


def best(rows: list[Row], column: Column) -> list[float]:
    """Return the values, a seed each, of the row with the smallest mean; none unless every row has enough seeds."""
    found = [list(scores(row, column).values()) for row in rows]
    return min(found, key=fmean) if all(len(values) >= ENOUGH_SEEDS for values in found) else []


def _values(row: Row, column: Column, metric: str = "fd_efficientnet") -> Callable[[], list[float]]:
    return lambda: list(scores(row, column, metric).values())


def _transfergan_claims() -> list[Claim]:
    """Return what TransferGAN's table 2 claims."""
    sizes, found = TABLES["transfergan-table2"], []
    scratch, transferred = sizes.rows["From scratch"], sizes.rows["Pre-trained"]
    for column in sizes.columns:
        text = f"pretraining beats training from scratch: {column.images}, {column.n} images"
        found.append(Claim("transfergan", text, sizes.name, _values(transferred, column), _values(scratch, column)))
    for images in dict.fromkeys(column.images for column in sizes.columns):
        few, *_, many = (column for column in sizes.columns if column.images == images)
        text = f"the gain from pretraining grows as the data shrinks: {images}, {few.n} against {many.n} images"
        found.append(Claim("transfergan", text, sizes.name, partial(gains, many), partial(gains, few)))
    return found


def _adaptation_claims() -> list[Claim]:
    """Return what FreezeD and AdAM claim of 10-shot adaptation, controls among them."""
    ten = TABLES["adaptation-10-shot"]
    rows, found = ten.rows, []

    def claim(paper: str, text: str, lower: str, higher: str, column: Column, metric: str = "fd_efficientnet") -> None:
        found.append(Claim(paper, text, ten.name, _values(rows[lower], column, metric), _values(rows[higher], column, metric)))

    for column in ten.columns:
        close = column.images in TARGETS[:2]
        where = f"10 images of {column.images} ({'close' if close else 'distant'})"
        claim("freezed", f"FreezeD beats plain fine-tuning, {where}", "FreezeD", "TransferGAN", column)
        claim("transfergan", f"control: the source as it is loses to fine-tuning, {where}", "TransferGAN", "source, not adapted", column)
        if close:
            for better in ("EWC", "CDC", "DCL", "AdAM"):
                for worse in ("TransferGAN", "FreezeD"):
                    claim("adam", f"{better} beats {worse}, {where}", better, worse, column)
        else:
            for worse in ("CDC", "DCL"):
                claim("adam", f"{worse} falls behind plain fine-tuning, {where}", "TransferGAN", worse, column)
        against = partial(best, list(RIVALS.values()), column)
        found.append(Claim("adam", f"AdAM is best or tied, {where}", ten.name, _values(rows["AdAM"], column), against, tie=True))
        for control in ("control: AdAM, random filters", "control: AdAM, importance reversed"):
            claim("adam", f"{control.replace('AdAM, ', '')} loses to AdAM, {where}", "AdAM", control, column)
        for diverse in ("CDC", "DCL"):
            text = f"{diverse} keeps more diversity (Intra-LPIPS) than plain fine-tuning, {where}"
            claim("adam", text, "TransferGAN", diverse, column, "intra_lpips_efficientnet")
    return found


CLAIMS: list[Claim] = [*_transfergan_claims(), *_adaptation_claims()]


def claims() -> list[dict[str, Any]]:
    """Return every claim: [{"paper", "claim", "verdict", "seeds"}]."""
    return [{"paper": c.paper, "claim": c.statement, "verdict": c.verdict(), "seeds": c.seeds()} for c in CLAIMS]


def claims_json() -> str:
    """Return `claims()` as JSON."""
    return json.dumps(claims(), indent=2, ensure_ascii=False)
