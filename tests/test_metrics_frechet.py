"""The Fréchet distance meets clean-fid's numbers and the formula with a matrix root."""

import numpy as np
import pytest
from golden import fill
from helpers import assert_met
from scipy.linalg import sqrtm

from fewshotgan.metrics import frechet_distance


def slow_frechet(a, b):
    """The formula as it stands in the paper, with SciPy's matrix root."""
    c, d = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c + d - 2 * sqrtm(c @ d).real))


def draws(n, d, seed, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).standard_normal((n, d)) * scale + shift


def test_it_meets_the_golden():
    golden = fill.load("metric_fid_kid")
    real, fake, few = golden.inputs["real"], golden.inputs["fake"], golden.spec["call"]["n_few"]
    got = {"fid": frechet_distance(real, fake), "fid_rank_deficient": frechet_distance(real[:few], fake[:few])}
    assert_met(golden, got, every=False)


@pytest.mark.parametrize(("n", "m", "d"), [(50, 80, 6), (200, 30, 20), (8, 40, 12), (5, 6, 12)])
def test_it_equals_the_slow_formula(n, m, d):
    a, b = draws(n, d, 1), draws(m, d, 2, 0.7, 0.3)
    assert frechet_distance(a, b) == pytest.approx(slow_frechet(a, b), rel=2e-3 if min(n, m) <= d else 1e-6)


def test_values_known_in_closed_form():
    a = draws(100, 5, 3)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a + 2) == pytest.approx(5 * 4)
    one = draws(1000, 1, 4)  # of one dimension: (difference of means)^2 + (difference of deviations)^2
    assert frechet_distance(one, 3 * one) == pytest.approx((2 * one.mean()) ** 2 + (2 * one.std(ddof=1)) ** 2)


def test_it_is_symmetric_and_does_not_depend_on_the_order():
    a, b = draws(30, 40, 5), draws(70, 40, 6, 2.0)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b[::-1], a), rel=1e-9)


def test_constant_features_do_not_break_it():
    a, b = np.zeros((10, 4)), np.ones((12, 4))
    assert frechet_distance(a, b) == pytest.approx(4)
