"""Record what is missing in our tables (`fewshotgan.bench.tables`): hand jobs to an engine, write what comes home."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import NoReturn

from filelock import FileLock, Timeout
from tqdm import tqdm

from fewshotgan.bench import ledger
from fewshotgan.bench.engines import Engine, open_engine
from fewshotgan.bench.results import score
from fewshotgan.bench.runner import Job, Result, Work, execute, file_digest
from fewshotgan.bench.schema import Entry
from fewshotgan.bench.table import CONTROLS, SEEDS, cell_metrics, cell_spec, is_here
from fewshotgan.bench.tables import get_table
from fewshotgan.files import UserError, atomic_write, cache_dir, check_folder
from fewshotgan.progress import hidden

TRIES = 3  # of a job whose worker dies
BAR = "{percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} runs [{elapsed}{postfix}]"


def table_jobs(name: str, seeds: tuple[int, ...] = SEEDS) -> list[Job]:
    """Return the jobs of a table: one seed of every cell first, then the next seed; equal ones once. A cell whose
    source does not ship has none.

    Raises:
        UserError: if there is no such table.
    """
    own, found = get_table(name), dict[tuple[str, int], Job]()
    for seed in seeds:
        for column in own.columns:
            for row in (row for row in own.rows.values() if is_here(row, column)):
                job = Job(cell_spec(row, column, seed), cell_metrics(own, row, column), column.generated)
                found.setdefault((job.spec.key, job.generated), job)
    return list(found.values())


def record(
    name: str,
    *,
    missing: bool = True,
    rescore: bool = False,
    seeds: tuple[int, ...] = SEEDS,
    minutes: float | None = None,
    engine: str = "local",
    workers: int = 1,
    work: Work = execute,
    say: Callable[[str], None] = tqdm.write,
) -> int:
    """Train and measure the cells of a table, and write each as it finishes; return how many were.

    Safe to stop at any moment (what is finished is kept) and to run several times side by side (each cell is run once).
    Training takes one thread for each run, so that equal specs give equal bits on equal processors; several runs at a
    time take several workers. A terminal shows a progress bar.

    Args:
        name: of the table.
        missing: only what the ledger doesn't have; otherwise all cells anew, and the new lines count.
        rescore: measure recorded runs and train no others; of a run whose GAN is no longer in the cache the training
            is repeated.
        seeds: which seeds.
        minutes: begin nothing that would not end by then, judged by the median of like runs in the ledger.
        engine: "local" (this machine, by joblib), "dask" or "ray".
        workers: runs at a time.
        work: what turns a job into a result.
        say: told of each run.

    Raises:
        UserError: if there is no such table or engine, the ledger or the cache can't be written, or a run fails for
            another reason than a collapse; what is under way is then finished and written first.
    """
    todo = table_jobs(name, seeds)
    ledger.check_ledger()
    for folder in (_claims(), ledger.kept_path("").parent):
        check_folder(folder)
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    with (
        open_engine(engine, workers) as opened,
        tqdm(total=len(todo), bar_format=BAR, dynamic_ncols=True, disable=hidden()) as bar,
    ):
        return Recorder(opened, workers, missing, rescore, deadline, work, say, bar).record(todo)


@dataclass
class Recorder:
    """The one that hands out jobs and writes results.

    Attributes:
        engine, workers, missing, rescore, deadline, work, say, bar: see `record`.
        flying: jobs under way.
        claims: what keeps other recorders from the same runs, by key; they end with this process too.
        tries: of jobs whose worker died, by key.
        fault: what a job failed with; no other is begun then.
        done: how many were written.
    """

    engine: Engine
    workers: int
    missing: bool
    rescore: bool
    deadline: float | None
    work: Work
    say: Callable[[str], None]
    bar: "tqdm[NoReturn]"
    flying: dict[Future[Result], Job] = field(default_factory=dict)
    claims: dict[str, FileLock] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    fault: BaseException | None = None
    done: int = 0

    def record(self, todo: list[Job]) -> int:
        """Do what is due; return how much was done."""
        due = self.due(todo)
        try:
            while self.fill(due):
                for future in wait(self.flying, return_when=FIRST_COMPLETED).done:
                    self.land(future)
        finally:
            for claim in self.claims.values():
                claim.release()
        if self.fault is not None:
            raise self.fault
        self.bar.set_postfix_str("")
        return self.done

    def fill(self, due: Iterator[Job]) -> bool:
        """Give every free worker a job; return whether any is under way."""
        while self.fault is None and len(self.flying) < self.workers and (job := next(due, None)):
            self.flying[self.engine.submit(self.work, job)] = job
        return bool(self.flying)

    def land(self, future: "Future[Result]") -> None:
        """Write what has come home; a job whose worker died is handed in again."""
        job, error = self.flying.pop(future), future.exception()
        if isinstance(error, self.engine.lost):
            self.tries[job.spec.key] += 1
            if self.tries[job.spec.key] < TRIES:
                self.flying[self.engine.submit(self.work, job)] = job
                return
            error = UserError(f"{job}: the worker died {TRIES} times ({error}); give it more memory, or fewer workers.")
        if error is None:
            self.write(future.result())
        self.fault = self.fault or error
        self.claims.pop(job.spec.key).release()

    def due(self, todo: list[Job]) -> Iterator[Job]:
        """Yield what is to be done, claimed, until time is up."""
        for place, job in enumerate(todo):
            if self.deadline is not None and time.monotonic() + self.expected(job) > self.deadline:
                return
            claim = FileLock(_claims() / job.spec.key, timeout=0, thread_local=False)
            try:
                claim.acquire()
            except Timeout:
                continue
            if not self.lacking(job):  # only now: another recorder may have just written it
                claim.release()
                continue
            self.claims[job.spec.key] = claim
            left = sum(self.expected(later) for later in todo[place:] if self.lacking(later))
            self.bar.n = place
            self.bar.set_postfix_str(f"{' '.join(str(job).split())}; {tqdm.format_interval(left)} left for one worker")
            yield self.prepared(job)
        self.bar.n = len(todo)

    def lacking(self, job: Job) -> tuple[str, ...]:
        """Return the metrics that are to be measured of a job; none if it isn't due."""
        entry = ledger.read_runs().get(job.spec.key)
        if entry is None:
            return () if self.rescore else job.metrics
        if entry.status == "failed" and (self.missing or self.rescore):
            return ()
        if not self.missing:
            return job.metrics
        return tuple(m for m in job.metrics if score(entry.key, m, job.generated, job.spec.seed) is None)

    def prepared(self, job: Job) -> Job:
        """Return a due job as a worker is handed it: to be measured alone, if that is enough."""
        entry = ledger.read_runs().get(job.spec.key)
        if entry is None or not (self.missing or self.rescore):
            return job
        kept = _kept(entry)
        if kept is None and job.spec.method not in CONTROLS:
            return job
        return replace(job, metrics=self.lacking(job), recorded=True, kept=kept)

    def expected(self, job: Job) -> float:
        """Return the seconds that a job takes: the median of the same method and source, or else of all; one slow run
        says little.
        """
        entries = ledger.read_runs()
        measured_only = self.rescore or (self.missing and job.spec.key in entries)
        alike = [e for e in entries.values() if (e.spec.gan, e.spec.method) == (job.spec.gan, job.spec.method)]
        costs = [e.seconds.all - measured_only * e.seconds.training for e in alike or entries.values()]
        return median(costs or [0.0])

    def write(self, result: Result) -> None:
        """Write what has come home: the GAN first, so that a recorded run has one."""
        key = result.job.spec.key
        if result.gan is not None:
            with atomic_write(ledger.kept_path(key)) as temporary:
                temporary.write_bytes(result.gan)
        if result.samples is not None:
            ledger.save_samples(key, result.samples)
        if result.entry is not None:
            ledger.add_run(result.entry)
        ledger.add_scores(result.scores)
        self.done += 1
        found = ", ".join(f"{score.metric} {score.value:.4g}" for score in result.scores)
        failed = result.entry is not None and result.entry.status == "failed"
        self.say(f"{result.job}: {result.entry.reason if failed and result.entry else found}")


def _kept(entry: Entry) -> bytes | None:
    """Return the file of a run's GAN; None if it is gone, or another than the one that was recorded."""
    path = ledger.kept_path(entry.key)
    content = path.read_bytes() if path.is_file() else None
    return content if content and file_digest(content) == entry.gan_file else None


def _claims() -> Path:
    return cache_dir() / "claims"
