"""Follows loads by Locust's events: what was uploaded so far, and which files are finished."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.engines.base import Deployment
from harness.load.pool import Expectation
from harness.load.samples import COMPLETIONS_FILE, EVENTS_FILE, LineFollower, LoadStart, Sample, event_of
from harness.load.schedule import LoadSpec
from harness.load.state import Figures, LoadState
from harness.telemetry import TelemetryReader

DEFAULT_RECEIVES = 3
"""The template's MaxReceiveCount."""


class LoadIntake:
    """The intake of loads whose events appear in `folder/events.jsonl`: writes a line to `completions.jsonl` for each
    file as it finishes. `pool` gives the expectations of a load's files.
    """

    def __init__(self, deployment: Deployment, folder: Path, pool: Callable[[LoadSpec], Sequence[Expectation]]) -> None:
        self.loads: list[LoadState] = []
        self._pool = pool
        self._bucket = deployment.output("UploadBucket")
        self._receives = int(deployment.parameters.get("MaxReceiveCount", DEFAULT_RECEIVES))
        self._events = LineFollower(folder / EVENTS_FILE)
        self._completions = folder / COMPLETIONS_FILE
        self._completions.write_text("")
        self._figures = Figures()
        self._now = 0.0

    @property
    def sources(self) -> Collection[str]:
        """The ids of every object known to be in the bucket."""
        return {source_id for load in self.loads for source_id in (*load.sources, *load.reconciled)}

    @property
    def expected_rows(self) -> int:
        """Rows of all files of all loads so far."""
        return sum(load.rows for load in self.loads)

    @property
    def arrived_rows(self) -> int:
        """Rows of the files that were uploaded so far."""
        return self._figures.uploaded_rows

    def observe(self, reader: TelemetryReader) -> None:
        """Take Locust's new events, and note the files that are finished."""
        for line in self._events.read():
            event = event_of(line)
            if isinstance(event, LoadStart):
                self.loads.append(LoadState(event, self._pool(event.spec), self._bucket, self._receives))
            elif isinstance(event, Sample):
                self.loads[-1].add(event)
            else:
                self.loads[-1].stop()
        done = [completion for load in self.loads for completion in load.observe(reader.by_source)]
        if done:
            with self._completions.open("a") as lines:
                for one in done:
                    line = {"number": one.sample.number, "intended": one.sample.intended, "completed": one.completed}
                    lines.write(json.dumps(line) + "\n")
        self._now = time.time()
        self._figures = sum((load.figures(self._now) for load in self.loads), Figures())

    def series(self) -> Mapping[str, Any]:
        """Return the time of day and the loads' figures together."""
        return {"time": round(self._now, 3), "load": asdict(self._figures)}
