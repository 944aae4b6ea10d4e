"""Follows loads through the engine's public API and Locust's events: a look a second, written down.

Cheap for the engine: five FilterLogEvents calls for what is new, and the attributes of eight queues.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.engines.base import Deployment, Engine
from harness.load.pool import Expectation, make_pool
from harness.load.samples import COMPLETIONS_FILE, EVENTS_FILE, LineFollower, LoadStart, Sample, event_of
from harness.load.schedule import LoadSpec
from harness.load.state import Figures, LoadState
from harness.queues import QueueDepths, read_depths
from harness.run.clock import RunClock
from harness.run.progress import Progress, Snapshot
from harness.run.rest import look
from harness.run.settle import Reading
from harness.run.usage import UsageSampler
from harness.run.watch import series_line
from harness.stages import STAGES
from harness.telemetry import TelemetryReader

SERIES_FILE = "timeseries.jsonl"
LOCUST = "locust"
DEFAULT_RECEIVES = 3
"""The template's MaxReceiveCount."""


@dataclass(frozen=True)
class Look:
    """One look: the pipeline, all loads so far together, and what may be under way."""

    snapshot: Snapshot
    figures: Figures
    reading: Reading


class Monitor:
    """Looks at a deployment while loads go on, and writes what it sees into `folder`: a line a look to
    `timeseries.jsonl`, a line to `completions.jsonl` for each file as it finishes.

    `pids` are the engine's processes by name, `pool` gives the expectations of a load's files. Loads are those whose
    events appear in `folder/events.jsonl`. `clock` gives the time of its readings.
    """

    def __init__(
        self,
        engine: Engine,
        deployment: Deployment,
        folder: Path,
        *,
        pids: Mapping[str, int] | None = None,
        pool: Callable[[LoadSpec], Sequence[Expectation]] | None = None,
        clock: RunClock | None = None,
    ) -> None:
        self._clock = clock or RunClock()
        self._engine = engine
        self._deployment = deployment
        self._pool = pool or (lambda spec: [file.expectation for file in make_pool(spec)])
        self._bucket = deployment.output("UploadBucket")
        self._receives = int(deployment.parameters.get("MaxReceiveCount", DEFAULT_RECEIVES))
        self.before: QueueDepths = read_depths(engine, deployment)
        self.since_ms = time.time_ns() // 1_000_000
        self.reader = self.new_reader()
        self.loads: list[LoadState] = []
        self.usage = UsageSampler(pids or {})
        self.memory_peak = 0
        self.locust_cpu = 0.0
        self.tracker_cpu = 0.0
        self._progress = Progress(0, 0)
        self._began = time.monotonic()
        self._last_look = self._began
        self._events = LineFollower(folder / EVENTS_FILE)
        self._series = (folder / SERIES_FILE).open("w", buffering=1)
        self._completions = (folder / COMPLETIONS_FILE).open("w", buffering=1)

    def new_reader(self) -> TelemetryReader:
        """Return a reader of everything that the functions have said since the monitor began."""
        groups = {s.name: self._deployment.output(s.log_group) for s in STAGES}
        return TelemetryReader(self._engine.client("logs"), groups, since_ms=self.since_ms)

    def look(self) -> Look:
        """Look once; call it about once a second."""
        self._take_events()
        cpu = time.process_time()
        self.reader.poll()
        for load in self.loads:
            for done in load.observe(self.reader.by_source):
                line = {"number": done.sample.number, "intended": done.sample.intended, "completed": done.completed}
                self._completions.write(json.dumps(line) + "\n")
        self.tracker_cpu += time.process_time() - cpu
        now = time.time()
        figures = sum((load.figures(now) for load in self.loads), Figures())
        reading = look(
            self._engine,
            self._deployment,
            self.reader.totals,
            self._clean_done,
            before=self.before,
            at=self._clock.awake(),
        )
        snapshot = self._progress.observe(
            time.monotonic() - self._began,
            self.reader.totals,
            reading.depths,
            activity=reading.activity.functions if reading.activity is not None else None,
            arrived=figures.uploaded_rows,
        )
        snapshot = replace(snapshot, expected_rows=sum(load.rows for load in self.loads), clean_done=reading.delivered)
        self._write(snapshot, figures, now)
        return Look(snapshot, figures, reading)

    @property
    def sources(self) -> dict[str, Sample]:
        """Every object known to be in the bucket, by source id."""
        return {source_id: sample for load in self.loads for source_id, sample in (load.sources | load.adopted).items()}

    def close(self) -> None:
        """Close the files."""
        self._series.close()
        self._completions.close()

    def _take_events(self) -> None:
        for line in self._events.read():
            event = event_of(line)
            if isinstance(event, LoadStart):
                self.loads.append(LoadState(event, self._pool(event.spec), self._bucket, self._receives))
            elif isinstance(event, Sample):
                self.loads[-1].add(event)
            else:
                self.loads[-1].stop()

    def _clean_done(self, depths: QueueDepths) -> bool:
        letters = depths.dlqs["clean"].total
        sources = self.sources
        cleaned = sum(1 for source_id in sources if "clean" in self.reader.by_source.get(source_id, {}))
        return cleaned + letters >= len(sources)

    def _write(self, snapshot: Snapshot, figures: Figures, now: float) -> None:
        used = self.usage.sample()
        tick = time.monotonic()
        self.locust_cpu += used.cpu.get(LOCUST, 0.0) * (tick - self._last_look)
        self._last_look = tick
        self.memory_peak = max(self.memory_peak, used.memory_bytes)
        line = json.loads(series_line(snapshot, used))
        self._series.write(json.dumps({**line, "time": round(now, 3), "load": asdict(figures)}) + "\n")
