"""What a run looks like at one moment. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from harness.engines.base import FunctionActivity
from harness.observation.backlog import BacklogAge
from harness.queues import QueueDepths
from harness.stages import STAGES
from harness.telemetry import StageTotals

_SENDERS = {"insert": "clean", "process": "capture", "update": "process"}
"""Which stage sends the messages of a stage's queue."""

RATE_WINDOW_SECONDS = 20.0


@dataclass(frozen=True)
class StageView:
    """One stage at one moment. `rows` counts deliveries that succeeded, `rate` is over the last seconds.

    `queue_age` is the age in seconds of the oldest row that waits, if rows leave in their order. `concurrency`, its
    limit at this moment and `cold_starts` so far are None where the engine does not know them.
    """

    name: str
    rows: int
    failed: int
    rate: float
    queued: int
    in_flight: int
    dlq: int
    errors: int
    queue_age: float | None = None
    concurrency: int | None = None
    concurrency_limit: int | None = None
    cold_starts: int | None = None


@dataclass(frozen=True)
class Snapshot:
    """The whole pipeline at one moment; `elapsed` is seconds since the upload began."""

    elapsed: float
    expected_rows: int
    quarantined: int
    clean_done: bool
    stages: tuple[StageView, ...]

    @property
    def accounted(self) -> int:
        """Rows that seem to have reached an end: updated, quarantined, or dead-lettered (at least one each)."""
        by_name = {s.name: s for s in self.stages}
        return by_name["update"].rows + self.quarantined + sum(s.dlq for s in self.stages)

    def eta_seconds(self) -> float | None:
        """Return the seconds left at the pace of the slowest stage that still has work; None if unknown.

        Rows that were refused somewhere are not waited for: only their retries are left.
        """
        left = []
        refused = 0
        for stage in self.stages:
            refused += stage.failed
            missing = self.expected_rows - self.quarantined - refused - stage.rows
            if missing > 0:
                if stage.rate <= 0:
                    return None
                left.append(missing / stage.rate)
        return max(left, default=0.0)


class Progress:
    """Turns successive readings into snapshots."""

    def __init__(self) -> None:
        self._history: dict[str, deque[tuple[float, int]]] = {s.name: deque() for s in STAGES}
        self._ages = {s.name: BacklogAge() for s in STAGES}

    def observe(
        self,
        elapsed: float,
        totals: Mapping[str, StageTotals],
        depths: QueueDepths,
        *,
        expected_rows: int,
        clean_done: bool,
        arrived: int | None = None,
        activity: Mapping[str, FunctionActivity] | None = None,
    ) -> Snapshot:
        """Take one reading at `elapsed` seconds and return the snapshot.

        `expected_rows` are to come in all, of which `arrived` have been uploaded so far (None where nobody counts);
        `clean_done` says whether every object in the bucket was cleaned or given up. `activity` is the engine's.
        """
        views = []
        for stage in STAGES:
            total = totals[stage.name]
            depth = depths.queues.get(stage.name)
            waiting = _waiting(stage.name, totals, depths, arrived)
            done = total.rows_ok + (total.rows_quarantined if stage.name == "clean" else 0)
            function = (activity or {}).get(stage.name)
            views.append(
                StageView(
                    name=stage.name,
                    rows=total.rows_ok,
                    failed=total.rows_failed,
                    rate=self._rate(stage.name, elapsed, total.rows_ok),
                    queued=depth.visible + depth.delayed if depth else 0,
                    in_flight=depth.in_flight if depth else 0,
                    dlq=depths.dlqs[stage.name].total,
                    errors=total.errors,
                    queue_age=(
                        None if waiting is None else round(self._ages[stage.name].observe(elapsed, done, waiting), 3)
                    ),
                    concurrency=function.running if function else None,
                    concurrency_limit=function.limit if function else None,
                    cold_starts=function.cold_starts if function else None,
                )
            )
        quarantined = totals["clean"].rows_quarantined
        return Snapshot(elapsed, expected_rows, quarantined, clean_done, tuple(views))

    def _rate(self, stage: str, elapsed: float, rows: int) -> float:
        history = self._history[stage]
        history.append((elapsed, rows))
        while len(history) > 2 and elapsed - history[0][0] > RATE_WINDOW_SECONDS:
            history.popleft()
        then, before = history[0]
        return (rows - before) / (elapsed - then) if elapsed > then else 0.0


def _waiting(stage: str, totals: Mapping[str, StageTotals], depths: QueueDepths, arrived: int | None) -> float | None:
    """Return the rows that wait before or in a stage, as well as they are known; None if not at all."""
    total, dead = totals[stage], depths.dlqs[stage].total
    if stage == "clean":
        return None if arrived is None else arrived - total.rows_ok - total.rows_quarantined
    if stage == "capture":
        # No queue tells: what insert wrote and capture has not passed on is in the stream.
        return totals["insert"].rows_ok - total.rows_ok - dead
    depth = depths.queues[stage]
    return depth.total * _rows_per_message(stage, totals)


def _rows_per_message(stage: str, totals: Mapping[str, StageTotals]) -> float:
    """Return how many rows a message to a stage holds: by its sender's count, else by its own, else one."""
    for name in (_SENDERS[stage], stage):
        if totals[name].messages and totals[name].rows_ok:
            return totals[name].rows_ok / totals[name].messages
    return 1.0


def explain(snapshot: Snapshot, totals: Mapping[str, StageTotals], under_way: str = "") -> str:
    """Return which stage holds the run up and why, for an error message; `under_way` says what else is known."""
    for stage in snapshot.stages:
        waiting = stage.queued + stage.in_flight
        unfinished = not snapshot.clean_done if stage.name == "clean" else waiting > 0
        if unfinished:
            text = f"stage {stage.name} is stuck: {stage.rows:,} rows done"
            if stage.name != "clean":
                text += f", {stage.queued:,} messages queued and {stage.in_flight:,} in flight"
            last = totals[stage.name].last_errors
            return f"{text}; its last errors: {' | '.join(last)}" if last else f"{text}; it logged no errors"
    if under_way:
        return f"no stage has work queued, yet there are {under_way}"
    return f"no stage has work queued, yet only {snapshot.accounted:,} rows are accounted for"
