"""The main job, from nothing to an audited result."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from handlers.dialect import AUTO, STRICT, Dialect
from harness.audit import AuditReport, audit
from harness.audit.audit import count_items
from harness.audit.blocks import Audited
from harness.bench.engine import Loop, measure, shares_of_ceiling
from harness.corpus import CorpusSpec, ForeignSummary, Manifest, cached, scan_foreign
from harness.doctor.room import free_room, refuse_if_too_many, room_for, rows_that_fit
from harness.engines.base import Deployment, Engine
from harness.engines.clients import translated
from harness.engines.consumption import Consumption
from harness.fingerprint import fingerprint
from harness.metering import UsageMeter
from harness.queues import read_depths
from harness.report import write_report
from harness.results import save_result
from harness.run.clock import RunClock
from harness.run.display import make_display
from harness.run.record import logs_kept, recorded
from harness.run.rest import audited_at_rest
from harness.run.watch import Watched, Watcher
from harness.upload import Upload, upload

TEMPLATE = Path(__file__).resolve().parents[2] / "handlers" / "template.yaml"
STACK = "ingestion"
CEILING_CALLS = 300


@dataclass(frozen=True)
class RunOptions:
    """What to run. `file` replaces the corpus by the user's own CSV; `parameters` are the template's."""

    spec: CorpusSpec
    file: Path | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    stall_timeout: float = 120.0
    ceiling: bool = True
    cache: Path | None = None


@dataclass(frozen=True)
class RunResult:
    """Everything a run found out."""

    folder: Path
    options: RunOptions
    deployment: Deployment
    rows: int
    upload: Upload
    watched: Watched
    audit: AuditReport
    ceiling: list[Loop]
    pipeline_seconds: float
    result: dict[str, Any]


@dataclass(frozen=True)
class Input:
    """The file to upload and what is known of it."""

    path: Path
    rows: int
    spec: CorpusSpec | None
    manifest: Manifest | None
    foreign: ForeignSummary | None


class Runner:
    """Runs the main job on an engine that is started by the caller's `with`."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet

    def prepare(self, options: RunOptions, *, on_this_machine: bool = True) -> Input:
        """Return the input: the user's file, or a corpus of as many rows as fit into memory.

        `on_this_machine` says whether the engine keeps its data here, at the rate that `doctor` knows;
        an engine that was started elsewhere has limits of its own. Raises EnvironmentProblem where the user's file,
        or not even a thousand rows, would not fit.
        """
        if options.file is not None:
            foreign = scan_foreign(
                options.file,
                options.parameters.get("Delimiter", AUTO),
                options.parameters.get("Quotes", STRICT),
            )
            self._say(
                f"file       {foreign.records:,} rows on {foreign.lines:,} lines with the header's, "
                + ("its delimiter is open" if foreign.undecided else _columns_of(foreign))
                + f", {foreign.file_bytes / 1e6:.1f} MB"
            )
            if on_this_machine:
                refuse_if_too_many(foreign.records, "the file")
            return Input(options.file, foreign.records, None, None, foreign)
        spec = options.spec
        fits = rows_that_fit() if on_this_machine else spec.rows
        if spec.rows > fits:
            if fits < min(1000, spec.rows):
                refuse_if_too_many(spec.rows)
            self._say(
                f"[yellow]room:[/] {spec.rows:,} rows need {room_for(spec.rows)}, {free_room()} are free. "
                f"[bold]Running {fits:,} rows[/], the most that fit."
            )
            spec = CorpusSpec(**{**spec.to_json(), "rows": fits})
        with self._bar("generating", spec.rows) as advance:
            path, manifest = cached(spec, options.cache, advance)
        self._say(
            f"corpus     {manifest.rows:,} rows, {manifest.file_bytes / 1e6:.1f} MB, seed {spec.seed}, "
            f"sha256 {manifest.sha256[:12]}"
        )
        return Input(path, spec.rows, spec, manifest, None)

    def run(self, engine: Engine, given: Input, options: RunOptions, folder: Path) -> RunResult:
        """Deploy, upload, watch and audit on a started engine; writes the results into `folder`.

        Raises StageStuck, EnvironmentProblem where rows never come to rest, and EngineError where the engine ends or no
        longer answers; `folder` then has the logs and `error.json`, and the error's hint names it.
        """
        with recorded(folder), logs_kept(engine, folder), translated(engine), RunClock() as clock:
            return self._run(engine, given, options, folder, clock)

    def _run(self, engine: Engine, given: Input, options: RunOptions, folder: Path, clock: RunClock) -> RunResult:
        ceiling = self._ceiling(engine) if options.ceiling else []
        deployment = engine.deploy(TEMPLATE, options.parameters, stack_name=STACK)
        self._say(deployed_line(engine, deployment))
        used_before, meter = engine.consumption(), UsageMeter(engine, deployment)
        before, items_before = read_depths(engine, deployment), count_items(engine, deployment)
        began, began_at = time.monotonic(), time.time()
        sent = self._upload(engine, deployment, given)
        rate = sent.file_bytes / max(1e-6, sent.ended - sent.started) / 1e6
        self._say(f"uploaded   {sent.file_bytes / 1e6:.1f} MB in {sent.ended - sent.started:.1f} s, {rate:.0f} MB/s")
        objects = [Audited(sent.source, given.rows, given.spec)]

        def look_for_every_row() -> tuple[Watched, Consumption | None, AuditReport]:
            watched, used = watcher.watched(), consumed_since(engine, used_before)
            meter.read(watched.totals)
            with self._bar("auditing", given.rows) as advance:
                return watched, used, audit(engine, deployment, objects, advance, items_before=items_before)

        with Watcher(
            engine,
            deployment,
            given.rows,
            {sent.source.source_id},
            make_display(self._console, quiet=self._quiet),
            stall_timeout=options.stall_timeout,
            before=before,
            series=folder / "timeseries.jsonl",
            began=began,
            clock=clock,
        ) as watcher:
            watched, used, found = audited_at_rest(watcher.settle, look_for_every_row, watcher.undisturbed)
        update = watched.totals["update"]
        pipeline = (update.ended_ms / 1000 - sent.started) if update.ended_ms else 0.0
        result = self._result(engine, given, options, sent, watched, found, ceiling, pipeline, began_at)
        result["usage"] = meter.usage(given.rows, [sent.file_bytes], pipeline)
        result |= {"consumption": used.to_json() if used is not None else None, **clock.doubt().to_json()}
        save_result(folder, {"run": folder.name, **result})
        write_report(folder)
        return RunResult(folder, options, deployment, given.rows, sent, watched, found, ceiling, pipeline, result)

    def _ceiling(self, engine: Engine) -> list[Loop]:
        return measure(engine, getattr(engine, "pids", {}), calls=CEILING_CALLS, clients=(2,))

    def _upload(self, engine: Engine, deployment: Deployment, given: Input) -> Upload:
        key = f"uploads/{given.path.name}"
        if not key.endswith(".csv"):
            key += ".csv"
        total = given.path.stat().st_size
        with ExitStack() as stack:
            sent = 0
            advance = stack.enter_context(self._bar("uploading", total, data=True))

            def progress(count: int) -> None:
                nonlocal sent
                sent += count
                advance(sent)

            return upload(engine, deployment.output("UploadBucket"), key, given.path, progress)

    def _result(
        self,
        engine: Engine,
        given: Input,
        options: RunOptions,
        sent: Upload,
        watched: Watched,
        found: AuditReport,
        ceiling: list[Loop],
        pipeline: float,
        began: float,
    ) -> dict[str, Any]:
        clean = watched.totals["clean"]
        report = engine.report()
        shares = shares_of_ceiling(ceiling, {name: totals.rate for name, totals in watched.totals.items()})
        return {
            "kind": "run",
            "began": round(began, 3),
            "watched_seconds": round(watched.seconds, 3),
            "engine": vars(report) | {"versions": dict(report.versions)},
            "spec": _spec_of(given),
            "corpus": {
                "file_bytes": sent.file_bytes,
                "sha256": given.manifest.sha256 if given.manifest else "",
                "checksum": given.manifest.checksum if given.manifest else "",
            },
            "parameters": options.parameters,
            "fingerprint": fingerprint(),
            "upload_seconds": round(sent.ended - sent.started, 3),
            "clean_seconds": round(clean.ended_ms / 1000 - sent.ended, 3) if clean.ended_ms else None,
            "pipeline_seconds": round(pipeline, 3),
            "pipeline_rows_per_second": round(given.rows / pipeline, 1) if pipeline else None,
            "stages": {name: totals.to_json() for name, totals in watched.totals.items()},
            "ceiling": [loop.to_json() for loop in ceiling],
            "share_of_ceiling": {stage: round(share, 3) for stage, share in shares.items()},
            "audit": found.to_json(),
            "memory_peak_bytes": watched.memory_peak,
            "harness_cpu_share": round(watched.harness_cpu / watched.seconds, 4) if watched.seconds else None,
            "cpu_stolen_share": round(watched.cpu_stolen, 4),
            "cpu_seconds": {group: round(seconds, 3) for group, seconds in watched.cpu_seconds.items()},
            "log_bytes": watched.log_bytes,
        }

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text, highlight=False, soft_wrap=True)

    def _bar(self, label: str, total: int, *, data: bool = False) -> ProgressBar:
        return ProgressBar(self._console, label, total, data=data, hidden=self._quiet)


