"""Loads by Locust: one load, or several one after the other, every file followed to its last durable row."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.audit import AuditReport, audit
from harness.audit.blocks import Audited
from harness.audit.model import QUARANTINED, Places
from harness.audit.readers import read_places
from harness.engines.base import Deployment, Engine
from harness.errors import EnvironmentProblem
from harness.experiments.lifecycle import TEMPLATE, Examined, Setting, Testbed, judged
from harness.experiments.load_intake import LoadIntake
from harness.experiments.load_result import (
    Driven,
    FileOutcome,
    LoadFinding,
    load_result,
    seconds_of,
    write_samples,
)
from harness.experiments.reporter import Reporter
from harness.load.locust_process import LocustOptions, LocustProcess
from harness.load.pool import PoolFile, make_pool
from harness.load.samples import Sample
from harness.load.schedule import LoadSpec, schedule
from harness.load.state import LoadState
from harness.load.tracker import completed_at, redelivered_rows
from harness.metering import UsageMeter
from harness.observation.settle import Patience
from harness.observation.usage import LOCUST
from harness.observation.watch import Observed
from harness.results import LoadResult

WARMUP_SEED = 1000
"""Added to the load's seed, so that the warm-up has other files."""


@dataclass(frozen=True)
class LoadOptions:
    """What to load. `warmup` seconds of the same rate come first: functions start cold, and what that costs belongs to
    no latency; its files are audited too."""

    spec: LoadSpec
    warmup: float = 5.0
    locust: LocustOptions = field(default_factory=LocustOptions)
    setting: Setting = field(default_factory=Setting)


@dataclass(frozen=True)
class LoadRun:
    """A finished load run and what result.json holds of it; `warmed` is what the warm-up found, None without one."""

    folder: Path
    examined: Examined[LoadFinding]
    warmed: Examined[LoadFinding] | None
    result: LoadResult

    @property
    def conserved(self) -> bool:
        """Whether every row of the load and of its warm-up is where it must be."""
        return all_conserved(self.examined, self.warmed)


def all_conserved(*examined: Examined[LoadFinding] | None) -> bool:
    """Return whether every row of several loads is where it must be; those that there were not count as good."""
    audits = [one.finding.audit for one in examined if one is not None]
    return all(found.conserved and found.as_expected for found in audits)


def rows_of(spec: LoadSpec) -> int:
    """Return the rows of all files of a load."""
    sizes = spec.sizes
    return sum(sizes[arrival.file] for arrival in schedule(spec))


