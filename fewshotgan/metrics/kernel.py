"""Kernel distance: the squared maximum mean discrepancy with a cubic polynomial kernel.

Paper: Binkowski et al., "Demystifying MMD GANs" (ICLR 2018, arXiv 1801.01401), section 4. It is called KID only with
Inception features. Computed as clean-fid does: unbiased within each set, the mean over random subsets.
The variance of the unbiased estimate follows Sutherland et al. (ICLR 2017, arXiv 1611.04488, section 2 and appendix A).
"""

import numpy as np

from fewshotgan.metrics.metric import Comparison, Metric
from fewshotgan.progress import watched


def kernel_distance(
    a: np.ndarray, b: np.ndarray, subsets: int = 100, subset_size: int = 1000, rng: np.random.RandomState | None = None
) -> float:
    """Return the mean over `subsets` of the squared MMD between features (N, d) and (M, d); smaller is closer, may be
    negative.

    Args:
        a: features of real images.
        b: features of generated images.
        subsets: how many random subsets; when both sets fit into one subset, one is exact and enough.
        subset_size: rows of each.
        rng: source of the subsets; the same ones at each call by default.
    """
    rng = rng or np.random.RandomState(0)
    size = min(len(a), len(b), subset_size)
    if size == len(a) == len(b):
        subsets = 1
    total = 0.0
    for _ in watched(range(subsets), "kernel distance"):
        y = b[rng.choice(len(b), size, replace=False)]
        x = a[rng.choice(len(a), size, replace=False)]
        total += _mmd2(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
    return total / subsets


def _mmd2(x: np.ndarray, y: np.ndarray) -> float:
    """Return the squared MMD of two sets of one size (m, d)."""
    m = len(x)
    within = _kernel(x, x) + _kernel(y, y)
    return float((within.sum() - np.trace(within)) / (m * (m - 1)) - 2 * _kernel(x, y).mean())


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    kernel: np.ndarray = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel


def kernel_variance(x: np.ndarray, y: np.ndarray) -> float:
    """Return an estimate of the variance of the squared MMD of two sets of one size (m, d), m > 2; may be negative.

    The estimate of the MMD is a U-statistic of h(i, j) = k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i): its
    variance is 4 (m - 2) / (m (m - 1)) Var(E[h | i]) + 2 / (m (m - 1)) Var(h).
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    m = len(x)
    pairs, cross = m * (m - 1), _kernel(x, y)
    within = [kernel - np.diag(np.diag(kernel)) for kernel in (_kernel(x, x), _kernel(y, y))]
    means, mean = [k.sum() / pairs for k in within], cross.mean()
    mixed = sum(
        float(k.sum(axis=1) @ sums) for k, sums in zip(within, (cross.sum(axis=1), cross.sum(axis=0)), strict=True)
    ) / (pairs * m)  # of k(x_i, x_j) k(x_i, y_l), and of the same for y
    shared = mixed - mean * sum(means)
    squares = sum(mean_within**2 for mean_within in means)
    of_one = (
        sum(_other_products(k) for k in within) / (pairs * (m - 2))
        - squares
        + (_other_products(cross) + _other_products(cross.T)) / (pairs * m)
        - 2 * mean**2
        - 2 * shared
    )
    of_two = (
        sum(float(np.square(k).sum()) for k in within) / pairs
        - squares
        + 2 * float(np.square(cross).mean())
        - 2 * mean**2
        - 4 * shared
    )
    return float(4 * (m - 2) / pairs * of_one + 2 / pairs * of_two)


def _other_products(k: np.ndarray) -> float:
    """Return the sum over rows of the products of two different entries of the row."""
    return float(np.square(k.sum(axis=1)).sum() - np.square(k).sum())


def _standard_error(images: Comparison, extractor: str) -> dict[str, float]:
    """Return the square root of the variance of the estimate from as many real images as generated ones."""
    a, b = images.features(extractor)
    size = min(len(a), len(b))
    return {"standard_error": max(0.0, kernel_variance(a[:size], b[:size])) ** 0.5}


def _metric(name: str, extractor: str, source: str, default: bool) -> Metric:
    def measure(images: Comparison) -> float:
        return kernel_distance(*images.features(extractor))

    def detail(images: Comparison) -> dict[str, float]:
        return _standard_error(images, extractor)

    return Metric(
        name,
        measure,
        direction="low",
        digits=3,
        version=2,
        units="squared distance in the kernel's space",
        range="0 to infinity; unbiased, so that an estimate of 0 is as often below 0 as above",
        source=source,
        extractor=extractor,
        default=default,
        is_distance=True,
        is_ratio=False,
        detail=detail,
    )


_KID = "Binkowski et al. 2018, arXiv 1801.01401"
METRICS = (
    _metric("kd_efficientnet", "efficientnet", f"{_KID}, section 4, with EfficientNet-Lite0 features", True),
    _metric("kid", "inception", f"{_KID}, as clean-fid computes it (arXiv 2104.11222)", False),
)
