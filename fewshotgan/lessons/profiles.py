"""Sizes of live runs: one frozen object, chosen once, so that no notebook needs an `if`."""

import os
from dataclasses import dataclass

from fewshotgan.files import UserError
from fewshotgan.session import BATCH, ITERATIONS


@dataclass(frozen=True)
class Profile:
    """Sizes of the live runs of a lesson.

    Attributes:
        name: smoke (tests), laptop (two cores, minutes), gpu, or paper (published scale).
        iterations: of one adaptation.
        batch: images per step.
        n_generated: images generated for an evaluation.
    """

    name: str
    iterations: int
    batch: int
    n_generated: int


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("smoke", 6, 4, 32),
        Profile("laptop", ITERATIONS, BATCH, 500),
        Profile("gpu", 2000, 16, 1000),
        Profile("paper", 5000, 16, 5000),
    )
}


def load(name: str = "auto") -> Profile:
    """Return a profile; "auto" is `$FEWSHOTGAN_PROFILE`, else smoke under CI, gpu with CUDA, laptop otherwise.

    Raises:
        UserError: if there is no such profile.
    """
    if name == "auto":
        name = os.environ.get("FEWSHOTGAN_PROFILE") or _guess()
    if name not in PROFILES:
        raise UserError(f"There is no profile {name!r}; choose from {', '.join(PROFILES)}.")
    return PROFILES[name]


def _guess() -> str:
    import torch

    if os.environ.get("CI"):
        return "smoke"
    return "gpu" if torch.cuda.is_available() else "laptop"