def consumed_since(engine: Engine, before: Consumption | None) -> Consumption | None:
    """Return what the tables consumed since `before`; None where the engine does not know."""
    now = engine.consumption()
    return now.since(before) if now is not None and before is not None else None


def deployed_line(engine: Engine, deployment: Deployment) -> str:
    """Return the line of a run's or load's header about what was deployed, and under which rules tables throttle."""
    return (
        f"deployed   stack {STACK} on engine {engine.name}, capacity {engine.report().capacity}, "
        f"{len(deployment.outputs)} outputs"
    )


class ProgressBar:
    """A progress bar; entering it gives a function that takes the count so far."""

    def __init__(self, console: Console, label: str, total: int, *, data: bool = False, hidden: bool = False) -> None:
        counter = DownloadColumn() if data else MofNCompleteColumn()
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            counter,
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=hidden or not console.is_terminal,
        )
        self._label, self._total = label, total

    def __enter__(self) -> Callable[[int], None]:
        self._progress.start()
        task = self._progress.add_task(self._label, total=self._total)
        return lambda done: self._progress.update(task, completed=done)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _columns_of(foreign: ForeignSummary) -> str:
    return f"{len(foreign.columns):,} columns by {Dialect(foreign.delimiter).name}"


def _spec_of(given: Input) -> dict[str, Any]:
    if given.spec is not None:
        return given.spec.to_json()
    spec: dict[str, Any] = {"file": given.path.name, "rows": given.rows}
    if given.foreign is not None:
        spec |= {"lines": given.foreign.lines, "columns": len(given.foreign.columns)}
    return spec
