"""Edit images through a GAN, one way per file."""

from fewshotgan.edit.instances import Edit, cutmix, inpaint, invert, resampled, translate
from fewshotgan.edit.projection import Projection, project

__all__ = ["Edit", "Projection", "cutmix", "inpaint", "invert", "project", "resampled", "translate"]
