"""Watching ends with sums that hold every line, and says how much of the machine it had."""

from __future__ import annotations

import io
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from harness.queues import Depth, QueueDepths
from harness.run import watch as watch_module
from harness.run.display import make_display
from harness.run.usage import machine_shares
from harness.run.watch import Watched, watch
from harness.stages import STAGES
from tests.unit.run.test_telemetry import FakeLogs, emf

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


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    logs = LateLogs()
    for stage in STAGES:
        logs.groups[stage.name] = [{"eventId": stage.name, "timestamp": 90_000, "message": emf(ok=10)}]
    empty = QueueDepths({s.name: Depth() for s in STAGES if s.queue}, {s.name: Depth() for s in STAGES})
    monkeypatch.setattr(watch_module, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(watch_module, "read_depths", lambda engine, deployment: empty)
    engine: Any = SimpleNamespace(client=lambda service: logs, check=lambda: None, activity=lambda: None)
    names = {stage.log_group: stage.name for stage in STAGES}
    deployment: Any = SimpleNamespace(output=names.__getitem__)
    display = make_display(Console(file=io.StringIO()), quiet=True)
    yield watch(
        engine,
        deployment,
        10,
        {"s1"},
        display,
        before=empty,
        stall_timeout=5,
        series=tmp_path / "series.jsonl",
        began=0.0,
    )


def test_watch_when_a_line_comes_late_and_out_of_order_counts_it_in_the_end(watched: Watched) -> None:
    live = {stage.name: stage.rows for stage in watched.snapshot.stages}
    assert live["process"] == 10
    assert watched.totals["process"].rows_ok == 17
    assert watched.totals["update"].rows_ok == 10


def test_machine_shares_when_the_host_takes_time_tells_it_apart_from_use() -> None:
    before = Times(10, 0, 10, 10, 0, 0, 0, 5)
    after = Times(40, 0, 20, 40, 0, 0, 0, 35)
    assert machine_shares(before, after) == pytest.approx((0.4, 0.3))
    assert machine_shares(before, before) == (0.0, 0.0)
