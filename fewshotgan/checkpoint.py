"""Checkpoints: written atomically, and read without executing any code they may contain."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshotgan.files import UserError, atomic_write, clip, shown

SPELLED = {"gan", "images"}  # names of what the digests tell for sure
SAID = {  # where a digest differs and a name does not
    "gan": "a GAN of the same name with other weights",
    "images": "images of the same name with other content",
    "start": "a GAN to start with that has other weights",
    "labels": "the same images with other labels",
}


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors and plain values; a crash or a full disk leaves the previous checkpoint in place.

    Raises:
        MachineError: if the file cannot be written.
    """
    content = io.BytesIO()  # into a file, PyTorch's writer hides that the disk is full
    torch.save(state, content)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def digest(tensors: Iterable[Tensor]) -> str:
    """Return twelve hexadecimal digits of a SHA-256 over the values of tensors, in order."""
    digits = hashlib.sha256()
    for tensor in tensors:
        digits.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digits.hexdigest()[:12]


def load_checkpoint(path: Path, spec: dict[str, Any]) -> dict[str, Any] | None:
    """Return the state saved for this spec, or None if there is no checkpoint.

    Runs differ by what determines them: not by their number of iterations, unless there are fewer than were made, and
    not by how the path of the same images or of the same GAN is spelled.

    Raises:
        UserError: if the file is damaged, or belongs to a run with a different spec.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not (isinstance(state, dict) and isinstance(state["spec"], dict)):
            raise TypeError
        saved, made = state["spec"], int(state.get("iteration", 0))
    except Exception as error:  # damaged files raise a dozen kinds of errors
        raise UserError(
            f"The checkpoint {clip(path)} is damaged or not one of ours; delete it to start over."
        ) from error
    if changed := list(differences(saved, spec)):
        raise UserError(
            f"{clip(path.parent, 60)} holds a different run ({'; '.join(changed)[:100]}); choose another folder, "
            "or delete its checkpoint.pt."
        )
    if made > spec.get("iterations", made):
        raise UserError(
            f"{clip(path.parent, 60)} holds {made} iterations already, more than {spec['iterations']}; ask for more, "
            "or choose another folder."
        )
    return state


@contextmanager
def of_this_version() -> Iterator[None]:
    """Turn what goes wrong where a saved state is taken up into one sentence: something is missing or of another kind.

    Raises:
        UserError: for that.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise UserError("The checkpoint is of another version of fewshotgan; delete it to start afresh.") from error


def check_entries(saved: dict[str, Any], own: dict[str, Any]) -> None:
    """Compare the entries of a saved state, and their kinds, with those that a run would save.

    Raises:
        UserError: if there are others.
    """
    lacks, surplus = sorted(own.keys() - saved.keys()), sorted(map(str, saved.keys() - own.keys()))
    odd = [key for key in own.keys() & saved.keys() if not isinstance(saved[key], type(own[key]))]
    said = [
        f"{what} {', '.join(names)}"
        for what, names in (("lacks", lacks), ("has a surplus", surplus), ("has another kind of", sorted(odd)))
        if names
    ]
    if said:
        raise UserError(
            f"The checkpoint is of another version of fewshotgan (it {clip('; '.join(said), 100)}); delete it to start "
            "afresh."
        )


def differences(saved: dict[str, Any], spec: dict[str, Any]) -> Iterable[str]:
    """Yield in words what is not the same in two runs."""
    same = saved.get("digests") == spec.get("digests")
    for key in sorted(spec.keys() - {"iterations"} - (SPELLED if same else set())):
        was, now = saved.get(key), spec[key]
        if key == "digests" and isinstance(was, dict):
            yield from (SAID[part] for part in now if was.get(part) != now[part] and saved.get(part) == spec.get(part))
        elif isinstance(was, dict) and isinstance(now, dict):
            yield from (
                f"{part}={shown(was.get(part))}, not {shown(now[part])}" for part in now if was.get(part) != now[part]
            )
        elif was != now:
            yield f"{key}={shown(was)}, not {shown(now)}"
