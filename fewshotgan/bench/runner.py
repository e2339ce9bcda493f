"""Train one run and measure it: what a worker does, on this machine or another, on one thread."""

import datetime
import hashlib
import platform
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from fewshotgan import __version__
from fewshotgan.bench.measure import Measured, measure, metric_version
from fewshotgan.bench.schema import Entry, Score, Seconds, Spec
from fewshotgan.bench.table import CONTROLS, NOT_ADAPTED, REPLAY, SEEDS, digest_images, load_converted, load_source
from fewshotgan.files import UserError
from fewshotgan.gans import GAN, SEVERAL, load_gan, version
from fewshotgan.images import Images
from fewshotgan.run import CollapseError
from fewshotgan.session import adapt

SHOWN = 10  # samples of a run's first seed that are kept to be looked at


@dataclass(frozen=True)
class Job:
    """What a worker is handed.

    Attributes:
        spec: of the run.
        metrics: to be measured of it.
        generated: images that they are measured on.
        recorded: whether the run is in the ledger, so that it is only to be measured again.
        kept: the file of its adapted GAN, if it is still there.
    """

    spec: Spec
    metrics: tuple[str, ...]
    generated: int
    recorded: bool = False
    kept: bytes | None = None

    def __str__(self) -> str:
        """Return the run in words."""
        spec = self.spec
        return f"{spec.method:<16} {spec.images:<20} n={spec.n:<5} seed {spec.seed}"


@dataclass(frozen=True)
class Result:
    """What a worker hands back; the recorder writes it.

    Attributes:
        job: what was to be done.
        entry: the run's line; None if it was only measured.
        scores: what was measured; nothing of a run that failed.
        gan: the file of the adapted GAN, in half precision; None if nothing trained, or training collapsed.
        samples: images (10, C, H, W), -1..1, of the latents of seed 1, of the first seed of a trained run.
    """

    job: Job
    entry: Entry | None
    scores: tuple[Score, ...]
    gan: bytes | None = None
    samples: Tensor | None = None


Work = Callable[[Job], Result]


@dataclass(frozen=True)
class _Trained:
    """A sampler, and how it came about."""

    gan: GAN | Tensor
    reason: str | None = None
    file: bytes | None = None


def execute(job: Job) -> Result:
    """Do a job, on one thread; held-out images are touched by the evaluation alone.

    Raises:
        UserError: if this machine's source or images are not those of the spec.
        KeyboardInterrupt: if training was interrupted.
    """
    spec, started = job.spec, time.monotonic()
    with _threads(spec.threads):
        images = load_converted(spec.images, spec.size, spec.n, subset=spec.subset)
        check_same(spec, images)
        again = job.kept is not None or (job.recorded and spec.method in CONTROLS)
        made = _again(job, images) if again else _train(job, images)
        training = time.monotonic() - started
        measured = Measured({}, 0)
        if made.reason is None and job.metrics:
            measured = measure(made.gan, spec.images, job.metrics, job.generated, spec.seed, images)
        seconds = Seconds(training=round(training, 1), all=round(time.monotonic() - started, 1))
        shown = made.gan if isinstance(made.gan, GAN) and spec.seed == SEEDS[0] and not again else None
        return Result(
            job,
            None if again else _entry(spec, made, seconds),
            tuple(_scores(job, measured)),
            None if again else made.file,
            None if shown is None else shown.sample(SHOWN, seed=1),
        )


def check_same(spec: Spec, images: Images) -> None:
    """Raise one sentence if what lies on this machine is not what the spec was made of."""
    gan = SEVERAL.join(version(name) for name in spec.gan.split(SEVERAL)) if spec.gan else ""
    for what, here, wanted in (
        (spec.gan, gan, spec.gan_sha256),
        (spec.images, digest_images(images), spec.images_sha256),
    ):
        if here != wanted:
            raise UserError(
                f"{what} is another one on {platform.node()} ({here}) than where recording began ({wanted}); "
                "give both the same version of the project."
            )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let PyTorch compute on so many threads; the sums of several come out differently from run to run."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(job: Job, images: Images) -> _Trained:
    """Train, or make what a control measures."""
    spec = job.spec
    if spec.method == REPLAY:
        shots = images.tensor()
        return _Trained(shots[torch.arange(job.generated) % len(shots)])
    source = load_source(spec.gan)
    if spec.method == NOT_ADAPTED:
        return _Trained(source)
    try:
        run = adapt(
            source,
            images,
            spec.method,
            iterations=spec.iterations,
            batch=spec.batch,
            seed=spec.seed,
            augment=spec.augment,
            progress=False,
            device="cuda" if torch.cuda.is_available() else "cpu",  # what the entry names, and no other kind
            **cast(dict[str, Any], spec.options),
        )
    except CollapseError as collapse:
        return _Trained(collapse.run.gan, str(collapse))
    if not run.finished:
        raise KeyboardInterrupt
    gan = run.gan.to_half()  # what is measured is what is kept, so that measuring again gives the same numbers
    gan.card = {"summary": " ".join(str(job).split())}
    return _Trained(gan, file=_file(gan))


def _again(job: Job, images: Images) -> _Trained:
    """Return what was trained before, or what a control measures."""
    if job.kept is None:
        return _train(job, images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.safetensors"
        path.write_bytes(job.kept)
        return _Trained(load_gan(path))


def _file(gan: GAN) -> bytes:
    """Return the GAN as a file of half precision."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.safetensors"
        gan.save(path, torch.float16)
        return path.read_bytes()


def file_digest(content: bytes) -> str:
    """Return sixteen digits that stand for the content of a file."""
    return hashlib.sha256(content).hexdigest()[:16]


def _scores(job: Job, measured: Measured) -> Iterator[Score]:
    for metric, value in measured.values.items():
        yield Score(
            run=job.spec.key,
            metric=metric,
            version=metric_version(metric),
            n_generated=job.generated,
            n_real=measured.n_real,
            sample_seed=job.spec.seed,
            value=value,
        )


def _entry(spec: Spec, made: _Trained, seconds: Seconds) -> Entry:
    return Entry(
        key=spec.key,
        spec=spec,
        status="ok" if made.reason is None else "failed",
        reason=made.reason,
        gan_file=file_digest(made.file) if made.file else None,
        processor=_processor(),
        versions={"fewshotgan": __version__, "python": platform.python_version(), "torch": torch.__version__},
        commit=commit(Path(__file__).resolve().parents[2]),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seconds=seconds,
    )


@cache
def _processor() -> str:
    """Return what the run is computed on: the GPU, or the CPU's model with what PyTorch makes use of."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


@cache
def commit(root: Path) -> str | None:
    """Return the commit of the project at `root`, "+" behind it if the package has been changed since.

    None where the package lies outside a repository of its own, such as a wheel unpacked inside another one.
    """
    project = root / "pyproject.toml"
    if _git(root, "rev-parse", "--show-toplevel") != str(root) or not project.is_file():
        return None
    if tomllib.loads(project.read_text(encoding="utf-8")).get("project", {}).get("name") != "fewshotgan":
        return None
    head = _git(root, "rev-parse", "--short", "HEAD")
    return f"{head}+" if head and _git(root, "status", "--porcelain", "--", "fewshotgan") else head


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git says, or None if it refuses or isn't there."""
    try:
        result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return result.stdout.strip() or None if result.returncode == 0 else None
