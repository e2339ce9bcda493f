"""Where networks train, and how their images lie in its memory."""

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


def layout(device: torch.device) -> torch.memory_format:
    """Return the layout of images in which our small networks are faster on a device.

    A CPU prefers channels last, by about a quarter; an H200 trains 2,290 images a second with channels first and 1,880
    with channels last (StyleGAN2 of 64 pixels, batch 64).
    """
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format
