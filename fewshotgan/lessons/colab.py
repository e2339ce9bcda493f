"""What every notebook's set-up cell calls, so that a fix is a single edit."""

import os
import platform

import torch

from fewshotgan.lessons.profiles import Profile, load


def setup(profile: str = "auto") -> Profile:
    """Print versions, device and profile, and return the profile; nothing is installed or downloaded."""
    threads = int(os.environ.get("OMP_NUM_THREADS") or torch.get_num_threads())
    device = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {threads} thread{'s' * (threads > 1)}"
    )
    chosen = load(profile)
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {device}; profile {chosen.name}")
    return chosen
