"""The tables that we fill ourselves: their cells as data, and the command that runs what is missing.

A run is a pure function of its spec. Cells of several tables that have one spec share one run.
"""

import datetime
import fcntl
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed

from fewshotgan import ledger
from fewshotgan.files import UserError, cache_dir
from fewshotgan.gans import load_gan, version
from fewshotgan.images import load_images
from fewshotgan.metrics import evaluate
from fewshotgan.metrics.evaluate import VERSION
from fewshotgan.profiles import PROFILES
from fewshotgan.train import CollapseError, adapt

Spec = dict[str, Any]
SEEDS = (0, 1, 2)
PROFILE = PROFILES["laptop"]
BUDGET = {"iterations": PROFILE.iterations, "batch": PROFILE.batch, "augment": "diffaugment"}  # the same for every method of every table
FEW = 10  # images, up to which Intra-LPIPS is measured
SHOWN = 10  # samples of a run's first seed that are kept to be looked at
NOT_ADAPTED = "none"  # the control: the source as it is


@dataclass(frozen=True)
class Row:
    """A row: a method and what of its options is not the default."""

    method: str
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        """Return the method and its options in words."""
        return " ".join([self.method, *(f"{key}={value}" for key, value in self.options)])


@dataclass(frozen=True)
class Column:
    """A column: images of a domain that a source is adapted to."""

    label: str
    gan: str
    images: str
    n: int


@dataclass(frozen=True)
class OwnTable:
    """A table of ours.

    Attributes:
        name: as typed.
        caption: one line.
        paper: key of the paper it mirrors, in data/papers.
        published: ids of that paper's tables, printed beside ours.
        rows: {label: row}.
        columns: what the methods are adapted to.
        metrics: printed in the cells, a block each.
    """

    name: str
    caption: str
    paper: str
    published: tuple[str, ...]
    rows: dict[str, Row]
    columns: tuple[Column, ...]
    metrics: tuple[str, ...] = ("fd_efficientnet",)


def _columns(gan: str, images: str, sizes: tuple[int, ...]) -> tuple[Column, ...]:
    return tuple(Column(f"{images} {n}", gan, images, n) for n in sizes)


SIZES = (10, 25, 100, 1000)
SHOTS = (1, 5, 10, 25, 100)
QUANTILES = (10, 25, 50, 75, 90)
TARGETS = ("avatars/toon-head", "avatars/miniavs", "avatars/pixel-art", "avatars/thumbs")  # two close, two distant
SOURCE = {"source, not adapted": Row(NOT_ADAPTED)}
ADAM = {
    "AdAM": Row("adam"),
    "control: AdAM, random filters": Row("adam", (("importance", "random"),)),
    "control: AdAM, importance reversed": Row("adam", (("importance", "reversed"),)),
}
RIVALS = {"TransferGAN": Row("transfergan"), "FreezeD": Row("freezed"), "EWC": Row("ewc"), "CDC": Row("cdc"), "DCL": Row("dcl")}
TABLES: dict[str, OwnTable] = {
    table.name: table
    for table in (
        OwnTable(
            "adaptation-10-shot",
            "10-shot adaptation of avatars-stylegan2 to two close and two distant targets",
            "adam",
            ("close", "distant"),
            {**SOURCE, "scratch": Row("scratch"), **RIVALS, "RICK": Row("rick"), "FSGAN": Row("fsgan"), **ADAM},
            tuple(Column(target, "avatars-stylegan2", target, 10) for target in TARGETS),
            ("fd_efficientnet", "intra_lpips_efficientnet"),
        ),
        OwnTable(
            "transfergan-table2",
            "TransferGAN's table 2 at our scale: target images from 10 to 1,000",
            "transfergan",
            ("table-2",),
            {**SOURCE, "From scratch": Row("scratch"), "Pre-trained": Row("transfergan")},
            _columns("avatars-stylegan2", "avatars/miniavs", SIZES) + _columns("fashion-stylegan2", "fashion/sandal", SIZES),
        ),
        OwnTable(
            "adam-quantile",
            "AdAM by the share of filters that are fine-tuned, 10 images of a close and of a distant target",
            "adam",
            (),
            {f"AdAM, quantile {q}": ADAM["AdAM"] if q == 50 else Row("adam", (("quantile", q),)) for q in QUANTILES},
            tuple(Column(target, "avatars-stylegan2", target, 10) for target in TARGETS[1:3]),
        ),
        OwnTable(
            "adam-shots",
            "AdAM and plain fine-tuning by the number of target images, of a close and of a distant target",
            "adam",
            (),
            {"TransferGAN": RIVALS["TransferGAN"], "AdAM": ADAM["AdAM"]},
            tuple(column for target in TARGETS[1:3] for column in _columns("avatars-stylegan2", target, SHOTS)),
        ),
    )
}


