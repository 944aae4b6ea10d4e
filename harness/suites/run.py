"""Runs a suite: warm-up and repetitions, each on a fresh engine, each audited, and what they say together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.corpus import cached
from harness.data_plane.chaos.rules import RuleSet
from harness.doctor.room import refuse_if_too_many
from harness.engines.base import Engine
from harness.engines.registry import create, kind_of
from harness.errors import EnvironmentProblem
from harness.experiments.insert_run import InsertExperiment
from harness.experiments.lifecycle import Setting, conduct
from harness.experiments.load_result import require_uploaded
from harness.experiments.load_run import LoadExperiment, LoadOptions, rows_of
from harness.experiments.record import LOGS, recorded
from harness.experiments.reporter import Reporter
from harness.experiments.result_lines import print_objectives
from harness.experiments.upload_run import UploadExperiment, generated_input
from harness.fingerprint import fingerprint
from harness.load.locust_process import LocustOptions, free_port
from harness.metrics import figure
from harness.results import (
    AGGREGATE,
    AuditFigures,
    CleanerFigures,
    CleanResult,
    CorpusFigures,
    InsertResult,
    LoadResult,
    Result,
    RunResult,
    SuiteResult,
    save_result,
)
from harness.suites.aggregate import aggregate
from harness.suites.model import Kind, Suite

Execute = Callable[[Suite, "SuiteOptions", Path], Result]
"""Runs one repetition in a folder, which then holds its result, and returns that."""


@dataclass(frozen=True)
class SuiteOptions:
    """Where a suite runs and to whom it speaks."""

    engine: str
    profile: str
    console: Console
    capacity: str = "unlimited"
    quiet: bool = False
    chaos: RuleSet | None = None

    def say(self, text: str) -> None:
        """Print a line unless nothing but JSON is wanted."""
        if not self.quiet:
            self.console.print(text, highlight=False, soft_wrap=True)


def run_suite(suite: Suite, options: SuiteOptions, folder: Path, execute: Execute | None = None) -> SuiteResult:
    """Run a suite and write `aggregate.json` and a folder for every repetition; returns the aggregate.

    Ends early where a repetition, a warm-up included, is not conserved: the aggregate then says so. Raises what a
    repetition raises, and EnvironmentProblem where the figures of one are void; the results of those before it stay.
    """
    run_one = execute or _EXECUTORS[suite.kind]
    results: dict[str, Result] = {}
    lost = False
    for number in range(1, suite.warmup + suite.repetitions + 1):
        warming = number <= suite.warmup
        name = f"warmup-{number}" if warming else f"{number - suite.warmup:02d}"
        what = f"warm-up {number} of {suite.warmup}" if warming else (f"repetition {number - suite.warmup}")
        options.say(f"[bold]{suite.name}[/]: {what}{'' if warming else f' of {suite.repetitions}'}")
        place = folder / name
        place.mkdir()
        with recorded(place):
            result = run_one(suite, options, place)
        lost = not result.conserved
        if lost or not warming:
            results[name] = result
        if lost:
            options.say(f"[bold red]{what}: rows are not where they must be; ending here[/]")
            break
        if not warming and (reason := result.figures_void_reason):
            raise EnvironmentProblem(
                f"the figures of {what} are void: {reason}", hint="run the suite again and keep the machine awake"
            )
    found = aggregate(folder.name, suite, options.engine, results, fingerprint())
    save_result(folder, found, AGGREGATE)
    return found


def print_aggregate(console: Console, found: SuiteResult) -> None:
    """Print every metric with its median and spread."""
    intervals = {m.interval for m in found.metrics.values()}
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("metric", no_wrap=True)
    for name in ("median", "unit", " or ".join(sorted(intervals)) or "range", "spread"):
        table.add_column(name, justify="right")
    for name, m in found.metrics.items():
        table.add_row(name, figure(m.median), m.unit, f"{figure(m.low)} to {figure(m.high)}", f"{m.spread:.0%}")
    console.print()
    console.print(table)
    if found.incomplete:
        console.print(f"not in every repetition: {', '.join(found.incomplete)}", soft_wrap=True)
    print_objectives(console, found.objectives)
    count = len(found.repetitions)
    state = "[green]conserved[/]" if found.conserved else "[bold red]not conserved[/]"
    console.print(f"\n{found.suite}: {count} repetition{'s' if count != 1 else ''}, {state}", highlight=False)


def _engine(options: SuiteOptions, folder: Path) -> Engine:
    return create(
        options.engine,
        profile=options.profile,
        capacity=options.capacity,
        logs=folder / LOGS,
        chaos=options.chaos,
    )


def _room_here(options: SuiteOptions) -> bool:
    return kind_of(options.engine).data_here


def _reporter(options: SuiteOptions) -> Reporter:
    return Reporter(options.console, quiet=options.quiet)


def _run(suite: Suite, options: SuiteOptions, folder: Path) -> RunResult:
    setting, reporter = Setting(dict(suite.parameters)), _reporter(options)
    file = generated_input(suite.corpus, setting, reporter, room_here=_room_here(options))
    with _engine(options, folder) as engine:
        return conduct(UploadExperiment(file, setting, baseline=False), engine, folder, reporter).result


def _load(suite: Suite, options: SuiteOptions, folder: Path) -> LoadResult:
    load = suite.load
    if _room_here(options):
        refuse_if_too_many(rows_of(load.spec), "the load")
    port = free_port("127.0.0.1") if load.processes else 0
    locust = LocustOptions(users=load.users, processes=load.processes, master_port=port)
    asked = LoadOptions(load.spec, load.warmup, locust, Setting(dict(suite.parameters)))
    with _engine(options, folder) as engine:
        finished = conduct(LoadExperiment(asked), engine, folder, _reporter(options))
    if finished.conserved:
        require_uploaded(finished.examined.finding, folder)
    return finished.result


def _insert(suite: Suite, options: SuiteOptions, folder: Path) -> InsertResult:
    experiment = InsertExperiment(suite.corpus, Setting(dict(suite.parameters)), room_here=_room_here(options))
    with _engine(options, folder) as engine:
        return conduct(experiment, engine, folder, Reporter(options.console, quiet=True)).result


def _clean(suite: Suite, options: SuiteOptions, folder: Path) -> CleanResult:
    from harness.bench.clean import run_clean_bench

    path, manifest = cached(suite.corpus)
    cleaners = run_clean_bench(path, 1, None if options.quiet else options.console)
    ours = next(c for c in cleaners if c.name == "ours")
    if ours.missing:
        raise EnvironmentProblem(f"our own cleaner did not run: {ours.missing}")
    conserved = ours.rows == manifest.rows
    result = CleanResult(
        run=folder.name,
        spec=suite.corpus.to_json(),
        corpus=CorpusFigures(file_bytes=manifest.file_bytes, sha256=manifest.sha256, checksum=manifest.checksum),
        fingerprint=fingerprint(),
        cleaners=[CleanerFigures(**vars(cleaner)) for cleaner in cleaners],
        audit=AuditFigures(
            conserved=conserved,
            as_expected=conserved,
            rows=ours.rows,
            problems={} if conserved else {"lost": manifest.rows - ours.rows},
        ),
    )
    save_result(folder, result)
    return result


_EXECUTORS: dict[Kind, Execute] = {Kind.RUN: _run, Kind.LOAD: _load, Kind.INSERT: _insert, Kind.CLEAN: _clean}
