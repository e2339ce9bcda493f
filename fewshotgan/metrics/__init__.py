"""Metrics: how far generated images are from real ones, one per file, under one protocol."""

from fewshotgan.metrics.critic import independent_critic
from fewshotgan.metrics.diversity import intra_lpips
from fewshotgan.metrics.evaluate import evaluate, real_features
from fewshotgan.metrics.features import features
from fewshotgan.metrics.frechet import frechet_distance
from fewshotgan.metrics.kernel import kernel_distance
from fewshotgan.metrics.kmmd import kmmd, mean_variance
from fewshotgan.metrics.neighbours import memorisation, precision_recall
from fewshotgan.metrics.sharpness import sharpness

__all__ = [
    "evaluate",
    "features",
    "frechet_distance",
    "independent_critic",
    "intra_lpips",
    "kernel_distance",
    "kmmd",
    "mean_variance",
    "memorisation",
    "precision_recall",
    "real_features",
    "sharpness",
]
