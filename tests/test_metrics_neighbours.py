"""Precision, recall and radii meet the official numbers; memorisation is 1 for copies and about 0.01 for real
images.
"""

import numpy as np
import pytest
from golden import fill
from helpers import assert_met

from fewshotgan.metrics import memorisation, precision_recall
from fewshotgan.metrics.neighbours import distances, radii


def slow_share_inside(points, centres, k):
    """Share of points inside a ball of a centre, one pair at a time."""
    reach = [
        sorted(float(np.linalg.norm(c - o)) for j, o in enumerate(centres) if j != i)[k - 1]
        for i, c in enumerate(centres)
    ]
    inside = [any(np.linalg.norm(p - c) < r for c, r in zip(centres, reach, strict=True)) for p in points]
    return sum(inside) / len(inside)


def test_they_meet_the_golden():
    golden = fill.load("metric_pr_knn")
    real, fake, k = golden.inputs["real"], golden.inputs["fake"], golden.spec["call"]["k"]
    precision, recall = precision_recall(real, fake, k)
    got = {f"precision_{code}": precision for code in ("orig", "prdc", "adam")}
    got |= {f"recall_{code}": recall for code in ("orig", "prdc", "adam")}
    got["radii_real"] = radii(real, k)
    assert_met(golden, got, every=False)


@pytest.mark.parametrize("k", [1, 3])
def test_they_equal_the_slow_loops(k):
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((40, 3)), rng.standard_normal((30, 3)) * 0.6 + 0.5
    assert precision_recall(real, fake, k) == (slow_share_inside(fake, real, k), slow_share_inside(real, fake, k))


def test_a_collapsed_generator_is_precise_without_recall():
    real = np.random.default_rng(1).standard_normal((200, 4))
    collapsed = real[:1] + 1e-4 * np.random.default_rng(2).standard_normal((200, 4))
    precision, recall = precision_recall(real, collapsed)
    assert precision == 1.0
    assert recall <= 0.01


def test_distances_by_hand():
    assert distances(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[3.0, 4.0]]))[:, 0] == pytest.approx([5.0, 0.0])


def test_memorisation_is_one_for_copies_and_small_for_real_images():
    rng = np.random.default_rng(3)
    train, held_out, more = (
        rng.standard_normal((10, 16)),
        rng.standard_normal((1000, 16)),
        rng.standard_normal((1000, 16)),
    )
    assert memorisation(train[rng.integers(0, 10, 50)], train, held_out) == 1.0
    assert memorisation(held_out, train, held_out) == pytest.approx(0.01, abs=0.001)
    assert memorisation(more, train, held_out) < 0.03
    half = np.concatenate([train[rng.integers(0, 10, 500)] + 1e-3, more[:500] + 5])
    assert memorisation(half, train, held_out) == 0.5
