"""KMMD and mean variance on distributions whose values are known, and beside slow loops."""

import numpy as np
import pytest
from helpers import noise_images

from fewshotgan.images import Images
from fewshotgan.metrics import evaluate, kmmd, mean_variance


def normal(n, d, seed, shift=0.0, scale=1.0):
    return np.random.default_rng(seed).standard_normal((n, d)) * scale + shift


def slow_kmmd(x, y):
    pairs = [np.square(a - b).sum() for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
    s2 = np.mean(pairs)

    def mean(p, q):
        return np.mean([np.exp(-np.square(a - b).sum() / (2 * s2)) for a in p for b in q])

    return np.sqrt(mean(x, x) + mean(y, y) - 2 * mean(x, y))


def test_it_equals_the_slow_loops():
    x, y = normal(9, 4, 1), normal(7, 4, 2, shift=0.5)
    assert kmmd(x, y) == pytest.approx(slow_kmmd(x, y), rel=1e-9)


def test_the_same_rows_are_at_no_distance_and_the_bandwidth_is_that_of_the_real_ones():
    x, y = normal(50, 5, 3), normal(50, 5, 4, shift=2.0)
    assert kmmd(x, x) == pytest.approx(0, abs=1e-7)
    assert kmmd(x * 100, y * 100) == pytest.approx(kmmd(x, y), rel=1e-9)
    assert kmmd(x, y) != pytest.approx(kmmd(y * 1.5, x), rel=1e-3)


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
def test_two_normal_distributions_have_the_value_of_the_formula(shift):
    """In d dimensions E k(x, y) = (1 + 2 v / s2)^(-d/2) exp(-m^2 / (2 (s2 + 2 v))), of unit variances v and distance
    m of the means.
    """
    n, d = 3000, 3
    s2 = 2 * d

    def expected(m2):
        return (s2 / (s2 + 2)) ** (d / 2) * np.exp(-m2 / (2 * (s2 + 2)))

    bias = 2 * (1 - expected(0)) / n  # of the pairs of one with itself
    known = np.sqrt(2 * expected(0) - 2 * expected(d * shift**2) + bias)
    assert kmmd(normal(n, d, 5), normal(n, d, 6, shift)) == pytest.approx(known, abs=0.015)


def test_mean_variance_is_the_ratio_of_variances():
    x = normal(4000, 6, 7)
    assert mean_variance(x, normal(4000, 6, 8, shift=9.0, scale=2.0)) == pytest.approx(4, rel=0.05)
    assert mean_variance(x, x) == 1.0
    assert mean_variance(x, np.repeat(x[:1], 5, axis=0)) == 0.0


def test_evaluate_reports_them_only_when_asked_and_copies_lack_variance():
    real = noise_images(12)
    mining = ("kmmd_efficientnet", "mv_efficientnet", "sharpness")
    plain, asked = evaluate(real.tensor(), real), evaluate(real.tensor(), real, metrics=mining)
    assert asked["kmmd_efficientnet"] == pytest.approx(0, abs=1e-3)
    assert asked["mv_efficientnet"] == pytest.approx(1, abs=1e-4) and asked["sharpness"] == 1.0
    assert set(asked) == {*mining, "protocol"} and not set(mining) & set(plain)
    assert "Gaussian kernel" in asked["protocol"]["definitions"]["kmmd_efficientnet"]
    copies = Images(real.pixels[:1].repeat(6, 1, 1, 1), "copies").tensor()
    collapsed = evaluate(copies, real, metrics=mining)
    assert collapsed["mv_efficientnet"] < 1e-6 and collapsed["kmmd_efficientnet"] > asked["kmmd_efficientnet"] + 0.1
