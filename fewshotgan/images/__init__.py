"""Images: the shipped domains with their fixed splits, and anybody's own, cropped or padded to squares of one size."""

from fewshotgan.images.domains import MIXTURES, count_subsets, is_shipped, list_domains
from fewshotgan.images.images import Images
from fewshotgan.images.load import load_images, resized

__all__ = ["MIXTURES", "Images", "count_subsets", "is_shipped", "list_domains", "load_images", "resized"]
