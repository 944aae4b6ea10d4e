"""Rows per file: parsed, bounded, and true to their distribution."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.load.distribution import MAX_ROWS, parse

TEXTS = st.one_of(
    st.integers(1, MAX_ROWS).map(lambda n: f"fixed:{n}"),
    st.tuples(st.integers(1, 5000), st.integers(0, 5000)).map(lambda p: f"uniform:{p[0]}:{p[0] + p[1]}"),
    st.tuples(st.integers(1, 5000), st.floats(0.01, 5), st.integers(1, MAX_ROWS)).map(
        lambda p: f"lognormal:{p[0]}:{p[1]}:{p[2]}"
    ),
    st.lists(st.tuples(st.integers(1, 5000), st.floats(0.1, 10)), min_size=1, max_size=5).map(
        lambda parts: "choice:" + ",".join(f"{rows}={weight}" for rows, weight in parts)
    ),
)


@given(TEXTS, st.floats(0.0001, 0.9999), st.floats(0.0001, 0.9999))
def test_quantile_when_the_share_grows_never_falls_and_stays_in_bounds(text: str, one: float, two: float) -> None:
    distribution = parse(text)
    low, high = sorted((one, two))
    assert 1 <= distribution.quantile(low) <= distribution.quantile(high) <= MAX_ROWS


@given(TEXTS, st.integers(1, 100))
def test_sizes_when_asked_for_gives_as_many_in_ascending_order(text: str, count: int) -> None:
    sizes = parse(text).sizes(count)
    assert len(sizes) == count
    assert list(sizes) == sorted(sizes)


def test_sizes_when_fixed_are_all_the_same() -> None:
    assert parse("fixed:1000").sizes(4) == (1000, 1000, 1000, 1000)


def test_sizes_when_uniform_give_every_count_its_share() -> None:
    assert parse("uniform:1:4").sizes(8) == (1, 1, 2, 2, 3, 3, 4, 4)


def test_sizes_when_choice_follow_the_weights() -> None:
    assert parse("choice:5000=1,100=3").sizes(4) == (100, 100, 100, 5000)


def test_sizes_when_choice_has_no_weights_are_even() -> None:
    assert parse("choice:30,10").sizes(4) == (10, 10, 30, 30)


def test_sizes_when_lognormal_have_its_median_and_mean_and_keep_its_limit() -> None:
    sizes = parse("lognormal:1000:0.5:100000").sizes(2001)
    assert sizes[1000] == 1000
    assert fmean(sizes) == pytest.approx(1000 * math.exp(0.125), rel=0.01)
    assert max(parse("lognormal:1000:2:3000").sizes(200)) == 3000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("normal:5", "'normal' is no distribution"),
        ("", "is no distribution"),
        ("fixed", "invalid literal"),
        ("fixed:0", "0 rows are not between"),
        ("fixed:1000001", "1000001 rows are not between"),
        ("fixed:-5", "-5 rows are not between"),
        ("fixed:many", "invalid literal"),
        ("uniform:5", "2 numbers are needed, 1 are given"),
        ("uniform:9:3", "9 is more than 3"),
        ("lognormal:100:0.5", "3 numbers are needed"),
        ("lognormal:100:0:500", "sigma 0 is not a positive number"),
        ("lognormal:100:nan:500", "sigma nan is not"),
        ("lognormal:100:inf:500", "sigma inf is not"),
        ("choice:", "invalid literal"),
        ("choice:5=0", "weight 0 is not a positive number"),
        ("choice:5=x", "could not convert"),
    ],
)
def test_parse_when_the_text_is_wrong_says_why(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse(text)
