"""Metrics: how far generated images are from real ones, one per file, under one protocol."""

from fewshotgan.metrics.diversity import intra_lpips
from fewshotgan.metrics.evaluate import evaluate, real_features
from fewshotgan.metrics.features import features
from fewshotgan.metrics.frechet import frechet_distance
from fewshotgan.metrics.kernel import kernel_distance
from fewshotgan.metrics.neighbours import memorisation, precision_recall

__all__ = [
    "evaluate",
    "features",
    "frechet_distance",
    "intra_lpips",
    "kernel_distance",
    "memorisation",
    "precision_recall",
    "real_features",
]
