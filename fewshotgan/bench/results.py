"""What the ledger holds of a cell: its runs by seed, and their scores at the present version of a metric.

Old runs (`schema.OldRun`) are shown where no new one exists, and decide nothing: only a caller that says `old=True`
gets them.
"""

from torch import Tensor

from fewshotgan.bench import ledger
from fewshotgan.bench.measure import metric_version
from fewshotgan.bench.schema import Entry, OldRun
from fewshotgan.bench.table import CONTROLS, FEW, SEEDS, Column, Row, cell_spec, is_here

OLD = "old source, one set of shots, threads unknown"


def runs(row: Row, column: Column) -> dict[int, Entry]:
    """Return the recorded runs of a cell by seed, failed ones among them."""
    if not is_here(row, column):
        return {}
    entries = ledger.read_runs()
    found = {seed: entries.get(cell_spec(row, column, seed).key) for seed in SEEDS}
    return {seed: entry for seed, entry in found.items() if entry}


def scores(row: Row, column: Column, metric: str = "fd_efficientnet", *, old: bool = False) -> dict[int, float]:
    """Return the recorded values of a cell by seed; failed runs have none.

    Args:
        row: of the cell.
        column: of the cell.
        metric: whose values.
        old: whether old runs stand in for a cell that has no new one: for display, never for a claim.
    """
    if old and is_old(row, column):
        found = old_runs(row, column).items()
        return {seed: run.metrics[metric] for seed, run in found if run.status == "ok" and metric in run.metrics}
    values = {
        seed: score(entry.key, metric, column.generated, seed)
        for seed, entry in runs(row, column).items()
        if entry.status == "ok"
    }
    return {seed: value for seed, value in values.items() if value is not None}


def score(run: str, metric: str, n_generated: int, seed: int) -> float | None:
    """Return the newest value of a metric at its present version; None if it has not been measured."""
    wanted = metric, metric_version(metric), n_generated, seed
    found = [
        each.value
        for each in ledger.read_scores().get(run, ())
        if (each.metric, each.version, each.n_generated, each.sample_seed) == wanted
    ]
    return found[-1] if found else None


def old_runs(row: Row, column: Column) -> dict[int, OldRun]:
    """Return the old runs of a cell by seed, whatever the source's weights are now."""
    known = ledger.read_old()
    found = {seed: known.get(_old_cell(row, column, seed)) for seed in SEEDS}
    return {seed: run for seed, run in found.items() if run}


def is_old(row: Row, column: Column) -> bool:
    """Return whether old runs are all that there is of a cell."""
    return not runs(row, column) and bool(old_runs(row, column))


def shown_runs(row: Row, column: Column) -> dict[int, Entry | OldRun]:
    """Return the runs of a cell that a reader is shown: the new ones, or else the old ones."""
    return {**runs(row, column)} or {**old_runs(row, column)}


def samples(row: Row, column: Column) -> Tensor | None:
    """Return what was kept of a cell's first seed: images (N, 3, H, H), -1..1, of the latents of seed 1; None if
    nothing was.
    """
    new = ledger.read_samples(cell_spec(row, column, SEEDS[0]).key) if is_here(row, column) else None
    old = old_runs(row, column).get(SEEDS[0])
    return ledger.read_samples(old.samples) if new is None and old and old.samples else new


def _old_cell(row: Row, column: Column, seed: int) -> str:
    trains = row.method not in CONTROLS
    return OldRun(
        gan=row.gan or column.gan,
        images=column.images,
        n=column.n if trains or column.n <= FEW else None,
        method=row.method,
        options=dict(row.options),
        iterations=(row.iterations or column.iterations) if trains else None,
        augment=row.augment if trains else None,
        generated=column.generated,
        seed=seed,
        date="",
        metrics={},
    ).cell
