"""fewshotgan: adapt a pretrained GAN to a few images; every method on one backbone, through one loop, under one protocol."""

from fewshotgan.files import UserError
from fewshotgan.gans import GAN, gans, load_gan
from fewshotgan.images import Images, domains, load_images
from fewshotgan.methods import methods
from fewshotgan.metrics import evaluate
from fewshotgan.session import adapt
from fewshotgan.show import grid, show
from fewshotgan.train import CollapseError, Run

__version__ = "0.1.0"

__all__ = [
    "GAN",
    "CollapseError",
    "Images",
    "Run",
    "UserError",
    "adapt",
    "domains",
    "evaluate",
    "gans",
    "grid",
    "load_gan",
    "load_images",
    "methods",
    "show",
]
