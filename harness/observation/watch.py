"""The one loop that watches a deployment until nothing is under way any more, or nothing moves that should."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import psutil

from harness.audit.audit import count_items
from harness.engines.base import Deployment, Engine
from harness.engines.consumption import Consumption, consumed_since
from harness.errors import StageStuck
from harness.observation.clock import Doubt, RunClock
from harness.observation.display import Display
from harness.observation.progress import Progress, Snapshot, explain
from harness.observation.rest import read_work
from harness.observation.settle import Patience, Reading, Settling, Stall, under_way
from harness.observation.usage import Usage, UsageSampler, machine_shares
from harness.queues import QueueDepths, read_depths
from harness.stages import STAGES
from harness.telemetry import SourceTotals, StageTotals, TelemetryReader

TICK_SECONDS = 1.0
CONFIRM_SECONDS = 0.3
"""Pause before the sample that confirms a rest: pollers read a stream that is empty four times a second."""

SERIES_FILE = "timeseries.jsonl"


class Intake(Protocol):
    """What has been uploaded to a deployment so far, for a watch of it."""

    @property
    def sources(self) -> Collection[str]:
        """The ids of all objects known to be in the bucket."""

    @property
    def expected_rows(self) -> int:
        """The rows that are to be uploaded in all, as far as is known."""

    @property
    def arrived_rows(self) -> int:
        """Those that were uploaded so far."""

    def observe(self, reader: TelemetryReader) -> None:
        """Learn what was uploaded since the last sample, and what of it is finished by the telemetry just read."""

    def series(self) -> Mapping[str, Any]:
        """Return what this sample adds to its line of the time series."""


@dataclass(frozen=True)
class Observed:
    """What watching found: the last snapshot, the functions' sums, and what the experiment used of the machine.

    `seconds` is how long was watched, `memory_peak` bytes of all processes together, `cpu_seconds` by group of
    processes (see `harness.observation.usage`), `telemetry_cpu` what of the harness' own went into reading telemetry,
    `cpu_stolen` the share of the machine's CPU time that its host gave to others meanwhile. `consumption` is of the
    tables; None where the engine does not know. `doubt` says whether times and rates mean anything.
    """

    snapshot: Snapshot
    totals: Mapping[str, StageTotals]
    by_source: Mapping[str, Mapping[str, SourceTotals]]
    log_bytes: int
    seconds: float
    memory_peak: int
    cpu_seconds: Mapping[str, float]
    telemetry_cpu: float
    cpu_stolen: float
    consumption: Consumption | None
    doubt: Doubt


class Watch:
    """Watches one deployment from the moment it is made; a context manager that holds the time series open.

    What was there before (dead letters, items, units consumed) is not the experiment's. `stall_timeout` is how many
    seconds of `clock` nothing may move that should; `patience` (default: the deployment's) how long things may be
    hidden. With `only`, a set that may be filled until the first sample, telemetry of other source objects is left out.
    """

    def __init__(
        self,
        engine: Engine,
        deployment: Deployment,
        intake: Intake,
        display: Display,
        *,
        folder: Path,
        clock: RunClock,
        stall_timeout: float,
        patience: Patience | None = None,
        only: set[str] | None = None,
    ) -> None:
        self._engine, self._deployment, self._intake, self._display = engine, deployment, intake, display
        self._clock, self._stall_timeout, self._only = clock, stall_timeout, only
        self._consumed_before = engine.consumption()
        self.items_before = count_items(engine, deployment)
        self._depths_before: QueueDepths = read_depths(engine, deployment)
        self.began_at = time.time()
        self._began = self._sampled_at = time.monotonic()
        self._machine_before = psutil.cpu_times()
        self._reader = self._new_reader()
        self._progress = Progress()
        hidden = patience or Patience.of(deployment.parameters)
        self._settling, self._stall = Settling(hidden), Stall(hidden)
        self._still = 0.0
        self.usage = UsageSampler(engine.processes)
        self._memory_peak = 0
        self._telemetry_cpu = 0.0
        self._snapshot: Snapshot | None = None
        self._series = (folder / SERIES_FILE).open("w", buffering=1)

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._series.close()

    def sample(self, *, shown: bool = True) -> Reading:
        """Take a sample and write it down; raises EngineError when the engine has died."""
        self._sampled_at = time.monotonic()
        self._engine.check()
        reading = self._read()
        self._snapshot = snapshot = self._progress.observe(
            self._sampled_at - self._began,
            reading.totals,
            reading.depths,
            expected_rows=self._intake.expected_rows,
            clean_done=reading.delivered,
            arrived=self._intake.arrived_rows,
            activity=reading.activity.functions if reading.activity is not None else None,
        )
        self.usage.renew(self._engine.processes)
        used = self.usage.sample()
        self._memory_peak = max(self._memory_peak, used.memory_bytes)
        self._series.write(series_line(snapshot, used, self._intake.series()))
        if shown:
            self._display.show(snapshot)
        self._still = self._stall.observe(reading)
        return reading

    def wait(self, seconds: float | None = None) -> None:
        """Sleep until `seconds` (default: TICK_SECONDS) after the last sample."""
        pause = TICK_SECONDS if seconds is None else seconds
        time.sleep(max(0.0, pause - (time.monotonic() - self._sampled_at)))

    def settle(self, *, shown: bool = True) -> None:
        """Take samples until nothing is under way any more (`harness.observation.settle`); rows may be missing then,
        which the audit says.

        Raises StageStuck when nothing moves that should for the stall time-out, EngineError when the engine dies.
        """
        reading = self.sample(shown=shown)
        if self._settling.undisturbed(reading):
            return
        while not self._settling.observe(reading):
            if self._still >= self._stall_timeout:
                raise StageStuck(
                    f"nothing has moved for {self._still:.0f} s: "
                    f"{explain(self.snapshot, self._reader.totals, under_way(reading))}",
                    hint="the run's folder has the time series; --stall-timeout waits longer",
                )
            # Where the engine does not tell what is in hand, a rest is a matter of many seconds.
            confirming = reading.at_rest and reading.activity is not None
            self.wait(CONFIRM_SECONDS if confirming else None)
            reading = self.sample(shown=shown)

    def undisturbed(self) -> bool:
        """Take another sample; return whether nothing has moved since everything was settled."""
        return self._settling.undisturbed(self._read())

    @property
    def snapshot(self) -> Snapshot:
        """The last sample's; raises RuntimeError before the first."""
        if self._snapshot is None:
            raise RuntimeError("nothing has been watched yet")
        return self._snapshot

    def observed(self) -> Observed:
        """Return what was found, with the telemetry read anew: lines that came late, out of order, were not seen."""
        snapshot = self.snapshot
        seconds = time.monotonic() - self._began
        cpu_seconds = self.usage.cpu_seconds()
        consumption = consumed_since(self._engine, self._consumed_before)
        _, stolen = machine_shares(self._machine_before, psutil.cpu_times())
        final = self._new_reader()
        final.poll()
        return Observed(
            snapshot=snapshot,
            totals=final.totals,
            by_source=final.by_source,
            log_bytes=final.log_bytes,
            seconds=seconds,
            memory_peak=self._memory_peak,
            cpu_seconds=cpu_seconds,
            telemetry_cpu=self._telemetry_cpu,
            cpu_stolen=stolen,
            consumption=consumption,
            doubt=self._clock.doubt(),
        )

    def _read(self) -> Reading:
        cpu = time.process_time()
        self._reader.poll()
        self._intake.observe(self._reader)
        self._telemetry_cpu += time.process_time() - cpu
        return read_work(
            self._engine,
            self._deployment,
            self._reader.totals,
            self._delivered,
            before=self._depths_before,
            at=self._clock.awake(),
        )

    def _delivered(self, depths: QueueDepths) -> bool:
        """Return whether every uploaded object was cleaned, or lies in the dead-letter queue of clean."""
        sources = self._intake.sources
        cleaned = sum(1 for source_id in sources if "clean" in self._reader.by_source.get(source_id, {}))
        return cleaned + depths.dlqs["clean"].total >= len(sources)

    def _new_reader(self) -> TelemetryReader:
        groups = {stage.name: self._deployment.output(stage.log_group) for stage in STAGES}
        since_ms = int(self.began_at * 1000)
        return TelemetryReader(self._engine.client("logs"), groups, self._only, since_ms=since_ms)


def series_line(snapshot: Snapshot, used: Usage, more: Mapping[str, Any]) -> str:
    """Return one line of `timeseries.jsonl`; docs/results.md explains its fields."""
    return json.dumps({**asdict(snapshot), **asdict(used), "memory_bytes": used.memory_bytes, **more}) + "\n"
