"""Run what is missing in our tables (`fewshotgan.bench.tables`) and append it to the ledger."""

import datetime
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch
from filelock import FileLock, Timeout
from joblib import Parallel, delayed
from tqdm import tqdm

from fewshotgan.bench import ledger
from fewshotgan.bench.table import BUDGET, FEW, NOT_ADAPTED, SEEDS, Row, Spec, cell_spec
from fewshotgan.bench.tables import get_table
from fewshotgan.files import UserError, cache_dir, check_folder
from fewshotgan.gans import SEVERAL, combine, load_gan
from fewshotgan.images import load_images
from fewshotgan.metrics.evaluation import default_metrics, evaluate, needs_met
from fewshotgan.metrics.metric import Need
from fewshotgan.run import CollapseError
from fewshotgan.session import adapt

PROFILE = "laptop"  # whose budget every cell has
SHOWN = 10  # samples of a run's first seed that are kept to be looked at


def specs(name: str, seeds: tuple[int, ...] = SEEDS) -> list[Spec]:
    """Return the specs of a table: one seed of every cell first, then the next seed; equal specs once."""
    own = get_table(name)
    every = [cell_spec(row, column, seed) for seed in seeds for column in own.columns for row in own.rows.values()]
    return list({ledger.spec_key(spec): spec for spec in every}.values())


def measured(spec: Spec, given: frozenset[Need]) -> list[str]:
    """Return the metrics of a run: those of all, those around few images, and those of MineGAN's and BSA's tables."""
    around = ["intra_lpips_efficientnet"] if spec.get("n", FEW + 1) <= FEW else []
    mining = ["kmmd_efficientnet", "mv_efficientnet", "sharpness"] if "mining" in spec else []
    weights = [f"selector_{i}" for i in range(spec["gan"].count(SEVERAL) + 1)] if "mixture" in given else []
    return [*default_metrics(given), *around, *mining, *weights]


def run_cell(spec: Spec) -> ledger.Entry:
    """Run one spec and return its ledger entry; held-out images are touched by the evaluation alone."""
    started = time.monotonic()
    gan = combine([load_gan(name) for name in spec["gan"].split(SEVERAL)])
    images = load_images(spec["images"], n=spec["n"]) if "n" in spec else None
    adapted, status, reason = gan, "ok", None
    if spec["method"] != NOT_ADAPTED:
        try:
            budget = {key: spec[key] for key in BUDGET}
            run = adapt(
                gan, images, spec["method"], seed=spec["seed"], progress=False, **budget, **spec.get("options", {})
            )
        except CollapseError as collapse:
            run, status, reason = collapse.run, "failed", str(collapse)
        adapted = run.gan
    trained = time.monotonic() - started
    count = {"n": spec["mining"]} if "mining" in spec else {}
    chosen = measured(spec, needs_met(adapted, images))
    scores = evaluate(adapted, spec["images"], metrics=chosen, seed=spec["seed"], train=images, **count)
    if spec["seed"] == SEEDS[0]:
        ledger.save_samples(spec, adapted.sample(SHOWN, seed=1))
    metrics = {name: round(value, 6) for name, value in scores.items() if name != "protocol"}
    return {
        "spec": spec,
        "profile": PROFILE,
        "metrics": metrics,
        "protocol": scores["protocol"],
        "status": status,
        "reason": reason,
        "gan_card": {key: gan.card.get(key) for key in ("images_seen", "date")},
        "device": _device(),
        "commit": _commit(),
        "seconds": {"training": round(trained, 1), "all": round(time.monotonic() - started, 1)},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def record(
    name: str,
    *,
    missing: bool = True,
    seeds: tuple[int, ...] = SEEDS,
    minutes: float | None = None,
    jobs: int = 1,
    runner: Callable[[Spec], ledger.Entry] = run_cell,
    say: Callable[[str], None] = tqdm.write,
) -> int:
    """Run the cells of a table and append each to the ledger as it finishes; return how many were run.

    Safe to stop at any moment (finished runs are kept) and to run several times side by side (each cell is run once). A
    terminal shows a progress bar over the cells, with the one that runs and the time that is left.

    Args:
        name: of the table.
        missing: only what the ledger doesn't have; otherwise all cells, whose first entries still count.
        seeds: which seeds.
        minutes: begin no run that would not end by then, judged by the median of like runs in the ledger.
        jobs: processes, one thread each.
        runner: what turns a spec into an entry.
        say: told of each run.

    Raises:
        UserError: if there is no such table, no process is to run, or nothing can be written into the cache.
    """
    if jobs < 1:
        raise UserError(f"jobs={jobs} processes can't run anything; give at least 1.")
    check_folder(_claims())
    todo = specs(name, seeds)
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    if jobs == 1:
        return _work(todo, missing, deadline, runner, say)
    work = delayed(_single_thread)
    return sum(Parallel(n_jobs=jobs)(work(todo, missing, deadline, runner, say, job == 0) for job in range(jobs)))


def _single_thread(*arguments: Any) -> int:
    torch.set_num_threads(1)
    return _work(*arguments)


def _work(
    todo: list[Spec],
    missing: bool,
    deadline: float | None,
    runner: Callable[[Spec], ledger.Entry],
    say: Callable[[str], None],
    shows: bool = True,
) -> int:
    """Take specs that nobody else has taken until none is left or time is up."""

    def is_due(spec: Spec) -> bool:
        return not missing or ledger.spec_key(spec) not in ledger.read()

    done = 0
    form = "{percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} runs [{elapsed}{postfix}]"
    # None: in a terminal alone
    with tqdm(total=len(todo), bar_format=form, dynamic_ncols=True, disable=None if shows else True) as bar:
        for place, spec in enumerate(todo):
            if deadline is not None and time.monotonic() + _expected(spec) > deadline:
                break
            with _claim(spec) as mine:
                if not mine or not is_due(spec):
                    continue
                row = Row(
                    spec["method"], tuple(spec.get("options", {}).items()), spec.get("augment", BUDGET["augment"])
                )
                what = f"{row!s:<24} {spec['images']:<20} n={spec.get('n', '-')!s:<5} seed {spec['seed']}"
                left = sum(_expected(later) for later in todo[place:] if is_due(later))
                bar.n = place
                bar.set_postfix_str(f"{' '.join(what.split())}; {tqdm.format_interval(left)} left for one process")
                entry = runner(spec)
                ledger.append(entry)
                done += 1
                score = ", ".join(f"{key} {value:.4g}" for key, value in entry["metrics"].items())
                say(f"{what}: {score} ({entry['status']})")
        else:
            bar.n = len(todo)
        bar.set_postfix_str("")
    return done


def _expected(spec: Spec) -> float:
    """Return the seconds that a run takes: the median of the same method and source, or else of all; one slow run
    says little.
    """
    entries = ledger.read().values()
    alike = [
        entry["seconds"]["all"]
        for entry in entries
        if all(entry["spec"].get(key) == spec[key] for key in ("gan", "method"))
    ]
    return median(alike or [entry["seconds"]["all"] for entry in entries] or [0.0])


def _claims() -> Path:
    return cache_dir() / "claims"


@contextmanager
def _claim(spec: Spec) -> Iterator[bool]:
    """Yield whether this process may run the spec; the claim ends with the block, or with the process."""
    lock = FileLock(_claims() / ledger.spec_key(spec), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU ({platform.machine()})"


def _commit() -> str | None:
    """Return the project's commit, if it is a checkout and git is there."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return result.stdout.strip() or None
