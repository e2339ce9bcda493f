"""Edit images through a GAN, one way per file."""

from fewshotgan.edit.projection import Projection, project

__all__ = ["Projection", "project"]
