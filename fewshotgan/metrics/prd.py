"""PRD: precision and recall of distributions, as two F scores of one curve.

Paper: Sajjadi et al., "Assessing Generative Models via Precision and Recall" (NeurIPS 2018, arXiv 1806.00035): features
of both sets are clustered together, and for each slope between precision and recall the histograms over the clusters
give a point of the curve (theorem 1 and section 3.2). Its maximal F8 weighs recall, its maximal F1/8 precision.

Differs: clusters come from scipy's k-means (20 of them, started by k-means++), not from scikit-learn's minibatches; the
curve is the mean over ten of these, as in the released code.
"""

import numpy as np
import scipy

from fewshotgan.metrics.metric import Comparison, Metric

CLUSTERS, RUNS, STEPS = 20, 10, 20
ANGLES, EPSILON = 1001, 1e-10
BETA = 8.0

Curve = tuple[np.ndarray, np.ndarray]


def prd_curve(fake: np.ndarray, real: np.ndarray, angles: int = ANGLES) -> Curve:
    """Return (precision, recall), each (angles,) in 0..1, of two histograms (K,) that sum to 1."""
    slopes = np.tan(np.linspace(EPSILON, np.pi / 2 - EPSILON, angles))
    precision = np.minimum(real[None] * slopes[:, None], fake[None]).sum(axis=1)
    return precision.clip(0, 1), (precision / slopes).clip(0, 1)


def f_score(curve: Curve, beta: float) -> float:
    """Return the largest F score on a curve, 0..1; recall counts `beta` times as much as precision."""
    precision, recall = curve
    weighed = (1 + beta**2) * precision * recall
    return float((weighed / (beta**2 * precision + recall + EPSILON)).max())


def prd(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> Curve:
    """Return the curve of features (N, d) and (M, d), the mean over ten clusterings; `seed` is that of the first."""
    rows, n = np.concatenate([fake, real]).astype(np.float64), len(fake)
    clusters = min(CLUSTERS, len(rows) // 2)
    curves = []
    for run in range(RUNS):
        _, found = scipy.cluster.vq.kmeans2(
            rows, clusters, minit="++", iter=STEPS, rng=np.random.default_rng(seed + run)
        )
        generated, others = (np.bincount(part, minlength=clusters) / len(part) for part in (found[:n], found[n:]))
        curves.append(prd_curve(generated, others))
    return np.mean([p for p, _ in curves], axis=0), np.mean([r for _, r in curves], axis=0)


def _curve(images: Comparison) -> Curve:
    return images.once("prd", lambda: prd(*images.features("efficientnet")))


_PAPER = "Sajjadi et al. 2018, arXiv 1806.00035, with EfficientNet-Lite0 features"
METRICS = (
    Metric(
        "prd_recall",
        lambda images: f_score(_curve(images), BETA),
        direction="high",
        digits=3,
        version=1,
        units="F8, which weighs recall",
        range="0 to 1",
        source=_PAPER,
        extractor="efficientnet",
    ),
    Metric(
        "prd_precision",
        lambda images: f_score(_curve(images), 1 / BETA),
        direction="high",
        digits=3,
        version=1,
        units="F1/8, which weighs precision",
        range="0 to 1",
        source=_PAPER,
        extractor="efficientnet",
    ),
)
