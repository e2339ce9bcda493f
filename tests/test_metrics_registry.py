"""The registry: every metric is described, prints itself and knows which of two values is worse."""

import math

import pytest
import torch

from fewshotgan.files import UserError
from fewshotgan.metrics import METRICS, get_metric


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_is_described(metric):
    assert METRICS[metric.name] is metric and metric.version >= 1 and metric.digits >= 0
    assert metric.direction in ("low", "high", "one", None)
    assert metric.units and metric.range and metric.source
    assert metric.extractor in (None, "efficientnet", "inception")
    assert (metric.extractor == "inception") == (metric.name in ("fid", "kid"))
    assert not metric.is_distance or metric.direction == "low"


def test_the_worse_of_two_values_has_the_larger_loss():
    worse = {"fd_efficientnet": (2, 1), "kd_efficientnet": (0.1, -0.1), "intra_lpips": (0.1, 0.2), "recall": (0, 0.1)}
    worse |= {"mv_efficientnet": (1.6, 1.5), "sharpness": (0.5, 1.5), "memorisation": (1, 0)}
    for name, (bad, good) in worse.items():
        assert METRICS[name].loss(bad) > METRICS[name].loss(good), name
    mv = METRICS["mv_efficientnet"]
    assert mv.loss(2.0) == pytest.approx(mv.loss(0.5)) and mv.loss(1.0) == 0 and mv.loss(0.0) == math.inf
    assert METRICS["intra_lpips"].loss(0.0) == math.inf  # copies
    with pytest.raises(UserError, match="describes and does not judge"):
        METRICS["selector_0"].loss(0.5)


def test_values_are_printed_with_their_digits_and_a_direction_in_words():
    assert METRICS["fd_efficientnet"].text(651.4) == "651" and METRICS["sharpness"].text(0.5) == "0.500"
    assert METRICS["memorisation"].words == "lower is better" and METRICS["recall"].words == "higher is better"
    assert METRICS["sharpness"].words == "real images have 1" and METRICS["selector_0"].words == ""


def test_an_unknown_name_is_one_sentence():
    for name in ("fid50k", "", "x" * 500, None, torch.zeros(1), []):
        with pytest.raises(UserError, match="There is no metric") as refused:
            get_metric(name)
        assert len(str(refused.value)) <= 240
