"""Fréchet distance between Gaussians fitted to two sets of features.

Paper: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule..." (NeurIPS 2017, arXiv 1706.08500), equation 6. It
is called FID only with Inception features, prepared as clean-fid does.
"""

import numpy as np

from fewshotgan.metrics.metric import Comparison, Metric


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return |mu_a - mu_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of features (N, d) and (M, d), at least two rows each.

    With C_a = A^T A the trace of the root is the sum of the singular values of A B^T: no matrix root is needed, and
    sets smaller than d, whose covariances are singular, are exact.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    root_a, root_b = _root(a), _root(b)
    overlap = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    shift = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return float(max(0.0, shift + np.square(root_a).sum() + np.square(root_b).sum() - 2 * overlap))


def _root(x: np.ndarray) -> np.ndarray:
    """Return R with R^T R the covariance of x (divisor N - 1), at most (d, d)."""
    root = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    return np.asarray(np.linalg.qr(root, mode="r")) if len(root) > root.shape[1] else root


def _metric(name: str, extractor: str, source: str, default: bool) -> Metric:
    def measure(images: Comparison) -> float:
        return frechet_distance(*images.features(extractor))

    return Metric(
        name,
        measure,
        direction="low",
        digits=0,
        version=2,
        units="squared distance of features",
        range="0 to infinity",
        source=source,
        extractor=extractor,
        default=default,
        is_distance=True,
    )


_FID = "Heusel et al. 2017, arXiv 1706.08500"
METRICS = (
    _metric("fd_efficientnet", "efficientnet", f"{_FID}, equation 6, with EfficientNet-Lite0 features", True),
    _metric("fid", "inception", f"{_FID}, as clean-fid computes it (arXiv 2104.11222)", False),
)
