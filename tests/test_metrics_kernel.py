"""The kernel distance meets clean-fid's numbers and two loops."""

import numpy as np
import pytest
from golden import fill
from helpers import assert_met

from fewshotgan.metrics import kernel_distance, kernel_variance


def slow_mmd2(x, y):
    """The estimator, one pair at a time; the cross term is divided by m^2, as clean-fid does."""
    m, d = x.shape
    within = sum((x[i] @ x[j] / d + 1) ** 3 + (y[i] @ y[j] / d + 1) ** 3 for i in range(m) for j in range(m) if i != j)
    across = sum((x[i] @ y[j] / d + 1) ** 3 for i in range(m) for j in range(m))
    return within / (m * (m - 1)) - 2 * across / m**2


def test_it_meets_the_golden():
    golden = fill.load("metric_fid_kid")
    real, fake, call = golden.inputs["real"], golden.inputs["fake"], golden.spec["call"]
    rng = np.random.RandomState(call["np_seed"])
    got = {
        "kid_full": kernel_distance(real, fake, subsets=4, subset_size=10**6),
        "kid_subsets": kernel_distance(real, fake, call["n_subsets"], call["subset_size"], rng),
    }
    assert_met(golden, got, every=False)


def test_its_variance_meets_the_golden():
    golden = fill.load("metric_kid_mmd")
    a, b = (golden.inputs[name].astype(np.float64) for name in ("a", "b"))
    got = {"var": kernel_variance(a, b), "mmd2": kernel_distance(a, b)}
    for name, (error, limit) in golden.compare(got).items():
        assert error <= limit, name


def test_its_variance_is_that_of_repeated_draws():
    x, y = np.random.default_rng(4).standard_normal((2, 300, 40, 3))
    drawn = [kernel_distance(a, b + 0.3) for a, b in zip(x, y, strict=True)]
    estimated = [kernel_variance(a, b + 0.3) for a, b in zip(x, y, strict=True)]
    assert np.mean(estimated) == pytest.approx(np.var(drawn), rel=0.3)


def test_it_equals_the_slow_loops():
    x, y = np.random.default_rng(1).standard_normal((2, 12, 5))
    assert kernel_distance(x, y + 0.4) == pytest.approx(slow_mmd2(x, y + 0.4), rel=1e-12)


def test_it_is_the_same_at_each_call_and_grows_with_the_shift():
    x, y = np.random.default_rng(2).standard_normal((2, 60, 5))
    near, far = (kernel_distance(x, y[:40] + shift, subsets=10) for shift in (0.0, 1.0))
    assert near == kernel_distance(x, y[:40], subsets=10)
    assert abs(near) < 0.3 < far


def test_it_is_unbiased_for_one_distribution():
    x, y = np.random.default_rng(3).standard_normal((2, 400, 5))
    values = [kernel_distance(x[i : i + 20], y[i : i + 20]) for i in range(0, 400, 20)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0