class LocustLoads:
    """Drives loads into a deployment, one after the other, or by hand in the web UI; the drive of load and search."""

    only: set[str] | None = None
    has_page = True

    def __init__(self, spec: LoadSpec, locust: LocustOptions, setting: Setting, *, shown: bool = True) -> None:
        self.setting, self.shown = setting, shown
        self.spec, self.locust = spec, locust
        self._pools: dict[LoadSpec, list[PoolFile]] = {}
        self._intake: LoadIntake | None = None
        self._meter: UsageMeter | None = None
        self._uploads_ended = 0.0

    @property
    def loads(self) -> list[LoadState]:
        """Every load that has begun."""
        return self._intake.loads if self._intake is not None else []

    def pool(self, spec: LoadSpec) -> list[PoolFile]:
        """Return the files of a load; generated on the first call."""
        if spec not in self._pools:
            self._pools[spec] = make_pool(spec, self.setting.cache)
        return self._pools[spec]

    def intake(self, engine: Engine, deployment: Deployment, folder: Path) -> LoadIntake:
        """Return the intake of all loads; from here on counts what AWS would bill."""
        self._meter = UsageMeter(engine, deployment)
        self._intake = LoadIntake(deployment, folder, lambda spec: [file.expectation for file in self.pool(spec)])
        return self._intake

    def patience(self, deployment: Deployment) -> Patience:
        """Return the deployment's patience."""
        return Patience.of(deployment.parameters)

    def drive(self, bed: Testbed) -> None:
        """Run the load."""
        self.load(bed, self.spec)

    def load(self, bed: Testbed, spec: LoadSpec, decided: Callable[[], bool] = lambda: False) -> None:
        """Run Locust until its uploads have ended.

        `decided`, asked after every look, may end it early. With the web UI it goes on until Ctrl-C or until Locust
        ends. In both cases files that were not sent were not meant to be.
        Raises EnvironmentProblem where not a single file of the load was uploaded.
        """
        self.pool(spec)
        before = len(self.loads)
        with LocustProcess(bed.engine, bed.deployment, spec, self.locust, bed.folder) as locust:
            bed.watch.usage.follow(LOCUST, locust.pid)
            stopped_early = self._until_uploaded(bed, locust, before, decided)
        bed.watch.sample(shown=self.shown)
        for load in self.loads:
            if not load.stopped:
                load.stop()
        for load in self.loads[before:]:
            load.stopped_early = stopped_early
            _reconcile(bed, load)
        self._uploads_ended = time.monotonic()
        if not any(load.sources for load in self.loads[before:]):
            raise EnvironmentProblem(
                "not a single file was uploaded", hint=f"the end of Locust's log:\n{locust.log_tail()}"
            )

    def _until_uploaded(self, bed: Testbed, locust: LocustProcess, before: int, decided: Callable[[], bool]) -> bool:
        """Look until Locust or its load has ended; returns whether it was ended on purpose."""
        web = self.locust.web
        try:
            while True:
                bed.watch.sample(shown=self.shown)
                if locust.ended() is not None:
                    return web
                if not web and len(self.loads) > before and self.loads[-1].stopped:
                    return False
                if decided():
                    return True
                bed.watch.wait()
        except KeyboardInterrupt:
            if not web:
                raise
            return True

    def examine(self, bed: Testbed, observed: Observed) -> LoadFinding:
        """Audit every row of every file that is in the bucket, and find when each was complete."""
        settled = time.monotonic()
        if self._meter is not None:
            self._meter.read(observed.totals)
        bucket = bed.deployment.output("UploadBucket")
        audited = [
            Audited(sample.source(bucket), sample.rows, self.pool(load.start.spec)[sample.file].spec)
            for load in self.loads
            for sample in (load.sources | load.reconciled).values()
        ]
        places = read_places(bed.engine, bed.deployment, (one.source for one in audited))
        with bed.reporter.bar("auditing", sum(one.rows for one in audited)) as advance:
            report: AuditReport = audit(
                bed.engine, bed.deployment, audited, advance, items_before=bed.watch.items_before, places=places
            )
        outcomes, redelivered = [], 0
        for load in self.loads:
            by_sample = {sample.number: source_id for source_id, sample in load.sources.items()}
            for sample in sorted(load.samples, key=lambda s: s.number):
                source_id = by_sample.get(sample.number, "")
                totals = observed.by_source.get(source_id, {})
                completed = None
                if not sample.error:
                    redelivered += redelivered_rows(totals, load.expectations[sample.file])
                    completed = _completed(totals, sample, places[source_id])
                outcomes.append(FileOutcome(sample, source_id, completed))
        rows = sum(one.rows for one in audited)
        return LoadFinding(
            outcomes=outcomes,
            audit=report,
            rows=rows,
            ambiguous=sum(len(load.reconciled) for load in self.loads),
            unsent=sum(load.unsent for load in self.loads),
            unreported=sum(load.unreported for load in self.loads),
            redelivered=redelivered,
            settle_seconds=max(0.0, settled - self._uploads_ended),
            usage=self._usage(rows, seconds_of(outcomes)),
        )

    def _usage(self, rows: int, seconds: float) -> Mapping[str, Any] | None:
        if self._meter is None:
            return None
        objects = [sample.bytes for load in self.loads for sample in (load.sources | load.reconciled).values()]
        return self._meter.usage(rows, objects, seconds)

    def before(self, engine: Engine, reporter: Reporter) -> None:
        """Do nothing."""

    def template(self, _folder: Path) -> Path:
        """Return the pipeline's template."""
        return TEMPLATE


