"""Checkpoints: written atomically, and read without executing any code they may contain."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshotgan.files import UserError, atomic_write


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors and plain values; a crash or a full disk leaves the previous checkpoint in place.

    Raises:
        UserError: if the file cannot be written.
    """
    with atomic_write(path) as temporary:
        torch.save(state, temporary)


def digest(tensors: Iterable[Tensor]) -> str:
    """Return twelve hexadecimal digits of a SHA-256 over the values of tensors, in order."""
    digits = hashlib.sha256()
    for tensor in tensors:
        digits.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digits.hexdigest()[:12]


def load_checkpoint(path: Path, spec: dict[str, Any]) -> dict[str, Any] | None:
    """Return the state saved for this spec, or None if there is no checkpoint.

    Raises:
        UserError: if the file is damaged, or belongs to a run with a different spec.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not (isinstance(state, dict) and isinstance(state["spec"], dict)):
            raise TypeError
        saved = state["spec"]
    except Exception as error:  # damaged files raise a dozen kinds of errors
        raise UserError(f"The checkpoint {path} is damaged or not one of ours; delete it to start over.") from error
    changed = sorted(key for key in spec if saved.get(key) != spec[key])
    if changed:
        same_names = "images or a GAN of the same name but different content"
        was = ", ".join(same_names if key == "digests" else f"{key}={saved.get(key)!r}" for key in changed)
        raise UserError(
            f"{path.parent} holds a different run ({was}); choose another folder, or delete its checkpoint.pt."
        )
    return state
