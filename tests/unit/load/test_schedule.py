"""The schedule is known up front, the same on any machine, and follows its shape."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.load.schedule import ARRIVALS, MAX_FILES, POOL_FILES, SHAPES, SPIKE_FACTOR, LoadSpec, schedule

SPECS = st.builds(
    LoadSpec,
    shape=st.sampled_from(SHAPES),
    seconds=st.floats(1, 500),
    rate=st.floats(1, 5000),
    rows_per_file=st.sampled_from(["fixed:100", "uniform:50:500", "lognormal:200:0.8:4000", "choice:50=3,2000=1"]),
    arrivals=st.sampled_from(ARRIVALS),
    seed=st.integers(0, 50),
)


@given(SPECS)
def test_schedule_when_made_is_ordered_numbered_complete_and_inside_its_time(spec: LoadSpec) -> None:
    arrivals = schedule(spec)
    assert [a.number for a in arrivals] == list(range(spec.files))
    assert all(0 <= a.offset <= spec.seconds for a in arrivals)
    assert all(one.offset <= two.offset for one, two in pairwise(arrivals))
    assert all(0 <= a.file < POOL_FILES for a in arrivals)


@given(SPECS)
def test_schedule_when_made_twice_is_the_same(spec: LoadSpec) -> None:
    assert schedule(spec) == schedule(replace(spec))


@given(SPECS)
def test_schedule_when_dealing_files_uses_each_of_the_pool_about_as_often(spec: LoadSpec) -> None:
    uses = Counter(a.file for a in schedule(spec))
    assert max(uses.values()) - min(uses.get(file, 0) for file in range(POOL_FILES)) <= 1


@given(SPECS)
def test_files_when_the_rate_is_given_offer_it_to_within_half_a_file(spec: LoadSpec) -> None:
    mean = sum(spec.sizes) / POOL_FILES
    assert abs(spec.files * mean - spec.rate * spec.seconds) <= mean / 2 + 1e-6 or spec.files == 1


def test_schedule_when_the_seed_differs_differs() -> None:
    assert schedule(LoadSpec(seed=1)) != schedule(LoadSpec(seed=2))


def test_schedule_when_constant_and_steady_is_evenly_spaced() -> None:
    spec = LoadSpec(seconds=10, rate=100, rows_per_file="fixed:100", arrivals="constant")
    assert [a.offset for a in schedule(spec)] == pytest.approx([0.5 + i for i in range(10)])


def test_schedule_when_ramping_has_a_quarter_in_the_first_half() -> None:
    spec = LoadSpec(shape="ramp", seconds=100, rate=1000, rows_per_file="fixed:10", arrivals="constant")
    offsets = [a.offset for a in schedule(spec)]
    assert sum(offset < 50 for offset in offsets) == pytest.approx(spec.files / 4, abs=1)


def test_schedule_when_spiking_has_the_factor_in_the_middle_tenth_and_the_rest_even() -> None:
    spec = LoadSpec(shape="spike", seconds=100, rate=1000, rows_per_file="fixed:10", arrivals="constant")
    tenths = Counter(int(a.offset // 5) for a in schedule(spec))
    base = tenths[0]
    assert [tenths[i] for i in (9, 10)] == pytest.approx([SPIKE_FACTOR * base] * 2, rel=0.01)
    assert [tenths[i] for i in (*range(9), *range(11, 20))] == pytest.approx([base] * 18, rel=0.01)


def test_schedule_when_poisson_has_gaps_that_vary_like_an_exponential() -> None:
    spec = LoadSpec(seconds=1000, rate=1000, rows_per_file="fixed:100")
    gaps = [two.offset - one.offset for one, two in pairwise(schedule(spec))]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    # The standard deviation of an exponential is its mean; that of even spacing would be nothing.
    assert deviation / mean == pytest.approx(1, abs=0.05)


def test_corpora_when_made_have_the_sizes_and_seeds_of_their_own() -> None:
    spec = LoadSpec(seed=3, dirty=0.1, poison=0.01)
    corpora = spec.corpora()
    assert tuple(c.rows for c in corpora) == spec.sizes
    assert len({c.seed for c in corpora}) == POOL_FILES
    assert {(c.dirty, c.quarantine, c.poison) for c in corpora} == {(0.1, 0.0, 0.01)}
    assert not {c.seed for c in corpora} & {c.seed for c in LoadSpec(seed=4).corpora()}


def test_spec_when_written_as_json_comes_back() -> None:
    spec = LoadSpec(shape="spike", seconds=3.5, rate=7.25, seed=9)
    assert LoadSpec(**spec.to_json()) == spec


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"shape": "square"}, "'square' is not known"),
        ({"arrivals": "bursts"}, "'bursts' are not known"),
        ({"seconds": 0}, "--seconds is 0"),
        ({"seconds": float("inf")}, "--seconds is inf"),
        ({"rate": -1}, "--rate is -1"),
        ({"rate": float("nan")}, "--rate is nan"),
        ({"rows_per_file": "fixed:0"}, "0 rows"),
        ({"rate": MAX_FILES + 1, "seconds": 1, "rows_per_file": "fixed:1"}, "files are more than"),
    ],
)
def test_spec_when_a_value_cannot_be_used_says_why(changes: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        LoadSpec(**changes)  # type: ignore[arg-type]
