"""Events travel from Locust to the harness as lines, each read once and only when complete."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.load.samples import (
    EventWriter,
    LineFollower,
    LoadStart,
    LoadStop,
    Sample,
    event_of,
    key_of,
    number_in,
)
from harness.load.schedule import LoadSpec

START = LoadStart(12.5, "p/", LoadSpec(shape="ramp"), 8, 2)
SAMPLE = Sample(3, 7, "p/000003.csv", "v1", 100, 2000, 13.0, 13.1, 13.2)


def test_events_when_written_come_back_equal_and_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writer, follower = EventWriter(path), LineFollower(path)
    writer.write(START)
    writer.write(SAMPLE)
    assert [event_of(line) for line in follower.read()] == [START, SAMPLE]
    assert follower.read() == []
    writer.write(LoadStop(4))
    assert [event_of(line) for line in follower.read()] == [LoadStop(4)]
    writer.close()


def test_read_when_the_file_is_missing_gives_nothing_until_it_appears(tmp_path: Path) -> None:
    follower = LineFollower(tmp_path / "later")
    assert follower.read() == []
    (tmp_path / "later").write_text('{"a": 1}\n')
    assert follower.read() == [{"a": 1}]


def test_read_when_a_line_is_half_written_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    follower = LineFollower(path)
    path.write_text('{"a": 1}\n{"b"')
    assert follower.read() == [{"a": 1}]
    with path.open("a") as file:
        file.write(": 2}\n")
    assert follower.read() == [{"b": 2}]


def test_read_when_a_line_is_not_json_raises(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("oops\n")
    with pytest.raises(HarnessError, match="no event"):
        LineFollower(tmp_path / "lines").read()


@pytest.mark.parametrize(
    "line", [{"event": "pause"}, {}, {"event": "sample", "number": 1}, {"event": "start"}, {"event": "stop", "x": 1}]
)
def test_event_of_when_a_line_is_not_an_event_raises(line: dict[str, object]) -> None:
    with pytest.raises(HarnessError, match="Locust sent"):
        event_of(line)


@given(st.integers(0, 10_000_000))
def test_key_of_when_read_back_gives_the_number(number: int) -> None:
    assert number_in(key_of("uploads/load/abc/", number)) == number


def test_source_when_the_key_or_version_differs_differs() -> None:
    other = Sample(3, 7, "p/000003.csv", "v2", 100, 2000, 13.0, 13.1, 13.2)
    assert SAMPLE.source("b").source_id != other.source("b").source_id
