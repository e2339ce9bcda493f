"""Kernel distance: the squared maximum mean discrepancy with a cubic polynomial kernel.

Paper: Binkowski et al., "Demystifying MMD GANs" (ICLR 2018, arXiv 1801.01401), section 4. It is called KID only with
Inception features. Computed as clean-fid does: unbiased within each set, the mean over random subsets.
"""

import numpy as np


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
    for _ in range(subsets):
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
    return (x @ y.T / x.shape[1] + 1) ** 3
