"""Columns, rates and thinning."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.report.series import columns, mean, peak, rates, share, thin
from harness.results import read_lines
from tests.unit.report.support import DATA

counts = st.lists(st.integers(0, 10_000), min_size=1, max_size=60)


def test_columns_when_read_from_a_run_have_one_value_a_look() -> None:
    lines = read_lines(DATA / "run" / "timeseries.jsonl")
    series = columns(lines)
    assert list(series.stages) == ["clean", "insert", "capture", "process", "update"]
    assert series.seconds == [line["elapsed"] for line in lines]
    assert series.stages["update"].rows[-1] == lines[-1]["stages"][4]["rows"] > 0
    for stage in series.stages.values():
        assert {len(column) for column in vars(stage).values()} == {len(lines)}
    assert {len(values) for values in series.cpu.values()} == {len(lines)}


def test_columns_when_a_look_lacks_a_group_have_nothing_there() -> None:
    line = {"elapsed": 1.0, "stages": [], "cpu": {"harness": 0.1}, "memory": {}, "busy": 0.5, "steal": 0.0}
    series = columns([line, {**line, "elapsed": 2.0, "cpu": {"harness": 0.1, "locust": 0.3}}])
    assert series.cpu == {"harness": [0.1, 0.1], "locust": [0.0, 0.3]}


def test_columns_when_there_are_no_lines_are_empty() -> None:
    series = columns([])
    assert (series.seconds, series.stages, series.cpu) == ([], {}, {})


def test_until_when_given_a_moment_keeps_what_was_before() -> None:
    series = columns(read_lines(DATA / "run" / "timeseries.jsonl"))
    early = series.until(5.0)
    assert all(s <= 5.0 for s in early.seconds)
    assert len(early.seconds) == len(early.stages["insert"].rows) == len(early.cpu["harness"]) == len(early.busy)
    assert series.until(float("inf")) == series


def test_rates_when_counts_grow_evenly_are_that_rate_everywhere() -> None:
    seconds = [float(s) for s in range(20)]
    assert rates(seconds, [100 * s for s in range(20)]) == [100.0] * 20


def test_rates_when_a_batch_comes_at_once_spread_it_over_the_window() -> None:
    found = rates([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0, 0, 0, 400, 400, 400], window=4.0)
    assert found == [0.0, 400 / 3, 100.0, 100.0, 400 / 3, 0.0]


def test_rates_when_there_is_one_look_are_nothing() -> None:
    assert rates([3.0], [500]) == [0.0]


@given(counts)
def test_rates_when_counts_never_fall_are_never_negative(values: list[int]) -> None:
    seconds = [float(i) for i in range(len(values))]
    assert all(rate >= 0 for rate in rates(seconds, sorted(values)))


@given(counts, st.integers(1, 20))
def test_thin_when_it_keeps_the_largest_loses_no_peak_and_keeps_the_limit(values: list[int], limit: int) -> None:
    seconds = [float(i) for i in range(len(values))]
    moments, kept = thin(seconds, values, limit)
    assert len(moments) == len(kept) <= limit
    assert max(v for v in kept if v is not None) == max(values)
    assert moments == sorted(moments)
    assert moments[-1] == seconds[-1]


def test_thin_when_a_bin_knows_nothing_says_so() -> None:
    assert thin([1.0, 2.0, 3.0, 4.0], [None, None, 3, None], limit=2) == ([2.0, 4.0], [None, 3])


def test_mean_peak_and_share_when_values_are_missing_leave_them_out() -> None:
    assert mean([None, 2.0, 4.0]) == 3.0
    assert peak([None, 2.0, 4.0]) == 4.0
    assert (mean([None]), peak([]), share([])) == (None, None, 0.0)
    assert share([True, False, False, True]) == 0.5
