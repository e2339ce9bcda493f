"""Checkpoints: written whole or not at all, read without running what they may contain."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshotgan.files import UserError, atomic_write


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors and plain values; a crash or a full disk leaves the checkpoint before it in place.

    Raises:
        UserError: if the file can't be written.
    """
    with atomic_write(path) as temporary:
        torch.save(state, temporary)


def digest(tensors: Iterable[Tensor]) -> str:
    """Return twelve digits that stand for the values of tensors, in this order."""
    digits = hashlib.sha256()
    for tensor in tensors:
        digits.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digits.hexdigest()[:12]


def load_checkpoint(path: Path, spec: dict[str, Any]) -> dict[str, Any] | None:
    """Return the state saved for this spec, or None if there is none.

    Raises:
        UserError: if the file is damaged, or belongs to a run with another spec.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not (isinstance(state, dict) and isinstance(state["spec"], dict)):
            raise TypeError
        saved = state["spec"]
    except Exception as error:  # bytes cut off or turned around raise a dozen kinds
        raise UserError(f"The checkpoint {path} is damaged or none of ours; delete it to start afresh.") from error
    changed = sorted(key for key in spec if saved.get(key) != spec[key])
    if changed:
        same_names = "images or a GAN of these names that were others then"
        was = ", ".join(same_names if key == "digests" else f"{key}={saved.get(key)!r}" for key in changed)
        raise UserError(f"{path.parent} holds another run ({was}); choose another folder, or delete its checkpoint.pt.")
    return state
