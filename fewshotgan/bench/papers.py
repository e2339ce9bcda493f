"""Published tables, our ledger beside them, and the verdict on each claim. The two kinds of number never share a
cell.
"""

import json
import tomllib
from collections.abc import Callable
from functools import cache
from statistics import fmean, stdev
from textwrap import fill
from typing import Any

from fewshotgan.bench.claims import Claim, Verdict, decide
from fewshotgan.bench.controls import LEGEND, marks
from fewshotgan.bench.results import OLD, is_old, scores, shown_runs
from fewshotgan.bench.table import BUDGET, CONTROLS, SEEDS, Column, OwnTable, Row, is_here, shots_text
from fewshotgan.bench.tables import CLAIMS, TABLES
from fewshotgan.files import UserError, data_dir
from fewshotgan.metrics import get_metric
from fewshotgan.progress import watched

Paper = dict[str, Any]
NOT_RUN = "not run"
OLD_CELL = " (old)"


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
    entries: list[dict[str, Any]] = papers()[paper]["table"]
    for entry in entries:
        if entry["id"] == table:
            return entry
    raise UserError(f"{paper} has no table {table!r}; it has {', '.join(t['id'] for t in entries) or 'none'}.")


def cell_text(row: Row, column: Column, metric: str) -> str:
    """Return a cell as printed: mean ± standard deviation (seeds), or what else there is to say."""
    measured = get_metric(metric)
    if row.method in CONTROLS and not measured.of_controls:
        return "-"
    values = list(scores(row, column, metric, old=True).values())
    failed = sum(entry.status == "failed" for entry in shown_runs(row, column).values())
    parts = [f"{failed} failed"] if failed else []
    if len(values) == 1:
        parts.insert(0, f"{measured.text(values[0])} (1 seed)")
    elif values:
        spread = f"{measured.text(fmean(values))} ± {measured.text(stdev(values))}"
        parts.insert(0, f"{spread} ({len(values)} seeds)")
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
    """Return a table of ours as text: the ledger's cells, and the protocol beneath."""
    blocks = [block for metric in own.metrics for block in _blocks(own, metric)]
    return "\n".join([f"ours, from the ledger: {own.name}", own.caption, "\n\n".join(blocks), _foot(own)])


def _blocks(own: OwnTable, metric: str) -> list[str]:
    """Return what a table has of a metric: its name, and the cells of each source."""
    words = get_metric(metric).words
    blocks = [f"{metric} ({words})" if words else metric]
    for gan in dict.fromkeys(column.gan for column in own.columns):
        chosen = [column for column in own.columns if column.gan == gan]
        rows = [
            [_head(label, row), *(cell_text(row, column, metric) + marks(row, column, metric) for column in chosen)]
            for label, row in watched(own.rows.items(), "cells")
        ]
        blocks.append(render([gan, *(column.label for column in chosen)], rows))
    return blocks


def _foot(own: OwnTable) -> str:
    """Return what a table's numbers are: the marks, the budget, the protocol and what is behind the deviations."""
    trained = [row for row in own.rows.values() if row.method not in CONTROLS]
    iterations = sorted({row.iterations or column.iterations for row in trained for column in own.columns})
    usual = all(row.augment == BUDGET["augment"] for row in trained)
    where = "where D judges" if usual else "where a row names no other"
    generated = "/".join(f"{each:,}" for each in sorted({column.generated for column in own.columns}))
    cells = [(row, column) for row in own.rows.values() for column in own.columns]
    old = any(is_old(*cell) for cell in cells)
    absent = dict.fromkeys(row.gan or column.gan for row, column in cells if not is_here(row, column))
    lines = [
        LEGEND,
        f"{'/'.join(map(str, iterations))} iterations, {BUDGET['batch']} batch, {BUDGET['augment']} {where}; "
        f"{generated} generated against held-out real images",
        f"mean ± standard deviation over {len(SEEDS)} seeds; ± covers the choice of shots: {shots_text(own)}",
        *([f"{OLD_CELL.strip()}: {OLD}"] if old else []),
        *([f"sources that are yet to be trained, whose cells can't be run: {', '.join(absent)}"] if absent else []),
    ]
    return "\n".join(lines)


def provenance(own: OwnTable) -> str:
    """Return which runs a picture of a table is made of, in a line; it changes when one is added or run anew."""
    cells = [(row, column) for row in own.rows.values() for column in own.columns]
    dates = [entry.date for cell in cells for entry in shown_runs(*cell).values()]
    mark = f" ({OLD})" if any(is_old(*cell) for cell in cells) else ""
    last = f", the last of {max(dates)[:16].replace('T', ' ')} UTC" if dates else ""
    return f"from the ledger: {own.name}, {len(dates)} of {len(cells) * len(SEEDS)} runs{last}{mark}"


def _head(label: str, row: Row) -> str:
    """Return a row's label, with the number of iterations that was chosen for it."""
    count = f"{row.iterations} iterations"
    return f"{label}, {count}" if row.iterations and count not in label else label


def render_table(name: str) -> str:
    """Return a table as text: a name of ours ("transfergan-table2": published, ours, verdicts), or "paper/table".

    Raises:
        UserError: if there is no such table.
    """
    if name in TABLES:
        own = TABLES[name]
        verdicts = render_claims(lambda claim: claim.table == name)
        claimed = [f"claims\n{verdicts}"] if verdicts else []
        parts = [*(render_published(own.paper, table) for table in own.published), render_own(own), *claimed]
        return "\n\n".join(parts)
    if "/" in name:
        return render_published(*name.split("/", 1))
    raise UserError(f"There is no table {name!r}; there are {', '.join(tables())}.")


def tables() -> dict[str, str]:
    """Return all tables: {name: caption}, ours first."""
    ours = {name: own.caption for name, own in TABLES.items()}
    return ours | {f"{key}/{t['id']}": t["caption"] for key, paper in papers().items() for t in paper["table"]}


def render_claims(chosen: Callable[[Claim], bool]) -> str:
    """Return claims and verdicts as text, a line each."""
    return "\n".join(f"{verdict}  {claim.statement}" for claim, verdict in verdicts().items() if chosen(claim))


def verdicts() -> dict[Claim, Verdict]:
    """Return every claim and its verdict; the correction is for all claims of a paper, whichever are printed."""
    return decide(CLAIMS)


def claims() -> list[dict[str, Any]]:
    """Return every claim: [{"paper", "claim", "table", "verdict", "pairs", "p"}]."""
    return [
        {"paper": claim.paper, "claim": claim.statement, "table": claim.table, "verdict": found.word,
         "pairs": found.pairs, "p": found.p}
        for claim, found in verdicts().items()
    ]  # fmt: skip


def claims_json() -> str:
    """Return `claims()` as JSON."""
    return json.dumps(claims(), indent=2, ensure_ascii=False)
