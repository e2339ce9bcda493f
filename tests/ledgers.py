"""Ledgers and jobs that cost next to nothing, and work for engines: importable, so that any process can do it."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fewshotgan.bench import ledger
from fewshotgan.bench.measure import metric_version
from fewshotgan.bench.runner import Job, Result, execute
from fewshotgan.bench.schema import Entry, Score, Seconds, Spec
from fewshotgan.bench.table import Column, OwnTable, Row, cell_spec
from fewshotgan.metrics import METRICS

MARKS = "FEWSHOTGAN_TEST_MARKS"  # a folder: which process began which job
TINY = OwnTable(
    "tiny",
    "Three iterations of a tiny source, and its controls",
    "adam",
    (),
    {"tuned": Row("transfergan", (("learning_rate", 0.0005),)), "as it is": Row("none"), "shots": Row("replay")},
    (Column("sandals", "fashion-wgan", "fashion/sandal", 5, 3, 16),),
)

# what broke `claims`, `tables` and `record` once: valid JSON of another kind, in a file of runs
FOREIGN = [
    {"spec": {"gan": "avatars-stylegan2"}, "metrics": None, "status": "ok", "seconds": {"all": 1.0}},
    {"spec": {"gan": "avatars-stylegan2"}, "metrics": "fd", "status": "ok", "seconds": {"all": 1.0}},
    {"spec": {"gan": "avatars-stylegan2"}, "metrics": {"fd_efficientnet": float("nan")}, "status": "ok"},
    {"spec": {"gan": "avatars-stylegan2"}, "metrics": {"fd_efficientnet": 1.0}, "seconds": {"all": 1.0}},
    {"spec": None, "metrics": {"fd_efficientnet": 1.0}, "status": "ok", "seconds": {"all": 1.0}},
    {"spec": {"gan": "avatars-stylegan2"}, "metrics": {"fd_efficientnet": 1.0}, "status": "ok", "seconds": None},
    {"spec": {"gan": "avatars-stylegan2"}, "metrics": {}, "status": "ok", "seconds": {"all": "one"}},
    [],
    None,
]


def entry(spec: Spec, status: str = "ok", date: str = "2026-11-28T00:00:00+00:00", seconds: float = 1.0) -> Entry:
    """A run's line that nothing was computed for."""
    cost = Seconds(training=seconds, all=seconds)
    return Entry(key=spec.key, spec=spec, status=status, processor="none", versions={}, date=date, seconds=cost)


def made_up(job: Job) -> Result:
    """A job's result that nothing was computed for: each metric is 1."""
    counts = {"n_generated": job.generated, "n_real": 1000, "sample_seed": job.spec.seed}
    found = [Score(run=job.spec.key, metric=m, version=metric_version(m), value=1.0, **counts) for m in job.metrics]
    return Result(job, None if job.recorded else entry(job.spec), tuple(found))


def recorded(row: Row, column: Column, seed: int, metrics: dict[str, float], **fields) -> Spec:
    """Write a run of a cell and its scores into the ledger."""
    spec = cell_spec(row, column, seed)
    ledger.add_run(entry(spec, **fields))
    counts = {"n_generated": column.generated, "n_real": 1000, "sample_seed": seed}
    ledger.add_scores(
        Score(run=spec.key, metric=name, version=metric_version(name), value=value, **counts)
        for name, value in metrics.items()
    )
    return spec


def raise_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every metric a new version, as somebody does who changes how it is computed."""
    for name, metric in METRICS.items():
        monkeypatch.setitem(METRICS, name, replace(metric, version=metric.version + 1))


def mark(job: Job) -> int:
    """Write down that this process begins the job; return how many began it before."""
    began = Path(os.environ[MARKS], job.spec.key)
    began.mkdir(exist_ok=True)
    before = len(list(began.iterdir()))
    (began / f"{before}-{os.getpid()}").touch()
    return before


def began() -> dict[str, list[int]]:
    """Return the processes that began each job, in order, by key."""
    folders = sorted(Path(os.environ[MARKS]).iterdir())
    return {folder.name: [int(each.name.split("-")[1]) for each in sorted(folder.iterdir())] for folder in folders}


def wait_to_be_killed() -> None:
    """Stay until somebody kills this process."""
    while True:
        time.sleep(0.1)


def hang_once(job: Job) -> Result:
    """Do the job; hang in the first try of the second seed of what trains, halfway through the table."""
    if mark(job) == 0 and job.spec.method == "transfergan" and job.spec.seed == 1:
        wait_to_be_killed()
    return execute(job)


def hang(job: Job) -> Result:
    """Never come back."""
    mark(job)
    wait_to_be_killed()
    raise AssertionError


def die(job: Job) -> Result:
    """End the process, as the system does that runs out of memory."""
    mark(job)
    os._exit(137)
