"""Metrics: how far generated images are from real ones, one per file, under one protocol; `METRICS` lists them."""

from fewshotgan.metrics.cache import real_features
from fewshotgan.metrics.critic import independent_critic
from fewshotgan.metrics.diversity import intra_lpips
from fewshotgan.metrics.evaluation import evaluate
from fewshotgan.metrics.extractors import features
from fewshotgan.metrics.frechet import frechet_distance
from fewshotgan.metrics.kernel import kernel_distance, kernel_variance
from fewshotgan.metrics.laplacian import sharpness
from fewshotgan.metrics.metric import Comparison, Metric
from fewshotgan.metrics.mmd import kmmd, mean_variance
from fewshotgan.metrics.neighbours import memorisation, precision_recall
from fewshotgan.metrics.registry import METRICS, get_metric

__all__ = [
    "METRICS",
    "Comparison",
    "Metric",
    "evaluate",
    "features",
    "frechet_distance",
    "get_metric",
    "independent_critic",
    "intra_lpips",
    "kernel_distance",
    "kernel_variance",
    "kmmd",
    "mean_variance",
    "memorisation",
    "precision_recall",
    "real_features",
    "sharpness",
]
