"""The ledger: JSON lines, only ever appended to, in two steps.

`runs.jsonl` knows training alone, `scores.jsonl` what was measured of each run; a new version of a metric leaves every
run as it is. Of two lines with one key the later counts. Several processes may append at once. A line that is cut in
half or holds something else is skipped with one warning; the next append starts on a line of its own, so nothing else
is lost. Beside them lie `old.jsonl` (`schema.OldRun`) and samples of some runs as small pictures. The adapted GANs
themselves are kept in the cache, outside the repository.
"""

import os
import warnings
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from filelock import FileLock
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from fewshotgan.bench.schema import Entry, Line, OldRun, Score
from fewshotgan.files import UserError, atomic_write, cache_dir, clip, data_dir

Found = TypeVar("Found", bound=Line)
VARIABLE = "FEWSHOTGAN_LEDGER"
_warned: set[tuple[Path, str]] = set()


def ledger_path() -> Path:
    """Return the file of the runs: `$FEWSHOTGAN_LEDGER`, or the one that ships with the project.

    Raises:
        UserError: if the variable names a folder, a file in a folder that isn't there, or the file of the scores.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return data_dir() / "ledger" / "runs.jsonl"
    path = Path(given)
    if path.is_dir():
        raise UserError(f"{VARIABLE}={given} is a folder; name a file, such as {path / 'runs.jsonl'}.")
    if not path.parent.is_dir():
        raise UserError(f"{VARIABLE}={given} lies in a folder that isn't there; make {path.parent}, or mend the name.")
    if path.name in ("scores.jsonl", "old.jsonl"):
        raise UserError(f"{VARIABLE}={given} is not the file of the runs; name runs.jsonl beside it.")
    return path


def check_ledger() -> None:
    """Try whether the ledger can be written.

    Raises:
        UserError: if not; better before hours of work than after.
    """
    path = ledger_path()
    if not os.environ.get(VARIABLE) and not (data_dir().parent / "pyproject.toml").is_file():
        raise UserError(f"The ledger of an installed package is only read; set {VARIABLE} to a file of your own.")
    for file in (path, _beside("scores.jsonl")):
        _append(file, [])


def _beside(name: str) -> Path:
    return ledger_path().with_name(name)


def check_file(path: Path) -> None:
    """Raise one sentence if something else than a file has this name.

    Raises:
        UserError: if so.
    """
    if os.path.lexists(path) and not path.is_file():
        raise UserError(f"{clip(path)} is no file, as a ledger is; name another by {VARIABLE}, or move it away.")


def add_run(entry: Entry) -> None:
    """Add a run, on disk when this returns.

    Raises:
        UserError: if the ledger can't be written.
    """
    _append(ledger_path(), [entry])


def add_scores(scores: Iterable[Score]) -> None:
    """Add what was measured, on disk when this returns.

    Raises:
        UserError: if the ledger can't be written.
    """
    _append(_beside("scores.jsonl"), scores)


def _append(path: Path, lines: Iterable[Line]) -> None:
    text = "".join(f"{line.model_dump_json(exclude_defaults=True)}\n" for line in lines)
    check_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = Path(f"{path}.lock")
        lock.touch()  # where it can't be made, FileLock would wait for it for ever
        with FileLock(lock), open(path, "ab+") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            cut = end > 0 and file.read(1) != b"\n"
            if text:
                file.write((("\n" if cut else "") + text).encode())
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise UserError(
            f"The ledger {path} can't be written ({error.strerror or error}); "
            f"free some space, or name another file by {VARIABLE}."
        ) from error


def read_runs() -> Mapping[str, Entry]:
    """Return the runs by the key of their spec."""
    return _runs(*_state(ledger_path()))


def read_scores() -> Mapping[str, tuple[Score, ...]]:
    """Return what was measured, by the key of the run."""
    return _scores(*_state(_beside("scores.jsonl")))


def read_old() -> Mapping[str, OldRun]:
    """Return the old runs by their cell."""
    return _old(*_state(_beside("old.jsonl")))


def _state(path: Path) -> tuple[Path, int, int]:
    """Return a file with its size and the time of its last change; both 0 if it isn't there.

    Raises:
        UserError: if something else has its name.
    """
    check_file(path)
    state = path.stat() if path.is_file() else None
    return path, state.st_size if state else 0, state.st_mtime_ns if state else 0


# a table asks for each of its cells; an append changes the size
@lru_cache(maxsize=2)
def _runs(path: Path, _size: int, _changed: int) -> dict[str, Entry]:
    if not path.is_file():
        _warn_once(path, "", f"There is no ledger {clip(path)} yet, so no run counts; {VARIABLE} names it.")
    return {entry.key: entry for entry in _parse(path, Entry)}


@lru_cache(maxsize=2)
def _scores(path: Path, _size: int, _changed: int) -> dict[str, tuple[Score, ...]]:
    found: dict[str, list[Score]] = {}
    for score in _parse(path, Score):
        found.setdefault(score.run, []).append(score)
    return {run: tuple(scores) for run, scores in found.items()}


@lru_cache(maxsize=2)
def _old(path: Path, _size: int, _changed: int) -> dict[str, OldRun]:
    return {run.cell: run for run in _parse(path, OldRun)}


def _parse(path: Path, kind: type[Found]) -> list[Found]:
    """Return the valid lines of a file; warn of each other one, once in the life of a process."""
    found = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                found.append(kind.model_validate_json(line))
        except ValidationError as error:
            _warn_once(path, line, f"{path}, line {number} is skipped: {_reason(error)}.")
    return found


def _warn_once(path: Path, line: str, text: str) -> None:
    """Warn of a line, or of the whole file, once in the life of a process."""
    if (path, line) not in _warned:
        _warned.add((path, line))
        warnings.warn(text, stacklevel=5)


def _reason(error: ValidationError) -> str:
    """Return the first fault of a line."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def kept_path(key: str) -> Path:
    """Return where a run's adapted GAN is kept, in half precision."""
    return cache_dir() / "runs" / f"{key}.safetensors"


def save_samples(name: str, images: Tensor) -> None:
    """Keep images (N, C, H, W), -1..1, of a run beside the ledger, side by side in one picture, slightly compressed.

    Raises:
        UserError: if the picture can't be written.
    """
    pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().byte().expand(-1, 3, -1, -1).permute(2, 0, 3, 1)
    with atomic_write(_samples_path(name)) as temporary:
        Image.fromarray(pixels.flatten(1, 2).contiguous().numpy()).save(temporary, "WEBP", quality=90, method=6)


def read_samples(name: str) -> Tensor | None:
    """Return what was kept under a name, the run's key: images (N, 3, H, H), -1..1, of the latents of seed 1; None if
    nothing was.
    """
    path = _samples_path(name)
    if not path.is_file():
        return None
    with Image.open(path) as picture:
        pixels = torch.from_numpy(np.array(picture.convert("RGB")))
    side = len(pixels)
    return pixels.view(side, -1, side, 3).permute(1, 3, 0, 2).float() / 127.5 - 1


def _samples_path(name: str) -> Path:
    return ledger_path().parent / "samples" / f"{name}.webp"
