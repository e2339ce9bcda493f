"""Published tables, our ledger beside them, and the verdict on each claim. The two kinds of number never share a
cell.
"""

import json
import tomllib
from functools import cache
from statistics import fmean, stdev
from textwrap import fill
from typing import Any

from fewshotgan.bench.results import OLD, is_old, scores, shown_runs
from fewshotgan.bench.table import BUDGET, CONTROLS, NOT_ADAPTED, SEEDS, Column, OwnTable, Row, shots_text
from fewshotgan.bench.tables import CLAIMS, TABLES
from fewshotgan.files import UserError, data_dir

Paper = dict[str, Any]
NOT_RUN = "not run"
OLD_CELL = " (old)"
DISTANCES = ("fd_efficientnet", "fid", "kmmd_efficientnet")  # to real images: the smaller the better
# what is measured of the source too
OF_SOURCE = (*DISTANCES, "intra_lpips_efficientnet", "mv_efficientnet", "sharpness")
# of the rest, larger values are better
BETTER = {"mv_efficientnet": "real images have 1", "sharpness": "real images have 1"}


@cache
def papers() -> dict[str, Paper]:
    """Return what data/papers holds: {key: paper with its published tables}."""
    loaded = [
        tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted((data_dir() / "papers").glob("*.toml"))
    ]
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
    raise UserError(
        f"{paper} has no table {table!r}; it has {', '.join(t['id'] for t in papers()[paper]['table']) or 'none'}."
    )


def cell_text(row: Row, column: Column, metric: str) -> str:
    """Return a cell as printed: mean ± standard deviation (seeds), or what else there is to say."""
    if row.method == NOT_ADAPTED and metric not in OF_SOURCE:
        return "-"
    values = list(scores(row, column, metric, old=True).values())
    failed = sum(entry.status == "failed" for entry in shown_runs(row, column).values())
    parts = [f"{failed} failed"] if failed else []
    digits = 0 if metric in ("fd_efficientnet", "fid") else 3
    if len(values) == 1:
        parts.insert(0, f"{values[0]:.{digits}f} (1 seed)")
    elif values:
        parts.insert(0, f"{fmean(values):.{digits}f} ± {stdev(values):.{digits}f} ({len(values)} seeds)")
    return (", ".join(parts) + (OLD_CELL if is_old(row, column) else "")) if parts else NOT_RUN


def render(headers: list[str], rows: list[list[str]]) -> str:
    """Return a table of fixed-width text."""
    widths = [max(len(row[i]) for row in [headers, *rows]) for i in range(len(headers))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [headers, *rows]
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def render_published(paper: str, table: str) -> str:
    """Return a published table as text, with what is to be known of its source beneath."""
    entry = published(paper, table)
    metrics = "/".join(entry["metrics"])
    rows = [[label, *values] for label, values in entry["rows"].items()]
    found = papers()[paper]
    head = f"published: {found['title']}, {found['venue']}, {entry['id']} ({metrics}; {entry['better']})"
    notes = "".join(f"\n{fill(place['note'], 140)}" for place in (papers()[paper], entry) if "note" in place)
    return f"{head}\n{entry['caption']}\n{render(['', *entry['columns']], rows)}{notes}"


def render_own(own: OwnTable) -> str:
    """Return a table of ours as text: the ledger's cells and the protocol beneath."""
    blocks = []
    for metric in own.metrics:
        better = "lower is better" if metric in DISTANCES else BETTER.get(metric, "higher is better")
        blocks.append(metric if metric.startswith("selector") else f"{metric} ({better})")
        for gan in dict.fromkeys(column.gan for column in own.columns):
            chosen = [column for column in own.columns if column.gan == gan]
            rows = [
                [_head(label, row), *(cell_text(row, column, metric) for column in chosen)]
                for label, row in own.rows.items()
            ]
            blocks.append(render([gan, *(column.label for column in chosen)], rows))
    trained = [row for row in own.rows.values() if row.method not in CONTROLS]
    iterations = "/".join(
        map(str, sorted({row.iterations or column.iterations for row in trained for column in own.columns}))
    )
    budget = ", ".join(
        f"{value} {key}" if key != "augment" else str(value)
        for key, value in {**BUDGET, "iterations": iterations}.items()
    )
    head = f"ours, from the ledger: {own.name}"
    generated = "/".join(f"{each:,}" for each in sorted({column.generated for column in own.columns}))
    same = (
        "where D judges"
        if all(row.augment == BUDGET["augment"] for row in own.rows.values())
        else "where a row names no other"
    )
    foot = f"{budget} {same}; {generated} generated against held-out real images; mean ± standard deviation over seeds"
    if any(row.method == NOT_ADAPTED for row in own.rows.values()):
        foot += " (of the source, which is not trained, over samples)"
    foot += f"; {shots_text(own)}"
    if any(is_old(row, column) for row in own.rows.values() for column in own.columns):
        foot += f"\n{OLD_CELL.strip()}: {OLD}"
    return "\n".join([head, own.caption, "\n\n".join(blocks), foot])


def provenance(own: OwnTable) -> str:
    """Return which runs a picture of a table is made of, in a line; it changes when one is added or run anew."""
    cells = [(row, column) for row in own.rows.values() for column in own.columns]
    dates = [entry.date for cell in cells for entry in shown_runs(*cell).values()]
    mark = f" ({OLD})" if any(is_old(*cell) for cell in cells) else ""
    last = f", the last of {max(dates)[:16].replace('T', ' ')} UTC" if dates else ""
    return f"from the ledger: {own.name}, {len(dates)} of {len(cells) * len(SEEDS)} runs{last}{mark}"


def _head(label: str, row: Row) -> str:
    """Return a row's label, with the number of iterations that was chosen for it."""
    return f"{label}, {row.iterations} iterations" if row.iterations else label


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


def claims() -> list[dict[str, Any]]:
    """Return every claim: [{"paper", "claim", "verdict", "seeds"}]."""
    return [{"paper": c.paper, "claim": c.statement, "verdict": c.verdict(), "seeds": c.seeds()} for c in CLAIMS]


def claims_json() -> str:
    """Return `claims()` as JSON."""
    return json.dumps(claims(), indent=2, ensure_ascii=False)
