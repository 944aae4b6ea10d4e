"""Spread of repetitions: median, interval, relative width."""

from __future__ import annotations

import random
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.spread import INTERVAL_VALUES, median_interval_rank, spread

values = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60)


def test_spread_when_values_are_few_gives_their_range() -> None:
    found = spread([12.0, 10.0, 11.0])
    assert (found.median, found.low, found.high, found.is_interval) == (11.0, 10.0, 12.0, False)
    assert found.relative == pytest.approx(2 / 11)
    assert found.values == (12.0, 10.0, 11.0)


def test_spread_when_there_is_one_value_has_no_width() -> None:
    found = spread([7.0])
    assert (found.median, found.low, found.high, found.relative) == (7.0, 7.0, 7.0, 0.0)


def test_spread_when_the_median_is_0_has_a_relative_width_of_0() -> None:
    assert spread([-1.0, 0.0, 1.0]).relative == 0.0


@pytest.mark.parametrize(("count", "rank"), [(1, 0), (5, 0), (6, 0), (8, 0), (9, 1), (12, 2), (20, 5), (100, 39)])
def test_median_interval_rank_when_looked_up_matches_published_tables(count: int, rank: int) -> None:
    # W. J. Conover, Practical Nonparametric Statistics: 95% intervals of the median; rank counts values left out.
    assert median_interval_rank(count) == rank


@given(st.integers(INTERVAL_VALUES, 200))
def test_median_interval_rank_when_one_more_value_were_left_out_exceeds_five_percent(count: int) -> None:
    rank = median_interval_rank(count)

    def misses(r: int) -> float:
        return float(2 * sum(comb(count, k) for k in range(r + 1)) / 2**count)

    assert misses(rank) <= 0.05 < misses(rank + 1)


@pytest.mark.parametrize("given_values", [[], [float("nan")], [1.0, float("inf")]])
def test_spread_when_values_cannot_be_used_raises(given_values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite values"):
        spread(given_values)


@given(values)
def test_spread_when_given_any_values_encloses_their_median(given_values: list[float]) -> None:
    found = spread(given_values)
    assert min(given_values) <= found.low <= found.median <= found.high <= max(given_values)
    assert found.is_interval == (len(given_values) >= INTERVAL_VALUES)
    assert found.relative >= 0


@given(values, st.randoms(use_true_random=False))
def test_spread_when_values_come_in_another_order_is_the_same(
    given_values: list[float], generator: random.Random
) -> None:
    shuffled = list(given_values)
    generator.shuffle(shuffled)
    one, other = spread(given_values), spread(shuffled)
    assert (one.median, one.low, one.high) == (other.median, other.low, other.high)


def test_spread_when_sampled_often_encloses_the_true_median_at_least_95_times_in_100() -> None:
    generator = random.Random(3)
    hits = 0
    for _ in range(2000):
        found = spread([generator.lognormvariate(0, 0.5) for _ in range(9)])
        hits += found.low <= 1.0 <= found.high
    assert hits / 2000 >= 0.94
