"""Metrics: how far generated images are from real ones, one per file, under one protocol."""

from fewshotgan.metrics.critic import independent_critic
from fewshotgan.metrics.diversity import intra_lpips
from fewshotgan.metrics.evaluation import evaluate, real_features
from fewshotgan.metrics.extractors import features
from fewshotgan.metrics.frechet import frechet_distance
from fewshotgan.metrics.kernel import kernel_distance
from fewshotgan.metrics.laplacian import sharpness
from fewshotgan.metrics.mmd import kmmd, mean_variance
from fewshotgan.metrics.neighbours import memorisation, precision_recall

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
