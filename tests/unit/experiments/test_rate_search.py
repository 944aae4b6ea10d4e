"""Which rates are sustained, and how the search closes in on the highest."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.experiments.rate_search import MIN_POINTS, RateSearch, StepVerdict, judge, student_quantile, trend

TIMES = [float(i) for i in range(15)]


def noisy(slope: float, seed: int, *, follow: float = 0.5, size: float = 100.0) -> list[float]:
    """A backlog of 2,000 rows with a slope, and noise in which neighbours resemble each other."""
    draw = random.Random(seed)
    values, noise = [], 0.0
    for t in TIMES:
        noise = follow * noise + draw.gauss(0, size)
        values.append(2000 + slope * t + noise)
    return values


@pytest.mark.parametrize(
    ("freedom", "expected"), [(5, 2.015), (6, 1.943), (10, 1.812), (13, 1.771), (20, 1.725), (100, 1.660)]
)
def test_student_quantile_when_compared_with_tables_agrees(freedom: int, expected: float) -> None:
    assert student_quantile(0.95, freedom) == pytest.approx(expected, rel=0.01)


@given(st.floats(-1e4, 1e4), st.floats(-1e5, 1e5))
def test_trend_when_the_line_is_exact_finds_it_without_doubt(slope: float, start: float) -> None:
    found = trend(TIMES, [start + slope * t for t in TIMES])
    assert found.slope == pytest.approx(slope, abs=1e-6)
    assert found.high - found.low == pytest.approx(0, abs=1e-4)


def test_trend_when_values_alternate_has_the_hand_computed_slope() -> None:
    # Sum of (t - 3.5)(v - 0.5) over sum of (t - 3.5)^2 = 2 / 42.
    found = trend([float(i) for i in range(8)], [0, 1, 0, 1, 0, 1, 0, 1])
    assert found.slope == pytest.approx(2 / 42)
    assert found.low < 0 < found.high


def test_trend_when_neighbours_resemble_each_other_has_a_wider_interval() -> None:
    waves = [math.sin(t / 3) * 100 for t in TIMES]
    shuffled = waves[:]
    random.Random(3).shuffle(shuffled)
    smooth, rough = trend(TIMES, waves), trend(TIMES, shuffled)
    assert smooth.high - smooth.low > rough.high - rough.low


@pytest.mark.parametrize(("times", "values"), [([1.0] * 3, [1.0] * 3), (TIMES, TIMES[:-1]), ([1.0] * 9, [2.0] * 9)])
def test_trend_when_points_make_no_line_raises(times: list[float], values: list[float]) -> None:
    with pytest.raises(ValueError, match="points"):
        trend(times, values)


def test_judge_when_the_backlog_is_level_says_sustained() -> None:
    verdicts = [judge(TIMES, noisy(0, seed), 2000).verdict for seed in range(200)]
    assert verdicts.count(StepVerdict.SUSTAINED) > 150
    assert verdicts.count(StepVerdict.NOT_SUSTAINED) < 10


def test_judge_when_the_backlog_falls_says_sustained() -> None:
    assert judge(TIMES, noisy(-200, 1), 2000).verdict is StepVerdict.SUSTAINED


def test_judge_when_a_quarter_of_the_rate_piles_up_says_not_sustained() -> None:
    verdicts = [judge(TIMES, noisy(500, seed), 2000).verdict for seed in range(200)]
    assert verdicts.count(StepVerdict.NOT_SUSTAINED) > 190
    assert verdicts.count(StepVerdict.SUSTAINED) == 0


def test_judge_when_noise_hides_the_slope_is_undecided() -> None:
    found = judge(TIMES, noisy(60, 4, size=3000), 2000)
    assert found.verdict is StepVerdict.UNDECIDED
    assert "would be bounded" in found.reason


def test_judge_when_there_are_too_few_looks_is_undecided_and_says_so() -> None:
    found = judge(TIMES[: MIN_POINTS - 1], TIMES[: MIN_POINTS - 1], 100)
    assert (found.verdict, found.trend) == (StepVerdict.UNDECIDED, None)
    assert "7 looks" in found.reason


def test_judge_when_growth_is_certain_but_within_tolerance_says_sustained() -> None:
    assert judge(TIMES, [40 * t for t in TIMES], 1000).verdict is StepVerdict.SUSTAINED


@given(st.floats(10, 100_000), st.floats(10, 5000))
def test_search_when_there_is_a_threshold_closes_in_on_it(threshold: float, start: float) -> None:
    search = RateSearch(start, 1.6, 0.1)
    tried = 0
    while not search.done:
        rate = search.next_rate()
        assert search.low < rate < search.high
        search.record(rate, rate <= threshold)
        tried += 1
        assert tried < 100
    assert search.low <= threshold < search.high <= search.low * 1.1 * (1 + 1e-9)


def test_search_when_rates_are_sustained_rises_then_halves() -> None:
    search = RateSearch(100, 2, 0.3)
    rates = []
    while not search.done:
        rates.append(search.next_rate())
        search.record(rates[-1], rates[-1] <= 250)
    assert rates == pytest.approx([100, 200, 400, 200 * math.sqrt(2), 200 * 2**0.25])
    assert (search.low, search.high) == pytest.approx((200 * 2**0.25, 200 * math.sqrt(2)))


@pytest.mark.parametrize("arguments", [(0, 2, 0.1), (100, 1, 0.1), (100, 2, 0)])
def test_search_when_it_could_not_move_is_refused(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="must be above"):
        RateSearch(*arguments)