class LoadExperiment(LocustLoads):
    """One load after a warm-up."""

    def __init__(self, options: LoadOptions) -> None:
        super().__init__(options.spec, options.locust, options.setting)
        self._options = options

    def warm_up(self, reporter: Reporter) -> LocustLoads | None:
        """Return the warm-up's load; None where it takes no time, in the web UI, and with workers that were started by
        hand: they would end with the warm-up's master."""
        if not self._options.warmup or self.locust.web or self.locust.workers:
            return None
        return warm_up_load(self.spec, self._options.warmup, self.locust, self.setting, reporter)

    def announce(self, reporter: Reporter) -> None:
        """Say what the load is, and where Locust is to be found."""
        spec, locust = self.spec, self.locust
        reporter.say(
            f"load       {spec.shape}, {spec.files:,} files in {spec.seconds:g} s, {spec.rate:g} rows/s, "
            f"{spec.rows_per_file} rows a file, {spec.arrivals} arrivals, seed {spec.seed}"
        )
        if locust.web:
            reporter.say(
                f"web UI     http://{locust.web_host}:{locust.web_port}, charts at /pipeline; "
                "Ctrl-C here ends the loads and audits them"
            )
        if locust.workers:
            reporter.say(
                f"workers    {locust.workers} to be started by hand, with --master-host "
                f"{locust.master_host} --master-port {locust.master_port}"
            )

    def finish(self, bed: Testbed, examined: Examined[LoadFinding], warmed: Examined[LoadFinding] | None) -> LoadRun:
        """Return the finished load; writes its samples."""
        write_samples(bed.folder, examined.finding.outcomes)
        driven = [load.start.spec for load in self.loads]
        seconds = self._options.warmup if warmed is not None else 0
        result = load_result(
            Driven(
                bed.folder.name,
                bed.engine.report(),
                bed.watch.began_at,
                driven,
                self.locust,
                self.setting.parameters,
                seconds,
                examined,
                warmed,
            )
        )
        return LoadRun(bed.folder, examined, warmed, judged(result, self.setting))


def warm_up_load(
    spec: LoadSpec, seconds: float, locust: LocustOptions, setting: Setting, reporter: Reporter
) -> LocustLoads:
    """Return the load that comes before one of `spec`, for functions to start; says so."""
    first = replace(spec, shape="steady", arrivals="constant", seconds=seconds, seed=spec.seed + WARMUP_SEED)
    reporter.say(f"warm-up    {first.files:,} files in {first.seconds:g} s")
    return LocustLoads(first, locust, setting, shown=False)


def _reconcile(bed: Testbed, load: LoadState) -> None:
    """Have a load wait for objects that are in the bucket though the client took their upload for failed, or was
    ended before it was told: their rows are on their way like any others."""
    s3: Any = bed.engine.client("s3")
    known = {(s.key, s.version) for s in load.sources.values()}
    bucket = bed.deployment.output("UploadBucket")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=load.start.prefix)
    for entry in (entry for page in pages for entry in page.get("Versions", [])):
        version = entry.get("VersionId")
        if version in (None, "null"):
            version = entry["ETag"].strip('"')
        if (entry["Key"], version) not in known:
            load.reconcile(entry["Key"], version, entry["Size"])


def _completed(totals: Mapping[str, Any], sample: Sample, places: Places) -> float | None:
    dead = {stage: len(rows) for stage, rows in places.dlqs.items()}
    quarantined = sample.rows if places.whole_object == QUARANTINED else len(places.quarantined)
    return completed_at(totals, sample.rows, quarantined, dead)
