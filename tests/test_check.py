"""The bench says where it is fit: the source at its bar, and fine-tuning nearer than both controls."""

from dataclasses import replace

import pytest

from fewshotgan.bench.check import NOT_RUN, Fitness

FIT = Fitness("s", "t", 0.2, 0.25, 800.0, 500.0, 0.1, 1.0, 50.0, ("TransferGAN, rate 0.002, 125", 400.0), True)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "fit"),
        ({"ratio": 0.25}, "fit"),
        ({"ratio": 0.26}, "the source misses its bar"),
        ({"repeated": 400.0}, "fine-tuning loses to the shots repeated"),
        ({"as_it_is": 300.0, "repeated": 350.0}, "fine-tuning loses to the source as it is and the shots repeated"),
        ({"ratio": 0.3, "as_it_is": 300.0}, "the source misses its bar; fine-tuning loses to the source as it is"),
        ({"tuned": None}, NOT_RUN),
        ({"as_it_is": None}, NOT_RUN),
    ],
)
def test_a_target_is_fit_or_says_why_not(changes, verdict):
    assert replace(FIT, **changes).verdict == verdict
