"""Checks of the notebooks' exercises: they say "passed" or, in a sentence, what is still wrong."""

import torch
from torch import Tensor


def check_close(name: str, got: Tensor | float, wanted: Tensor | float) -> None:
    """Print whether an answer equals what is wanted, to five digits."""
    same = torch.allclose(torch.as_tensor(got).float(), torch.as_tensor(wanted).float(), rtol=1e-5, atol=1e-6)
    print(f"{name}: passed" if same else f"{name}: not yet - the result is {got}, wanted is {wanted}")


def check_true(name: str, holds: bool) -> None:
    """Print whether a statement holds."""
    print(f"{name}: {'passed' if holds else 'not yet'}")
