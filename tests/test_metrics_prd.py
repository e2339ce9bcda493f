"""PRD meets the official curve, and its two F scores tell lost recall from lost precision."""

import numpy as np
from golden import fill

from fewshotgan.metrics.prd import BETA, f_score, prd, prd_curve


def test_it_meets_the_golden():
    golden = fill.load("metric_prd")
    fake, real = (np.abs(golden.inputs[name].astype(np.float64)) for name in ("hist_eval", "hist_ref"))
    curve = prd_curve(fake / fake.sum(), real / real.sum())
    clustered = prd(golden.inputs["real"], golden.inputs["fake"])
    got = {
        "precision": curve[0],
        "recall": curve[1],
        "f": np.array([f_score(curve, BETA), f_score(curve, 1 / BETA)]),
        "f_emb": np.array([f_score(clustered, BETA), f_score(clustered, 1 / BETA)]),
    }
    for name, (error, limit) in golden.compare(got).items():
        assert error <= limit, (name, error)


def test_equal_sets_have_one_and_a_lost_mode_costs_recall():
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.standard_normal((200, 4)), rng.standard_normal((200, 4)) + 9])
    whole, half = prd(real, real), prd(real, real[:200])
    assert f_score(whole, BETA) > 0.999 and f_score(whole, 1 / BETA) > 0.999
    assert f_score(half, BETA) < 0.6 < 0.9 < f_score(half, 1 / BETA)
