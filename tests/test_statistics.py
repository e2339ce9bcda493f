"""The tests behind claims: identical methods get a verdict in at most 5 % of cases, and what they see beside."""

from itertools import product
from math import inf, log

import numpy as np
import pytest

from fewshotgan.bench.power import draw, power_table, rates
from fewshotgan.bench.statistics import ENOUGH, LEVEL, MARGIN, advantage, compare, compare_all, corrected, slopes

SIZES = np.arange(1, ENOUGH + 1) / 100


def test_of_all_signs_that_ten_pairs_without_a_difference_can_have_at_most_5_percent_are_decided():
    signs = np.array(list(product((-1, 1), repeat=ENOUGH)))
    assert 0.04 < rates(signs * SIZES).decided <= LEVEL


@pytest.mark.parametrize("ratio", [1.0, 10.0])
def test_identical_methods_get_a_verdict_in_at_most_5_percent_of_cases(ratio):
    rng, trials = np.random.default_rng(0), 20_000
    noise = 3 * (LEVEL * (1 - LEVEL) / trials) ** 0.5  # three standard deviations of the simulation itself
    assert rates(draw(10, 0.0, ratio, trials, rng)).decided <= LEVEL + noise
    distances = rng.normal(600, 8, (trials, 10)), rng.normal(600, 8 * ratio, (trials, 10))  # not log-normal
    assert rates(np.log(distances[1]) - np.log(distances[0])).decided <= LEVEL + noise


@pytest.mark.parametrize("ratio", [1.0, 10.0])
def test_in_a_paper_of_twenty_claims_without_a_difference_few_have_any_verdict(ratio):
    rng, papers = np.random.default_rng(1), 60
    decided = 0
    for _ in range(papers):
        chances = corrected([compare(each) for each in draw(10, 0.0, ratio, 20, rng)])
        decided += min(chances) <= LEVEL
    assert decided <= 2 * LEVEL * papers


def test_the_power_at_one_standard_deviation(capsys):
    rng = np.random.default_rng(2)
    found = {pairs: rates(draw(pairs, 1.0, 1.0, 4000, rng)) for pairs in (10, 20)}
    assert found[10].holds > 0.45 and found[20].holds > 0.8 and found[10].fails < 0.001
    assert rates(draw(10, -2 * MARGIN / 0.05, 1.0, 1000, rng), MARGIN).holds < 0.01
    with capsys.disabled():
        print(f"\npower at one standard deviation: {found[10].holds:.0%} of 10 pairs, {found[20].holds:.0%} of 20")
    text = power_table((10,), 200)
    assert "better by one standard deviation" in text and text.count("%") >= 14


def test_a_collapsed_run_counts_by_rank():
    ahead = [0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17, 0.18, 0.19]
    assert compare(ahead).both < 0.01
    assert compare([*ahead[:9], -inf]).both == compare([*ahead[:9], -9.0]).both > 0.04
    assert compare([*ahead[:9], inf]).both == compare(ahead).both
    assert compare([*ahead[:8], -inf, -inf]).both > 0.3
    assert advantage(inf, inf) == 0 and advantage(1, inf) == inf and advantage(inf, 1) == -inf
    assert compare([*ahead, 0.0]).both == pytest.approx(compare(ahead).both)  # where both collapsed


def test_too_few_pairs_and_no_difference_at_all_decide_nothing():
    assert compare([]).both == compare([1.0] * (ENOUGH - 1)).both == compare([0.0] * 20).both == 1
    assert corrected([]) == []


def test_best_or_tied_is_a_test_against_a_margin():
    level = SIZES * np.resize([-0.1, 0.1], ENOUGH)
    assert compare(level).both > 0.5 and compare(level, MARGIN).better < 0.001
    far = level - 2 * MARGIN
    assert compare(far, MARGIN).worse < 0.001
    assert compare_all([level, level], MARGIN).better < 0.001 < 0.9 < compare_all([level, far], MARGIN).better
    assert compare_all([level, far], MARGIN).worse == pytest.approx(2 * compare(far, MARGIN).worse)
    assert log(1.1) == MARGIN


def test_the_correction_is_that_of_benjamini_and_hochberg():
    ahead, luck = compare(SIZES), compare([-0.01, *SIZES[1:8], -0.03, 0.02])
    assert ahead.both <= LEVEL / 20 < luck.both
    assert corrected([ahead] * 3) == pytest.approx([ahead.both] * 3)
    assert corrected([ahead, luck])[0] == pytest.approx(2 * ahead.both)


@pytest.mark.parametrize("spreads", [(1, 1, 1, 1), (8, 4, 2, 1), (1, 10, 10, 1), (10, 1, 1, 10)])
def test_without_a_trend_at_most_5_percent_are_decided_however_spreads_differ(spreads):
    rng, trials = np.random.default_rng(3), 8000
    noise = 3 * (LEVEL * (1 - LEVEL) / trials) ** 0.5
    gains = rng.normal(size=(trials, 10, 4)) * spreads + rng.normal(size=(trials, 10, 1))
    assert rates(slopes((1, 2, 3, 4), gains)).decided <= LEVEL + noise


def test_the_power_for_a_trend():
    rng = np.random.default_rng(4)
    falling = (3 - np.arange(4)) / 2  # by one and a half standard deviations of a gain in all
    found = rates(-slopes((1, 2, 3, 4), rng.normal(size=(4000, 10, 4)) + falling))
    assert found.holds > 0.8 and found.fails < 0.001


def test_a_slope_is_that_of_the_line_and_takes_collapsed_runs():
    x = (1.0, 2.0, 3.0, 3.6)
    gains = np.array([np.polyval([-0.5, 2], x), [0.3, 0.1, 0.5, 0.2]])
    assert slopes(x, gains) == pytest.approx([-0.5, np.polyfit(x, gains[1], 1)[0]])
    assert slopes((1, 2, 3), np.array([[inf, 0, 0], [0, inf, 0], [0, 0, inf], [inf, 0, inf]])).tolist() == [
        -inf,
        0,
        inf,
        0,
    ]
