"""Latencies: which percentiles a sample supports, and what is recorded."""

from __future__ import annotations

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.latency import MAX_MICROSECONDS, PERCENTILES, Latency, supported_percentiles


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, ()),
        (4, ()),
        (5, (50.0,)),
        (99, (50.0,)),
        (100, (50.0, 90.0)),
        (199, (50.0, 90.0)),
        (200, (50.0, 90.0, 95.0)),
        (999, (50.0, 90.0, 95.0)),
        (1000, (50.0, 90.0, 95.0, 99.0)),
        (9_999, (50.0, 90.0, 95.0, 99.0)),
        (10_000, PERCENTILES),
    ],
)
def test_supported_percentiles_when_samples_grow_adds_them_at_ten_samples_beyond(
    count: int, expected: tuple[float, ...]
) -> None:
    assert supported_percentiles(count) == expected


@given(st.integers(0, 20_000))
def test_supported_percentiles_when_a_sample_is_added_never_loses_one(count: int) -> None:
    assert set(supported_percentiles(count)) <= set(supported_percentiles(count + 1))


def test_to_json_when_a_hundred_values_are_recorded_gives_hand_computed_figures() -> None:
    latency = Latency()
    for milliseconds in range(1, 101):
        latency.record(milliseconds / 1000)
    found = latency.to_json()
    assert (found["count"], found["min"], found["mean"], found["max"]) == (100, 1.0, 50.5, 100.0)
    assert list(found["percentiles"]) == ["50", "90"]
    assert found["percentiles"]["50"] == pytest.approx(50, rel=0.002)
    assert found["percentiles"]["90"] == pytest.approx(90, rel=0.002)


def test_to_json_when_percentiles_have_decimals_names_them_as_they_are_written() -> None:
    latency = Latency()
    for _ in range(10_000):
        latency.record(0.02)
    assert list(latency.to_json()["percentiles"]) == ["50", "90", "95", "99", "99.9"]


def test_to_json_when_nothing_was_recorded_gives_no_figures() -> None:
    assert Latency().to_json() == {"count": 0, "min": None, "mean": None, "max": None, "percentiles": {}}


@pytest.mark.parametrize("seconds", [-0.001, float("nan")])
def test_record_when_a_duration_cannot_be_raises_and_counts_nothing(seconds: float) -> None:
    latency = Latency()
    with pytest.raises(ValueError, match="cannot be recorded"):
        latency.record(seconds)
    assert latency.count == 0


def test_record_when_longer_than_a_day_counts_it_as_a_day_in_percentiles() -> None:
    latency = Latency()
    for _ in range(5):
        latency.record(2 * 24 * 3600)
    assert latency.count == 5
    assert latency.to_json()["percentiles"]["50"] == pytest.approx(MAX_MICROSECONDS / 1000, rel=0.002)
    assert latency.to_json()["max"] == 2 * 24 * 3600 * 1000


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300))
def test_encode_when_decoded_gives_the_same_counts(seconds: list[float]) -> None:
    latency = Latency()
    for value in seconds:
        latency.record(value)
    decoded = HdrHistogram.decode(latency.encode())
    assert decoded.get_total_count() == len(seconds) == latency.count
