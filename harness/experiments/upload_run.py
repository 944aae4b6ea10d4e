"""The main job: one file uploaded, every row of it followed to its end."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from handlers.dialect import AUTO, STRICT, Dialect
from harness.audit import AuditReport, audit
from harness.audit.blocks import Audited
from harness.bench.engine import Loop, measure
from harness.corpus import CorpusSpec, ForeignSummary, Manifest, cached, scan_foreign
from harness.doctor.room import free_room, refuse_if_too_many, room_for, rows_that_fit
from harness.engines.base import Deployment, Engine
from harness.experiments.lifecycle import TEMPLATE, Examined, Setting, Testbed, judged
from harness.experiments.reporter import Reporter
from harness.experiments.upload_result import run_result
from harness.metering import UsageMeter
from harness.observation.settle import Patience
from harness.observation.watch import Observed
from harness.results import RunResult
from harness.telemetry import TelemetryReader
from harness.upload import Upload, upload

BASELINE_CALLS = 300


@dataclass(frozen=True)
class InputFile:
    """The file to upload and what is known of it: of a generated one its spec and manifest, of a user's own what a
    first reading of it found."""

    path: Path
    rows: int
    spec: CorpusSpec | None = None
    manifest: Manifest | None = None
    foreign: ForeignSummary | None = None

    @property
    def key(self) -> str:
        """The key under which it is uploaded."""
        name = self.path.name
        return f"uploads/{name}" if name.endswith(".csv") else f"uploads/{name}.csv"


@dataclass(frozen=True)
class UploadRun:
    """A finished run. `pipeline_seconds` is from the upload's start to the last update, 0 where nothing was updated."""

    folder: Path
    deployment: Deployment
    input: InputFile
    upload: Upload
    observed: Observed
    audit: AuditReport
    pipeline_seconds: float
    result: RunResult

    @property
    def conserved(self) -> bool:
        """Whether every row is where it must be."""
        return self.audit.conserved and self.audit.as_expected


class OneObject:
    """The intake of a single upload; its source is known once it has ended."""

    def __init__(self, rows: int) -> None:
        self.expected_rows = rows
        self._sources: set[str] = set()

    @property
    def sources(self) -> Collection[str]:
        """Its id, nothing before the upload."""
        return self._sources

    @property
    def arrived_rows(self) -> int:
        """All rows once it was uploaded."""
        return self.expected_rows if self._sources else 0

    def uploaded(self, source_id: str) -> None:
        """Note the end of the upload."""
        self._sources.add(source_id)

    def observe(self, reader: TelemetryReader) -> None:
        """Do nothing: what was uploaded is known."""

    def series(self) -> Mapping[str, Any]:
        """Add nothing to the time series."""
        return {}


class SingleUpload:
    """Uploads one file; the drive of a run and of inserting alone."""

    shown = True
    has_page = True

    def __init__(self, file: InputFile, setting: Setting) -> None:
        self.setting = setting
        self.file = file
        self.only: set[str] | None = set()
        self.sent: Upload | None = None
        self._intake = OneObject(file.rows)

    def intake(self, _engine: Engine, _deployment: Deployment, _folder: Path) -> OneObject:
        """Return the intake of the one object."""
        return self._intake

    def patience(self, deployment: Deployment) -> Patience:
        """Return the deployment's patience."""
        return Patience.of(deployment.parameters)

    def drive(self, bed: Testbed) -> None:
        """Upload the file."""
        total = self.file.path.stat().st_size
        with bed.reporter.bar("uploading", total, data=True) as advance:
            done = 0

            def progress(count: int) -> None:
                nonlocal done
                done += count
                advance(done)

            bucket = bed.deployment.output("UploadBucket")
            self.sent = sent = upload(bed.engine, bucket, self.file.key, self.file.path, progress)
        rate = sent.file_bytes / max(1e-6, sent.ended - sent.started) / 1e6
        bed.reporter.say(
            f"uploaded   {sent.file_bytes / 1e6:.1f} MB in {sent.ended - sent.started:.1f} s, {rate:.0f} MB/s"
        )
        self._intake.uploaded(sent.source.source_id)
        if self.only is not None:
            self.only.add(sent.source.source_id)

    def before(self, engine: Engine, reporter: Reporter) -> None:
        """Do nothing."""

    def template(self, _folder: Path) -> Path:
        """Return the pipeline's template."""
        return TEMPLATE

    def warm_up(self, reporter: Reporter) -> None:
        """Return nothing: a cold pipeline is what a first file meets."""

    def announce(self, reporter: Reporter) -> None:
        """Say nothing: the file was described when it was prepared."""

    def uploaded(self) -> Upload:
        """Return the upload; raises RuntimeError before it has ended."""
        if self.sent is None:
            raise RuntimeError("nothing was uploaded yet")
        return self.sent


