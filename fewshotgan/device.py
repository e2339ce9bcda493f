"""Where networks train: on a GPU where there is one."""

import torch

from fewshotgan.files import UserError


def choose_device(name: str | torch.device | None) -> torch.device:
    """Return the device of that name; without one a GPU where there is one, else the CPU.

    Raises:
        UserError: if there is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            f"The device {str(name)!r} can't be used here ({reason}); leave it out, or name cpu."
        ) from error
    return device
