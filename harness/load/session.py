"""A load session: an engine with the pipeline deployed, loads driven into it by Locust, and the audit at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from harness.audit import AuditReport, audit
from harness.audit.audit import count_items
from harness.audit.blocks import Audited
from harness.audit.model import QUARANTINED, Places
from harness.audit.readers import read_places
from harness.engines.base import Deployment, Engine
from harness.engines.consumption import Consumption
from harness.errors import EnvironmentProblem, StageStuck
from harness.load.locust_process import LocustOptions, LocustProcess
from harness.load.monitor import LOCUST, Look, Monitor
from harness.load.pool import PoolFile, make_pool
from harness.load.samples import Sample
from harness.load.schedule import LoadSpec
from harness.load.state import LoadState
from harness.load.tracker import completed_at, redelivered_rows
from harness.run.clock import Doubt, RunClock
from harness.run.core import consumed_since
from harness.run.display import Display
from harness.run.progress import explain
from harness.run.rest import audited_at_rest
from harness.run.settle import Patience, Settling, Stall, under_way
from harness.run.usage import HARNESS, machine_shares
from harness.run.watch import TICK_SECONDS
from harness.telemetry import StageTotals


@dataclass(frozen=True)
class FileOutcome:
    """One file of the schedule that was tried: its sample, the source it became ("" where the upload failed), and
    when its last row was durable (Unix seconds; None where that never happened or is not known)."""

    sample: Sample
    source_id: str
    completed: float | None


@dataclass(frozen=True)
class Found:
    """What a session found once everything had come to rest. `began` is the Unix time that the time series counts from.

    `ambiguous` counts uploads that the client took for failed, or did not live to report, and that are in the bucket
    all the same: their rows are audited with the others. `unsent` files of the schedule were never sent, `unreported`
    ones are in the bucket though Locust ended before it said so; neither counts loads that were ended on purpose.
    `redelivered` counts rows that were updated more than once. CPU is in seconds, of the harness (of which `tracker`
    for reading telemetry) and of Locust, over `seconds` of looking. `doubt` says whether times and rates mean anything.
    `consumption` is of the tables, before the audit; None where the engine does not know.
    """

    began: float
    outcomes: list[FileOutcome]
    audit: AuditReport
    totals: Mapping[str, StageTotals]
    rows: int
    ambiguous: int
    unsent: int
    unreported: int
    redelivered: int
    log_bytes: int
    seconds: float
    settle_seconds: float
    memory_peak: int
    cpu_seconds: Mapping[str, float]
    tracker_cpu: float
    cpu_stolen: float
    doubt: Doubt
    consumption: Consumption | None = None


class LoadSession:
    """Drives loads into a deployment, one after the other or by hand in the web UI, and looks meanwhile.

    Gives up, with StageStuck, when nothing moves for `stall_timeout` seconds of `clock` though something should.
    """

    def __init__(
        self,
        engine: Engine,
        deployment: Deployment,
        folder: Path,
        display: Display,
        *,
        stall_timeout: float = 120.0,
        cache: Path | None = None,
        clock: RunClock | None = None,
    ) -> None:
        self.folder = folder
        self.display = display
        self._engine = engine
        self._deployment = deployment
        self._bucket = deployment.output("UploadBucket")
        self._stall_timeout = stall_timeout
        self._clock = clock or RunClock()
        self._cache = cache
        self._pools: dict[LoadSpec, list[PoolFile]] = {}
        self._used_before = engine.consumption()
        self._items_before = count_items(engine, deployment)
        self.monitor = Monitor(
            engine,
            deployment,
            folder,
            pids=getattr(engine, "pids", {}),
            pool=lambda spec: [file.expectation for file in self.pool(spec)],
            clock=self._clock,
        )
        patience = Patience.of(deployment.parameters)
        self._settling, self._stall = Settling(patience), Stall(patience)
        self._still = 0.0
        self._began = time.monotonic()
        self._machine_before = psutil.cpu_times()
        self._uploads_ended = self._looked_at = self._began

    def pool(self, spec: LoadSpec) -> list[PoolFile]:
        """Return the files of a load; generated on the first call."""
        if spec not in self._pools:
            self._pools[spec] = make_pool(spec, self._cache)
        return self._pools[spec]

    @property
    def loads(self) -> list[LoadState]:
        """Every load that has begun."""
        return self.monitor.loads

    def drive(self, spec: LoadSpec, options: LocustOptions, on_look: Callable[[Look], bool] | None = None) -> None:
        """Run Locust until its uploads have ended.

        `on_look` may end it early by returning True. With the web UI it goes on until Ctrl-C or until Locust ends. In
        both cases files that were not sent were not meant to be.
        Raises EnvironmentProblem where not a single file of the load was uploaded.
        """
        self.pool(spec)
        before = len(self.loads)
        curtailed = options.web
        with LocustProcess(self._engine, self._deployment, spec, options, self.folder) as locust:
            self.monitor.usage.follow(LOCUST, locust.pid)
            try:
                while True:
                    look = self._look()
                    if locust.ended() is not None:
                        break
                    if not options.web and len(self.loads) > before and self.loads[-1].stopped:
                        break
                    if on_look is not None and on_look(look):
                        curtailed = True
                        break
                    self._wait()
            except KeyboardInterrupt:
                if not options.web:
                    raise
        self._look()
        for load in self.loads:
            if not load.stopped:
                load.stop()
        for load in self.loads[before:]:
            load.curtailed = curtailed
            self._adopt(load)
        self._uploads_ended = time.monotonic()
        if not any(load.sources for load in self.loads[before:]):
            raise EnvironmentProblem(
                "not a single file was uploaded", hint=f"Locust's last words:\n{locust.last_words()}"
            )

    def drain(self, *, shown: bool = True) -> None:
        """Look until nothing is under way any more (`harness.run.settle`); rows may be missing then, which the audit
        says. `shown` tells whether the display goes on.

        Raises StageStuck when nothing moves that should for the stall time-out.
        """
        look = self._look(shown)
        if self._settling.undisturbed(look.reading):
            return
        while not self._settling.observe(look.reading):
            if self._still >= self._stall_timeout:
                why = explain(look.snapshot, self.monitor.reader.totals, under_way(look.reading))
                raise StageStuck(
                    f"nothing has moved for {self._still:.0f} s: {why}",
                    hint="the run's folder has the time series; --stall-timeout waits longer",
                )
            self._wait()
            look = self._look(shown)

    def finish(self, bar: Callable[[str, int], AbstractContextManager[Callable[[int], None]]]) -> Found:
        """Audit every row of every file that is in the bucket, and return what was found; `bar` makes a progress bar
        from a label and a total.

        Audits anew what moved meanwhile; raises EnvironmentProblem where that never ends, and what `drain` raises.
        """
        return audited_at_rest(
            lambda: self.drain(shown=False),
            lambda: self._audited(bar),
            lambda: self._settling.undisturbed(self._look(shown=False).reading),
        )

    def _audited(self, bar: Callable[[str, int], AbstractContextManager[Callable[[int], None]]]) -> Found:
        settled = time.monotonic()
        used = consumed_since(self._engine, self._used_before)
        stolen = machine_shares(self._machine_before, psutil.cpu_times())[1]
        cpu = {
            HARNESS: self.monitor.usage.cpu_seconds()[HARNESS],
            LOCUST: self.monitor.locust_cpu,
        }
        # Lines that came late, out of order, were not seen by looking: the sums that stay are read anew.
        final = self.monitor.new_reader()
        final.poll()
        audited = [
            Audited(sample.source(self._bucket), sample.rows, self.pool(load.start.spec)[sample.file].spec)
            for load in self.loads
            for sample in (load.sources | load.adopted).values()
        ]
        places = read_places(self._engine, self._deployment, (one.source for one in audited))
        rows = sum(one.rows for one in audited)
        with bar("auditing", rows) as advance:
            found = audit(
                self._engine, self._deployment, audited, advance, items_before=self._items_before, places=places
            )
        outcomes, redelivered = [], 0
        for load in self.loads:
            by_sample = {sample.number: source_id for source_id, sample in load.sources.items()}
            for sample in sorted(load.samples, key=lambda s: s.number):
                source_id = by_sample.get(sample.number, "")
                totals = final.by_source.get(source_id, {})
                completed = None
                if not sample.error:
                    redelivered += redelivered_rows(totals, load.expectations[sample.file])
                    completed = _completed(totals, sample, places[source_id])
                outcomes.append(FileOutcome(sample, source_id, completed))
        return Found(
            began=self.monitor.since_ms / 1000,
            outcomes=outcomes,
            audit=found,
            totals=final.totals,
            rows=rows,
            ambiguous=sum(len(load.adopted) for load in self.loads),
            unsent=sum(load.unsent for load in self.loads),
            unreported=sum(load.unreported for load in self.loads),
            redelivered=redelivered,
            log_bytes=final.log_bytes,
            seconds=settled - self._began,
            settle_seconds=max(0.0, settled - self._uploads_ended),
            memory_peak=self.monitor.memory_peak,
            cpu_seconds=cpu,
            tracker_cpu=self.monitor.tracker_cpu,
            cpu_stolen=stolen,
            doubt=self._clock.doubt(),
            consumption=used,
        )

    def close(self) -> None:
        """Close the files."""
        self.monitor.close()

    def _look(self, shown: bool = True) -> Look:
        self._looked_at = time.monotonic()
        self._engine.check()
        look = self.monitor.look()
        if shown:
            self.display.show(look.snapshot)
        self._still = self._stall.observe(look.reading)
        return look

    def _wait(self) -> None:
        time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - self._looked_at)))

    def _adopt(self, load: LoadState) -> None:
        """Have a load wait for objects that are in the bucket though the client took their upload for failed, or was
        ended before it was told: their rows are on their way like any others."""
        s3: Any = self._engine.client("s3")
        known = {(s.key, s.version) for s in load.sources.values()}
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=load.start.prefix)
        for entry in (entry for page in pages for entry in page.get("Versions", [])):
            version = entry.get("VersionId")
            if version in (None, "null"):
                version = entry["ETag"].strip('"')
            if (entry["Key"], version) not in known:
                load.adopt(entry["Key"], version, entry["Size"])


def _completed(totals: Mapping[str, Any], sample: Sample, places: Places) -> float | None:
    dead = {stage: len(rows) for stage, rows in places.dlqs.items()}
    quarantined = sample.rows if places.whole_object == QUARANTINED else len(places.quarantined)
    return completed_at(totals, sample.rows, quarantined, dead)