def cell_spec(row: Row, column: Column, seed: int) -> Spec:
    """Return the spec of one run; another source file of the same name, or another protocol, makes another spec: old runs don't count."""
    source = {"gan": column.gan, "gan_sha256": version(column.gan), "protocol": VERSION}
    spec = {**source, "images": column.images, "method": row.method, "seed": seed}
    options = {"options": dict(row.options)} if row.options else {}
    return spec if row.method == NOT_ADAPTED else {**spec, "n": column.n, **BUDGET, **options}


def table(name: str) -> OwnTable:
    """Return a table of ours.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in TABLES:
        raise UserError(f"There is no table {name!r} to record; there are {', '.join(TABLES)}.")
    return TABLES[name]


def specs(name: str, seeds: tuple[int, ...] = SEEDS) -> list[Spec]:
    """Return the specs of a table: one seed of every cell first, then the next seed; equal specs once."""
    own = table(name)
    every = [cell_spec(row, column, seed) for seed in seeds for column in own.columns for row in own.rows.values()]
    return list({ledger.spec_key(spec): spec for spec in every}.values())


def run_cell(spec: Spec) -> ledger.Entry:
    """Run one spec and return its ledger entry; held-out images are touched by the evaluation alone."""
    started = time.monotonic()
    gan = load_gan(spec["gan"])
    images, status, reason = None, "ok", None
    if spec["method"] != NOT_ADAPTED:
        images = load_images(spec["images"], n=spec["n"])
        try:
            budget = {key: spec[key] for key in BUDGET}
            run = adapt(gan, images, spec["method"], seed=spec["seed"], progress=False, **budget, **spec.get("options", {}))
        except CollapseError as collapse:
            run, status, reason = collapse.run, "failed", str(collapse)
        adapted = run.gan
    else:
        adapted = gan
    trained = time.monotonic() - started
    few = images is not None and len(images) <= FEW
    scores = evaluate(adapted, spec["images"], seed=spec["seed"], train=images, diversity=few)
    if spec["seed"] == SEEDS[0]:
        ledger.save_samples(spec, adapted.sample(SHOWN, seed=1))
    metrics = {name: round(value, 6) for name, value in scores.items() if name != "protocol"}
    return {
        "spec": spec, "profile": PROFILE.name, "metrics": metrics, "protocol": scores["protocol"], "status": status, "reason": reason,
        "gan_card": {key: gan.card.get(key) for key in ("images_seen", "date")}, "device": _device(), "commit": _commit(),
        "seconds": {"training": round(trained, 1), "all": round(time.monotonic() - started, 1)},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def record(
    name: str,
    *,
    missing: bool = True,
    seeds: tuple[int, ...] = SEEDS,
    minutes: float | None = None,
    jobs: int = 1,
    runner: Callable[[Spec], ledger.Entry] = run_cell,
    say: Callable[[str], None] = print,
) -> int:
    """Run the cells of a table and append each to the ledger as it finishes; return how many were run.

    Safe to stop at any moment (finished runs are kept) and to run several times side by side (each cell is run once).

    Args:
        name: of the table.
        missing: only what the ledger doesn't have; otherwise all cells, whose first entries still count.
        seeds: which seeds.
        minutes: begin no run that would not end by then, judged by the longest in the ledger.
        jobs: processes, one thread each.
        runner: what turns a spec into an entry.
        say: told of each run.

    Raises:
        UserError: if there is no such table.
    """
    todo = specs(name, seeds)
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    if jobs == 1:
        return _work(todo, missing, deadline, runner, say)
    return sum(Parallel(n_jobs=jobs)(delayed(_single_thread)(todo, missing, deadline, runner, say) for _ in range(jobs)))


def _single_thread(*arguments: Any) -> int:
    torch.set_num_threads(1)
    return _work(*arguments)


def _work(
    todo: list[Spec], missing: bool, deadline: float | None, runner: Callable[[Spec], ledger.Entry], say: Callable[[str], None]
) -> int:
    """Take specs that nobody else has taken until none is left or time is up."""
    done, longest = 0, max((entry["seconds"]["all"] for entry in ledger.read().values()), default=0.0)
    for spec in todo:
        if deadline is not None and time.monotonic() + longest > deadline:
            break
        with _claim(spec) as mine:
            if not mine or (missing and ledger.spec_key(spec) in ledger.read()):
                continue
            started = time.monotonic()
            entry = runner(spec)
            ledger.append(entry)
            longest = max(longest, time.monotonic() - started)
            done += 1
            score = ", ".join(f"{key} {value:.4g}" for key, value in entry["metrics"].items())
            what = Row(spec["method"], tuple(spec.get("options", {}).items()))
            say(f"{what!s:<24} {spec['images']:<20} n={spec.get('n', '-')!s:<5} seed {spec['seed']}: {score} ({entry['status']})")
    return done


@contextmanager
def _claim(spec: Spec) -> Iterator[bool]:
    """Yield whether this process may run the spec; the claim ends with the block, or with the process."""
    folder = cache_dir() / "claims"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ledger.spec_key(spec), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU ({platform.machine()})"


def _commit() -> str | None:
    """Return the project's commit, if it is a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip() or None
