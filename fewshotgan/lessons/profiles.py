"""How large a run is: one frozen object, chosen once, so that no notebook holds an `if`."""

import os
from dataclasses import dataclass

from fewshotgan.files import UserError
from fewshotgan.session import BATCH, ITERATIONS


@dataclass(frozen=True)
class Profile:
    """Sizes of a lesson's live runs.

    Attributes:
        name: smoke (that everything runs), laptop (two cores, minutes), gpu, paper (published scale).
        iterations: of an adaptation.
        batch: images per step.
        n_generated: images that an evaluation generates.
    """

    name: str
    iterations: int
    batch: int
    n_generated: int


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("smoke", 12, 4, 32),
        Profile("laptop", ITERATIONS, BATCH, 500),
        Profile("gpu", 2000, 16, 1000),
        Profile("paper", 5000, 16, 5000),
    )
}


def load(name: str = "auto") -> Profile:
    """Return a profile; "auto" is `$FEWSHOTGAN_PROFILE`, else smoke under CI, gpu with CUDA, laptop otherwise.

    Raises:
        UserError: if there is none of that name.
    """
    if name == "auto":
        name = os.environ.get("FEWSHOTGAN_PROFILE") or _guess()
    if name not in PROFILES:
        raise UserError(f"There is no profile {name!r}; there are {', '.join(PROFILES)}.")
    return PROFILES[name]


def _guess() -> str:
    import torch

    if os.environ.get("CI"):
        return "smoke"
    return "gpu" if torch.cuda.is_available() else "laptop"
