"""Driving a load: what counts as not sent when Locust ends, dies, or is ended."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from harness.experiments.load_driver import LoadSession

from harness.errors import EnvironmentProblem, StageStuck
from harness.experiments.load_intake import Look
from harness.load import session as sessions
from harness.load.locust_process import LocustOptions
from harness.load.pool import Expectation
from harness.load.samples import LoadStart, Sample, key_of
from harness.load.schedule import POOL_FILES, LoadSpec
from harness.load.state import Figures, LoadState
from harness.observation.settle import Reading
from harness.queues import Depth
from tests.unit.observation.support import depths, reading, totals

SPEC = LoadSpec(seconds=10, rate=100, rows_per_file="fixed:100", arrivals="constant")
PREFIX = "p/"
BUCKET = "uploads"


class FakeLocust:
    """Ends at once with an exit code, or runs on (None)."""

    code: int | None = 0
    pid = 1

    def __init__(self, *_: object) -> None:
        """Start nothing."""

    def __enter__(self) -> FakeLocust:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop nothing."""

    def ended(self) -> int | None:
        return self.code

    def last_words(self) -> str:
        return "no more load today"


class FakeMonitor:
    """Sees a load whose first `sent` files were uploaded, at the first look."""

    sent = SPEC.files
    stopped = True

    def __init__(self, *_: object, **__: object) -> None:
        self.readings: list[Reading] = []
        self.reader = SimpleNamespace(totals=totals())
        self.loads: list[LoadState] = []
        self.usage = SimpleNamespace(follow=lambda *_: None)

    def look(self) -> Any:
        if not self.loads:
            expectations = [Expectation(100, 100, 0, {})] * POOL_FILES
            load = LoadState(LoadStart(1000.0, PREFIX, SPEC, 8, 0), expectations, BUCKET, 3)
            for a in load.arrivals[: self.sent]:
                key = key_of(PREFIX, a.number)
                load.add(Sample(a.number, a.file, key, "v1", 100, 9, 1000.0, 1000.0, 1000.1))
            if self.stopped:
                load.stop()
            self.loads.append(load)
        shown: Any = SimpleNamespace()
        seen = reading(0.0) if not self.readings else self.readings.pop(0)
        return Look(shown, Figures(), seen)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LoadSession:
    """A session on a bucket that holds the files 0 to 6, whatever was reported of them."""
    entries = [{"Key": key_of(PREFIX, number), "VersionId": "v1", "Size": 9} for number in range(7)]
    paginator = SimpleNamespace(paginate=lambda **_: [{"Versions": entries}])
    engine: Any = SimpleNamespace(
        check=lambda: None,
        consumption=lambda: None,
        client=lambda _: SimpleNamespace(get_paginator=lambda _: paginator),
    )
    monkeypatch.setattr(sessions, "count_items", lambda *_: 0)
    monkeypatch.setattr(sessions, "Monitor", FakeMonitor)
    monkeypatch.setattr(sessions, "LocustProcess", FakeLocust)
    monkeypatch.setattr(sessions, "make_pool", lambda *_: [])
    monkeypatch.setattr(sessions, "TICK_SECONDS", 0.0)
    deployment: Any = SimpleNamespace(output=lambda _: BUCKET, parameters={})
    display: Any = SimpleNamespace(show=lambda _: None)
    return LoadSession(engine, deployment, tmp_path, display)


def test_drive_when_every_file_was_sent_leaves_none_unsent(session: LoadSession) -> None:
    session.drive(SPEC, LocustOptions())
    assert [(load.unsent, load.unreported) for load in session.loads] == [(0, 0)]


@pytest.mark.parametrize("code", [0, 1, -9])
def test_drive_when_locust_dies_midway_counts_what_was_not_sent_and_what_it_did_not_report(
    session: LoadSession, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(FakeLocust, "code", code)
    monkeypatch.setattr(FakeMonitor, "sent", 5)
    monkeypatch.setattr(FakeMonitor, "stopped", False)
    session.drive(SPEC, LocustOptions())
    [load] = session.loads
    assert load.stopped
    assert (load.unsent, load.unreported) == (3, 2)
    assert sorted(s.number for s in load.adopted.values()) == [5, 6]


def test_drive_when_a_worker_dies_and_locust_ends_in_order_counts_its_files(
    session: LoadSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeMonitor, "sent", 9)
    session.drive(SPEC, LocustOptions(processes=2))
    assert session.loads[0].unsent == 1


def test_drive_when_the_step_is_decided_does_not_miss_the_rest_of_its_schedule(
    session: LoadSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeLocust, "code", None)
    monkeypatch.setattr(FakeMonitor, "sent", 5)
    monkeypatch.setattr(FakeMonitor, "stopped", False)
    session.drive(SPEC, LocustOptions(), lambda _: True)
    [load] = session.loads
    assert (load.stopped, load.unsent, load.unreported) == (True, 0, 0)
    # Their rows are waited for and audited all the same.
    assert len(load.adopted) == 2


def test_drive_when_locust_dies_in_a_step_that_is_not_decided_counts_what_was_not_sent(
    session: LoadSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeMonitor, "sent", 5)
    session.drive(SPEC, LocustOptions(), lambda _: False)
    assert session.loads[0].unsent == 3


def test_drive_when_ended_in_the_web_ui_counts_nothing_as_unsent(
    session: LoadSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeMonitor, "sent", 5)
    session.drive(SPEC, LocustOptions(web=True))
    assert session.loads[0].unsent == 0


def test_drive_when_nothing_was_uploaded_fails_with_the_last_words_of_locust(
    session: LoadSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeMonitor, "sent", 0)
    with pytest.raises(EnvironmentProblem, match="not a single file was uploaded") as caught:
        session.drive(SPEC, LocustOptions())
    assert "no more load today" in caught.value.hint


def give(session: LoadSession, *readings: Reading) -> list[Reading]:
    """Have the session's next looks find these; returns what is left of them."""
    monitor: Any = session.monitor
    monitor.readings = list(readings)
    return monitor.readings  # type: ignore[no-any-return]


def test_drain_when_rows_are_still_in_the_stream_waits_for_them(session: LoadSession) -> None:
    behind = [reading(float(at), records=4, moved=9) for at in range(5)]
    left = give(session, *behind, reading(6.0, moved=9), reading(7.0, moved=9), reading(8.0))
    session.drain()
    assert len(left) == 1


def test_drain_when_it_has_settled_before_and_nothing_moved_since_returns_at_once(session: LoadSession) -> None:
    left = give(session, *(reading(float(at)) for at in range(5)))
    session.drain()
    assert len(left) == 3
    session.drain()
    assert len(left) == 2


def test_drain_when_nothing_moves_that_should_names_the_stage(
    session: LoadSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "explain", lambda snapshot, totals, under_way: under_way)
    waiting = depths(insert=Depth(visible=3))
    give(session, reading(1.0, depths=waiting), reading(120.0, depths=waiting), reading(121.0, depths=waiting))
    with pytest.raises(StageStuck, match="nothing has moved for 120 s: 3 messages in queues"):
        session.drain()


def test_finish_when_a_row_moved_during_the_audit_audits_again(
    session: LoadSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def audited(bar: Any) -> int:
        made.append(1)
        return len(made)

    monkeypatch.setattr(session, "_audited", audited)
    settled = [reading(1.0), reading(2.0)]
    disturbed = [reading(3.0, moved=8), reading(4.0, moved=8), reading(5.0, moved=8), reading(6.0, moved=8)]
    give(session, *settled, *disturbed)
    bar: Any = None
    assert session.finish(bar) == 2  # type: ignore[comparison-overlap]
