"""fewshotgan: adapt a pretrained GAN to a few images; every method on one backbone, through one loop, under one
protocol.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fewshotgan.edit import Projection, project
    from fewshotgan.files import UserError
    from fewshotgan.gans import GAN, list_gans, load_gan
    from fewshotgan.images import Images, list_domains, load_images
    from fewshotgan.methods import list_methods
    from fewshotgan.metrics import evaluate
    from fewshotgan.pictures import grid, show
    from fewshotgan.report import write_report
    from fewshotgan.run import CollapseError, Run
    from fewshotgan.session import adapt

__version__ = "0.1.0"

__all__ = [
    "GAN",
    "CollapseError",
    "Images",
    "Projection",
    "Run",
    "UserError",
    "adapt",
    "evaluate",
    "grid",
    "list_domains",
    "list_gans",
    "list_methods",
    "load_gan",
    "load_images",
    "project",
    "show",
    "write_report",
]

_HOMES = {  # loaded when first asked for: the command answers before PyTorch is there
    "edit": ("Projection", "project"),
    "files": ("UserError",),
    "gans": ("GAN", "list_gans", "load_gan"),
    "images": ("Images", "list_domains", "load_images"),
    "methods": ("list_methods",),
    "metrics": ("evaluate",),
    "pictures": ("grid", "show"),
    "report": ("write_report",),
    "run": ("CollapseError", "Run"),
    "session": ("adapt",),
}


def __getattr__(name: str) -> object:
    if name in _HOMES:  # the home itself, such as fsg.edit, with what is at home there alone
        return importlib.import_module(f"fewshotgan.{name}")
    for home, names in _HOMES.items():
        if name in names:
            globals()[name] = value = getattr(importlib.import_module(f"fewshotgan.{home}"), name)
            return value
    raise AttributeError(f"module 'fewshotgan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
