"""Watching ends when nothing is under way, with sums that hold every line, and says how much of the machine it had."""

from __future__ import annotations

import io
import json
import time
from collections import namedtuple
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
from rich.console import Console

from harness.engines.base import Activity, Engine
from harness.errors import StageStuck
from harness.observation import watch as watch_module
from harness.observation.clock import Doubt
from harness.observation.display import make_display
from harness.observation.usage import machine_shares
from harness.observation.watch import Watch
from harness.stages import STAGES
from tests.unit.observation.support import activity
from tests.unit.test_telemetry import FakeLogs, emf

Times = namedtuple("Times", "user nice system idle iowait irq softirq steal")


SOON_MS = int(time.time() * 1000) + 3_600_000
"""Lines of before the watch began are none of its own."""


class LateLogs(FakeLogs):
    """Shows one line of process, older than those already shown, only once the run has been looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.late: dict[str, Any] | None = {"eventId": "late", "timestamp": SOON_MS + 1000, "message": emf(ok=7)}

    def filter_log_events(self, **arguments: Any) -> dict[str, Any]:
        answer = super().filter_log_events(**arguments)
        if arguments["logGroupName"] == "process" and self.late:
            self.groups["process"].insert(0, self.late)
            self.late = None
        return answer


class FakeQueues:
    """Every queue is empty but those given by URL, of which a message each is visible."""

    def __init__(self) -> None:
        self.messages: dict[str, int] = {}

    def get_queue_attributes(self, QueueUrl: str, **_: Any) -> Any:
        return {"Attributes": {"ApproximateNumberOfMessages": str(self.messages.get(QueueUrl, 0))}}


class FakeIntake:
    """Ten rows of one object, all of them uploaded."""

    expected_rows = arrived_rows = 10

    def __init__(self, sources: Collection[str] = ("s1",)) -> None:
        self.sources = sources

    def observe(self, _: object) -> None:
        """Learn nothing."""

    def series(self) -> dict[str, Any]:
        return {"more": 1}


class FakeEngine:
    """Tells the activities given, one a look, the last one again and again; its clock goes on ten seconds a look."""

    processes: ClassVar[dict[str, int]] = {}
    live_counts = True

    def __init__(self, logs: FakeLogs, *activities: Activity) -> None:
        self.logs, self.queues = logs, FakeQueues()
        self.activities = list(activities)
        self.looks = 0

    def client(self, service: str) -> Any:
        if service == "dynamodb":
            return SimpleNamespace(describe_table=lambda **_: {"Table": {"ItemCount": 3}})
        return self.logs if service == "logs" else self.queues

    def check(self) -> None:
        """Be well."""

    def consumption(self) -> None:
        """Know nothing of it."""

    def activity(self) -> Activity:
        self.looks += 1
        return self.activities.pop(0) if len(self.activities) > 1 else self.activities[0]

    def awake(self) -> float:
        return float(self.looks * 10)


def logs() -> LateLogs:
    found = LateLogs()
    for stage in STAGES:
        found.groups[stage.name] = [{"eventId": stage.name, "timestamp": SOON_MS + 90_000, "message": emf(ok=10)}]
    return found


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watch]]:
    monkeypatch.setattr(watch_module, "TICK_SECONDS", 0.0)
    monkeypatch.setattr(watch_module, "CONFIRM_SECONDS", 0.0)
    names = {stage.log_group: stage.name for stage in STAGES}
    deployment: Any = SimpleNamespace(output=lambda key: names.get(key, key), parameters={})
    with ExitStack() as stack:

        def make(engine: FakeEngine, intake: FakeIntake | None = None, **changed: Any) -> Watch:
            display = make_display(Console(file=io.StringIO()), quiet=True)
            clock = SimpleNamespace(awake=engine.awake, doubt=Doubt)
            given: dict[str, Any] = {"folder": tmp_path, "clock": clock, "stall_timeout": 100.0, "only": {"s1", "s2"}}
            made = Watch(cast(Engine, engine), deployment, intake or FakeIntake(), display, **{**given, **changed})
            return stack.enter_context(made)

        yield make


def test_watch_when_a_line_comes_late_and_out_of_order_counts_it_in_the_end(watch: Callable[..., Watch]) -> None:
    watcher = watch(FakeEngine(logs(), activity(1.0), activity(2.0)))
    watcher.settle()
    watched = watcher.observed()
    live = {stage.name: stage.rows for stage in watched.snapshot.stages}
    assert live["process"] == 10
    assert watched.totals["process"].rows_ok == 17
    assert watched.totals["update"].rows_ok == 10


def test_watch_when_counts_are_complete_but_the_stream_is_not_read_goes_on(watch: Callable[..., Watch]) -> None:
    behind = [activity(float(at), records=40, streams_read_at=None) for at in range(5)]
    engine = FakeEngine(logs(), *behind, activity(6.0), activity(7.0))
    watcher = watch(engine)
    watcher.settle()
    assert engine.looks == 7
    assert watcher.undisturbed()


def test_watch_when_it_has_settled_before_and_nothing_moved_since_looks_once_more(watch: Callable[..., Watch]) -> None:
    engine = FakeEngine(logs(), *(activity(float(at)) for at in range(1, 9)))
    watcher = watch(engine)
    watcher.settle()
    before = engine.looks
    watcher.settle()
    assert engine.looks == before + 1


def test_watch_when_one_of_two_objects_is_not_cleaned_waits_for_it_or_for_its_dead_letter(
    watch: Callable[..., Watch],
) -> None:
    engine = FakeEngine(logs(), activity(1.0))
    engine.queues.messages = {STAGES[0].dlq: 1}
    watcher = watch(engine, FakeIntake(("s1", "s2")))
    watcher.sample()
    # A dead letter that was there before says nothing of what was uploaded since.
    assert not watcher.snapshot.clean_done
    engine.queues.messages = {STAGES[0].dlq: 2}
    watcher.sample()
    assert watcher.snapshot.clean_done


def test_watch_when_looking_writes_a_line_with_what_the_intake_adds(
    watch: Callable[..., Watch], tmp_path: Path
) -> None:
    watcher = watch(FakeEngine(logs(), activity(1.0)))
    watcher.sample()
    [line] = (tmp_path / watch_module.SERIES_FILE).read_text().splitlines()
    written = json.loads(line)
    assert (written["expected_rows"], written["more"]) == (10, 1)
    assert watcher.items_before == 3


def test_snapshot_when_nothing_was_looked_at_is_refused(watch: Callable[..., Watch]) -> None:
    watcher = watch(FakeEngine(logs(), activity(1.0)))
    with pytest.raises(RuntimeError, match="nothing has been watched"):
        watcher.observed()


def test_watch_when_something_moves_after_it_settled_is_disturbed(watch: Callable[..., Watch]) -> None:
    engine = FakeEngine(logs(), activity(1.0), activity(2.0))
    watcher = watch(engine)
    watcher.settle()
    engine.activities = [activity(3.0, moved=8)]
    assert not watcher.undisturbed()
    engine.activities = [activity(float(at), moved=8) for at in (4, 5)]
    watcher.settle()
    assert watcher.undisturbed()


def test_watch_when_nothing_moves_that_should_says_what_is_under_way(watch: Callable[..., Watch]) -> None:
    engine = FakeEngine(logs(), activity(1.0, events=1))
    with pytest.raises(StageStuck, match=r"nothing has moved for 100 s: .*1 asynchronous events not finished"):
        watch(engine).settle()
    assert engine.looks == 11


def test_watch_when_the_harness_was_stopped_counts_only_while_it_ran(watch: Callable[..., Watch]) -> None:
    engine = FakeEngine(logs(), *(activity(float(at), events=1) for at in range(5)), activity(6.0), activity(7.0))
    # Its clocks jumped by far more than the stall time-out; the run's clock leaves that out.
    watch(engine, clock=SimpleNamespace(awake=lambda: 5.0)).settle()


def test_machine_shares_when_the_host_takes_time_tells_it_apart_from_use() -> None:
    before = Times(10, 0, 10, 10, 0, 0, 0, 5)
    after = Times(40, 0, 20, 40, 0, 0, 0, 35)
    assert machine_shares(before, after) == pytest.approx((0.4, 0.3))
    assert machine_shares(before, before) == (0.0, 0.0)
