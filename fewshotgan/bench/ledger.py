"""The ledger: one line of JSON per recorded run, only ever appended to.

Several processes may append at once. A line that was cut in half by a crash is skipped with a warning; the next append
starts on a line of its own, so nothing else is lost. Beside the lines lie a few samples of some runs, as small pictures
to look at.
"""

import hashlib
import json
import os
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor

from fewshotgan.files import UserError, atomic_write, data_dir

Entry = dict[str, Any]


def ledger_path() -> Path:
    """Return the ledger: `$FEWSHOTGAN_LEDGER`, or the one that ships with the project."""
    return Path(os.environ.get("FEWSHOTGAN_LEDGER") or data_dir() / "ledger" / "runs.jsonl")


def spec_key(spec: dict[str, Any]) -> str:
    """Return a short name of a spec: equal specs, equal names."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def append(entry: Entry) -> None:
    """Add a run as one line, on disk when this returns.

    Raises:
        UserError: if the ledger can't be written.
    """
    path = ledger_path()
    line = json.dumps(entry, sort_keys=True) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"), open(path, "ab+") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            cut = end > 0 and file.read(1) != b"\n"
            file.write((("\n" if cut else "") + line).encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(
            f"The ledger {path} could not be written ({error.strerror or error}); this run is not recorded."
        ) from error


def read() -> dict[str, Entry]:
    """Return the runs by `spec_key`; of two of one spec the first counts."""
    path = ledger_path()
    if not path.is_file():
        return {}
    state = path.stat()
    return dict(_parsed(path, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=2)  # a table asks for each of its cells; an append changes the size
def _parsed(path: Path, _size: int, _changed: int) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            entry = json.loads(line)
            entries.setdefault(spec_key(entry["spec"]), entry)
        except (json.JSONDecodeError, KeyError, TypeError):
            if line.strip():
                warnings.warn(
                    f"{path}, line {number} is no whole entry and is skipped (cut by a crash?).", stacklevel=3
                )
    return entries


def save_samples(spec: dict[str, Any], images: Tensor) -> None:
    """Keep images (N, C, H, W), -1..1, of a run beside the ledger, side by side in one picture, slightly compressed.

    Raises:
        UserError: if the picture can't be written.
    """
    pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().byte().expand(-1, 3, -1, -1).permute(2, 0, 3, 1)
    with atomic_write(_samples_path(spec)) as temporary:
        Image.fromarray(pixels.flatten(1, 2).contiguous().numpy()).save(temporary, "WEBP", quality=90, method=6)


def samples(spec: dict[str, Any]) -> Tensor | None:
    """Return what was kept of a run: images (N, 3, H, H), -1..1, of the latents of seed 1; None if nothing was."""
    path = _samples_path(spec)
    if not path.is_file():
        return None
    with Image.open(path) as picture:
        pixels = torch.from_numpy(np.array(picture.convert("RGB")))
    side = len(pixels)
    return pixels.view(side, -1, side, 3).permute(1, 3, 0, 2).float() / 127.5 - 1


def _samples_path(spec: dict[str, Any]) -> Path:
    return ledger_path().parent / "samples" / f"{spec_key(spec)}.webp"
