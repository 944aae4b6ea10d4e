"""Follows a run through the engine's public API until it is settled, or stuck."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import psutil

from harness.engines.base import Deployment, Engine
from harness.errors import StageStuck
from harness.queues import QueueDepths
from harness.run.clock import RunClock
from harness.run.display import Display
from harness.run.progress import Progress, Snapshot, explain
from harness.run.rest import look
from harness.run.settle import Patience, Reading, Settling, Stall, under_way
from harness.run.usage import HARNESS, Usage, UsageSampler, machine_shares
from harness.stages import STAGES
from harness.telemetry import StageTotals, TelemetryReader

TICK_SECONDS = 1.0

CONFIRM_SECONDS = 0.3
"""Pause before the look that confirms a rest: pollers read a stream that is empty four times a second."""


@dataclass(frozen=True)
class Watched:
    """What watching found: the last snapshot, sums per stage, and what it cost.

    `memory_peak` is bytes of all processes of the run together, `harness_cpu` CPU seconds of this process,
    `cpu_stolen` the share of the machine's CPU time that its host gave to others meanwhile, `cpu_seconds` CPU
    seconds by group of processes (see `harness.run.usage`).
    """

    snapshot: Snapshot
    totals: Mapping[str, StageTotals]
    log_bytes: int
    seconds: float
    memory_peak: int
    harness_cpu: float
    cpu_stolen: float
    cpu_seconds: Mapping[str, float]


class Watcher:
    """Watches one run; a context manager that holds `timeseries.jsonl` open, a JSON line a look.

    `began` is the monotonic time of the upload's start, `before` are the depths of that moment, `clock` counts the time
    in which nothing may stand still for `stall_timeout` seconds.
    """

    def __init__(
        self,
        engine: Engine,
        deployment: Deployment,
        expected_rows: int,
        sources: set[str],
        display: Display,
        *,
        before: QueueDepths,
        stall_timeout: float,
        series: Path,
        began: float,
        clock: RunClock,
    ) -> None:
        self._engine, self._deployment = engine, deployment
        self._expected_rows, self._sources = expected_rows, sources
        self._display, self._before, self._began, self._clock = display, before, began, clock
        self._groups = {s.name: deployment.output(s.log_group) for s in STAGES}
        self._reader = TelemetryReader(engine.client("logs"), self._groups, sources)
        self._progress = Progress(expected_rows, len(sources))
        patience = Patience.of(deployment.parameters)
        self._settling, self._stall, self._stall_timeout = Settling(patience), Stall(patience), stall_timeout
        self._usage = UsageSampler(getattr(engine, "pids", {}))
        self._series = series.open("w")
        self._started = time.monotonic()
        self._machine_before = psutil.cpu_times()
        self._peak = 0
        self._snapshot: Snapshot | None = None

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._series.close()

    def settle(self) -> None:
        """Return when nothing is under way any more (`harness.run.settle`).

        Raises StageStuck when nothing moves that should for the stall time-out, EngineError when the engine dies.
        """
        with self._display:
            while True:
                looked = time.monotonic()
                self._engine.check()
                reading = self._read()
                snapshot = self._show(reading, looked)
                if self._settling.observe(reading):
                    return
                still = self._stall.observe(reading)
                if still >= self._stall_timeout:
                    raise StageStuck(
                        f"nothing has moved for {still:.0f} s: "
                        f"{explain(snapshot, self._reader.totals, under_way(reading))}",
                        hint="the run's folder has the time series; --stall-timeout waits longer",
                    )
                # Where the engine does not tell what is in hand, a rest is a matter of many seconds.
                confirming = reading.at_rest and reading.activity is not None
                pause = CONFIRM_SECONDS if confirming else TICK_SECONDS
                time.sleep(max(0.0, pause - (time.monotonic() - looked)))

    def undisturbed(self) -> bool:
        """Look once more; return whether nothing has moved since the run was settled."""
        return self._settling.undisturbed(self._read())

    def watched(self) -> Watched:
        """Return what was found, with the telemetry read anew: lines that came late, out of order, were not seen."""
        if self._snapshot is None:
            raise RuntimeError("nothing has been watched yet")
        seconds = time.monotonic() - self._started
        cpu_seconds = self._usage.cpu_seconds()
        final = TelemetryReader(self._engine.client("logs"), self._groups, self._sources)
        final.poll()
        _, stolen = machine_shares(self._machine_before, psutil.cpu_times())
        return Watched(
            self._snapshot,
            final.totals,
            final.log_bytes,
            seconds,
            self._peak,
            cpu_seconds[HARNESS],
            stolen,
            cpu_seconds,
        )

    def _read(self) -> Reading:
        self._reader.poll()
        return look(
            self._engine,
            self._deployment,
            self._reader.totals,
            self._delivered,
            before=self._before,
            at=self._clock.awake(),
        )

    def _delivered(self, depths: QueueDepths) -> bool:
        return self._progress.clean_done(self._reader.totals, depths)

    def _show(self, reading: Reading, looked: float) -> Snapshot:
        self._snapshot = snapshot = self._progress.observe(
            looked - self._began,
            reading.totals,
            reading.depths,
            activity=reading.activity.functions if reading.activity is not None else None,
            arrived=self._expected_rows,
        )
        self._usage.renew(getattr(self._engine, "pids", {}))
        used = self._usage.sample()
        self._peak = max(self._peak, used.memory_bytes)
        self._series.write(series_line(snapshot, used))
        self._display.show(snapshot)
        return snapshot


def series_line(snapshot: Snapshot, used: Usage) -> str:
    """Return one line of `timeseries.jsonl`; docs/results.md explains its fields."""
    return json.dumps({**asdict(snapshot), **asdict(used), "memory_bytes": used.memory_bytes}) + "\n"
