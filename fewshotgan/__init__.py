"""fewshotgan: adapt a pretrained GAN to a few images; every method on one backbone, through one loop, under one
protocol.
"""

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
