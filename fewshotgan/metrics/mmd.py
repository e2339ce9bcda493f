"""KMMD and mean variance (MV), the two numbers of MineGAN's and BSA's tables, by a definition of ours.

Neither paper (arXiv 1912.05270, arXiv 1904.01774) has released code for them, and neither says enough to repeat them:
our values can be compared with each other, not with theirs. Pinned here:

- features: EfficientNet-Lite0's (`fewshotgan.metrics.extractors`), as in `fd_efficientnet`; all real held-out images
  and as many generated ones as `evaluate` was asked for;
- KMMD: the root of the biased squared maximum mean discrepancy (Gretton et al., JMLR 13, 2012, equation 5) with the
  Gaussian kernel exp(-|x - y|^2 / (2 s^2)), where s^2 is the mean squared distance of two different real images. The
  bandwidth depends on the real images alone, so that all methods are measured with one. The biased estimate falls with
  the numbers of images: compare values of equal counts only;
- MV: the total variance of the generated images' features over that of the real ones': 1 is as diverse as real images
  are.
"""

import numpy as np

from fewshotgan.metrics.metric import Metric
from fewshotgan.metrics.neighbours import distances


def kmmd(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the kernel maximum mean discrepancy of features (N, d) and (M, d), at least two rows each; 0..1.42,
    smaller is closer.

    0 if both are the same rows.
    """
    among = np.square(distances(real, real))
    n = len(among)
    bandwidth = among.sum() / (n * (n - 1))
    kernel = [np.exp(-squared / (2 * bandwidth)).mean() for squared in (among, np.square(distances(fake, fake)))]
    between = np.exp(-np.square(distances(real, fake)) / (2 * bandwidth)).mean()
    return float(np.sqrt(max(0.0, kernel[0] + kernel[1] - 2 * between)))


def mean_variance(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the variance of generated features (M, d), summed over d, over that of real ones (N, d); 1 is as
    diverse as they are.
    """
    real, fake = np.asarray(real, dtype=np.float64), np.asarray(fake, dtype=np.float64)
    return float(fake.var(axis=0, ddof=1).sum() / real.var(axis=0, ddof=1).sum())


METRICS = (
    Metric(
        "kmmd_efficientnet",
        lambda images: kmmd(*images.features("efficientnet")),
        direction="low",
        digits=3,
        version=2,
        units="root of the biased MMD^2, Gaussian kernel, s^2 the mean squared distance of real images",
        range="0 to 1.42",
        source="this project, after Gretton et al. 2012",
        extractor="efficientnet",
        is_distance=True,
    ),
    Metric(
        "mv_efficientnet",
        lambda images: mean_variance(*images.features("efficientnet")),
        direction="one",
        digits=3,
        version=2,
        units="total variance of features over that of real images",
        range="0 to infinity",
        source="this project, after arXiv 1912.05270",
        extractor="efficientnet",
    ),
)