class UploadExperiment(SingleUpload):
    """A run of the whole pipeline; with `baseline` the engine's bare rates are measured first."""

    def __init__(self, file: InputFile, setting: Setting, *, baseline: bool = True) -> None:
        super().__init__(file, setting)
        self._measure = baseline
        self._baseline: list[Loop] = []
        self._meter: UsageMeter | None = None

    def before(self, engine: Engine, _reporter: Reporter) -> None:
        """Measure the engine's bare rates."""
        if self._measure:
            self._baseline = measure(engine, engine.processes, calls=BASELINE_CALLS, clients=(2,))

    def intake(self, engine: Engine, deployment: Deployment, folder: Path) -> OneObject:
        """Return the intake of the one object; from here on counts what AWS would bill."""
        self._meter = UsageMeter(engine, deployment)
        return super().intake(engine, deployment, folder)

    def examine(self, bed: Testbed, observed: Observed) -> AuditReport:
        """Audit every row."""
        if self._meter is not None:
            self._meter.read(observed.totals)
        objects = [Audited(self.uploaded().source, self.file.rows, self.file.spec)]
        with bed.reporter.bar("auditing", self.file.rows) as advance:
            return audit(bed.engine, bed.deployment, objects, advance, items_before=bed.watch.items_before)

    def finish(self, bed: Testbed, examined: Examined[AuditReport], _warmed: Examined[AuditReport] | None) -> UploadRun:
        """Return the finished run."""
        sent, observed = self.uploaded(), examined.observed
        update = observed.totals["update"]
        seconds = (update.ended_ms / 1000 - sent.started) if update.ended_ms else 0.0
        found = run_result(
            run=bed.folder.name,
            engine=bed.engine.report(),
            began_at=bed.watch.began_at,
            spec=_spec_of(self.file),
            manifest=self.file.manifest,
            rows=self.file.rows,
            parameters=self.setting.parameters,
            sent=sent,
            observed=observed,
            found=examined.finding,
            baseline=self._baseline,
            pipeline_seconds=seconds,
            usage=self._meter.usage(self.file.rows, [sent.file_bytes], seconds) if self._meter is not None else None,
        )
        result = judged(found, self.setting)
        return UploadRun(bed.folder, bed.deployment, self.file, sent, observed, examined.finding, seconds, result)


def generated_input(spec: CorpusSpec, setting: Setting, reporter: Reporter, *, room_here: bool) -> InputFile:
    """Return a generated file, from the cache where it is there.

    With `room_here` the engine keeps its data on this machine, at the rate that `harness doctor` knows: as many rows
    are generated as fit, which is said. Raises EnvironmentProblem where not even a thousand would.
    """
    fits = rows_that_fit() if room_here else spec.rows
    if spec.rows > fits:
        if fits < min(1000, spec.rows):
            refuse_if_too_many(spec.rows)
        reporter.say(
            f"[yellow]room:[/] {spec.rows:,} rows need {room_for(spec.rows)}, {free_room()} are free. "
            f"[bold]Running {fits:,} rows[/], the most that fit."
        )
        spec = replace(spec, rows=fits)
    with reporter.bar("generating", spec.rows) as advance:
        path, manifest = cached(spec, setting.cache, advance)
    reporter.say(
        f"corpus     {manifest.rows:,} rows, {manifest.file_bytes / 1e6:.1f} MB, seed {spec.seed}, "
        f"sha256 {manifest.sha256[:12]}"
    )
    return InputFile(path, spec.rows, spec, manifest)


def own_input(path: Path, setting: Setting, reporter: Reporter, *, room_here: bool) -> InputFile:
    """Return a user's own file, read once; `room_here` as above.

    Raises EnvironmentProblem where its rows do not fit.
    """
    parameters = setting.parameters
    foreign = scan_foreign(path, parameters.get("Delimiter", AUTO), parameters.get("Quotes", STRICT))
    columns = f"{len(foreign.columns):,} columns by {Dialect(foreign.delimiter).name}"
    reporter.say(
        f"file       {foreign.records:,} rows on {foreign.lines:,} lines with the header's, "
        + ("its delimiter is open" if foreign.undecided else columns)
        + f", {foreign.file_bytes / 1e6:.1f} MB"
    )
    if room_here:
        refuse_if_too_many(foreign.records, "the file")
    return InputFile(path, foreign.records, foreign=foreign)


def _spec_of(file: InputFile) -> dict[str, Any]:
    if file.spec is not None:
        return file.spec.to_json()
    spec: dict[str, Any] = {"file": file.path.name, "rows": file.rows}
    if file.foreign is not None:
        spec |= {"lines": file.foreign.lines, "columns": len(file.foreign.columns)}
    return spec
