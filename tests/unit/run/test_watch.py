"""Watching ends when nothing is under way, with sums that hold every line, and says how much of the machine it had."""

from __future__ import annotations

import io
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from harness.engines.base import Activity, Engine
from harness.errors import StageStuck
from harness.run import watch as watch_module
from harness.run.display import make_display
from harness.run.usage import machine_shares
from harness.run.watch import Watcher
from harness.stages import STAGES
from tests.unit.run.support import activity, depths
from tests.unit.test_telemetry import FakeLogs, emf

Times = namedtuple("Times", "user nice system idle iowait irq softirq steal")


class LateLogs(FakeLogs):
    """Shows one line of process, older than those already shown, only once the run has been looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.late: dict[str, Any] | None = {"eventId": "late", "timestamp": 1000, "message": emf(ok=7)}

    def filter_log_events(self, **arguments: Any) -> dict[str, Any]:
        answer = super().filter_log_events(**arguments)
        if arguments["logGroupName"] == "process" and self.late:
            self.groups["process"].insert(0, self.late)
            self.late = None
        return answer


class FakeQueues:
    """Every queue is empty."""

    def get_queue_attributes(self, **_: Any) -> Any:
        return {"Attributes": {}}


class FakeEngine:
    """Tells the activities given, one a look, the last one again and again; its clock goes on a second a look."""

    def __init__(self, logs: FakeLogs, *activities: Activity) -> None:
        self.logs = logs
        self.activities = list(activities)
        self.looks = 0

    def client(self, service: str) -> Any:
        return self.logs if service == "logs" else FakeQueues()

    def check(self) -> None:
        """Be well."""

    def activity(self) -> Activity:
        self.looks += 1
        return self.activities.pop(0) if len(self.activities) > 1 else self.activities[0]

    def awake(self) -> float:
        return float(self.looks * 10)


def logs() -> LateLogs:
    found = LateLogs()
    for stage in STAGES:
        found.groups[stage.name] = [{"eventId": stage.name, "timestamp": 90_000, "message": emf(ok=10)}]
    return found


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watcher]]:
    monkeypatch.setattr(watch_module, "TICK_SECONDS", 0.0)
    names = {stage.log_group: stage.name for stage in STAGES}
    deployment: Any = SimpleNamespace(output=lambda key: names.get(key, key), parameters={})
    with ExitStack() as stack:

        def make(engine: FakeEngine, **changed: Any) -> Watcher:
            display = make_display(Console(file=io.StringIO()), quiet=True)
            given: dict[str, Any] = {
                "before": depths(),
                "stall_timeout": 100.0,
                "series": tmp_path / "series.jsonl",
                "began": 0.0,
                "clock": SimpleNamespace(awake=engine.awake),
            }
            watcher = Watcher(cast(Engine, engine), deployment, 10, {"s1"}, display, **{**given, **changed})
            return stack.enter_context(watcher)

        yield make


def test_watch_when_a_line_comes_late_and_out_of_order_counts_it_in_the_end(watch: Callable[..., Watcher]) -> None:
    watcher = watch(FakeEngine(logs(), activity(1.0), activity(2.0)))
    watcher.settle()
    watched = watcher.watched()
    live = {stage.name: stage.rows for stage in watched.snapshot.stages}
    assert live["process"] == 10
    assert watched.totals["process"].rows_ok == 17
    assert watched.totals["update"].rows_ok == 10


def test_watch_when_counts_are_complete_but_the_stream_is_not_read_goes_on(watch: Callable[..., Watcher]) -> None:
    behind = [activity(float(at), records=40, streams_read_at=None) for at in range(5)]
    engine = FakeEngine(logs(), *behind, activity(6.0), activity(7.0))
    watcher = watch(engine)
    watcher.settle()
    assert engine.looks == 7
    assert watcher.undisturbed()


def test_watch_when_something_moves_after_it_settled_is_disturbed(watch: Callable[..., Watcher]) -> None:
    engine = FakeEngine(logs(), activity(1.0), activity(2.0))
    watcher = watch(engine)
    watcher.settle()
    engine.activities = [activity(3.0, moved=8)]
    assert not watcher.undisturbed()
    engine.activities = [activity(float(at), moved=8) for at in (4, 5)]
    watcher.settle()
    assert watcher.undisturbed()


def test_watch_when_nothing_moves_that_should_says_what_is_under_way(watch: Callable[..., Watcher]) -> None:
    engine = FakeEngine(logs(), activity(1.0, events=1))
    with pytest.raises(StageStuck, match=r"nothing has moved for 100 s: .*1 asynchronous events not finished"):
        watch(engine).settle()
    assert engine.looks == 11


def test_watch_when_the_harness_was_stopped_counts_only_while_it_ran(watch: Callable[..., Watcher]) -> None:
    engine = FakeEngine(logs(), *(activity(float(at), events=1) for at in range(5)), activity(6.0), activity(7.0))
    # Its clocks jumped by far more than the stall time-out; the run's clock leaves that out.
    watch(engine, clock=SimpleNamespace(awake=lambda: 5.0), began=-100_000.0).settle()


def test_machine_shares_when_the_host_takes_time_tells_it_apart_from_use() -> None:
    before = Times(10, 0, 10, 10, 0, 0, 0, 5)
    after = Times(40, 0, 20, 40, 0, 0, 0, 35)
    assert machine_shares(before, after) == pytest.approx((0.4, 0.3))
    assert machine_shares(before, before) == (0.0, 0.0)
