"""The page of one run or load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.report import sections
from harness.report.charts import run_charts, saturation_chart
from harness.report.cost_section import cost_sections
from harness.report.diagnosis import limits_of
from harness.report.latency_charts import latency_charts, latency_table
from harness.report.page import Page, Section, moment
from harness.report.series import columns
from harness.report.tables import Table, bytes_text
from harness.results import (
    SAMPLES,
    SERIES,
    LoadedResult,
    LoadResult,
    ObjectiveFigures,
    RunResult,
    SaturationResult,
    Stored,
    WatchedResult,
    read_lines,
)


def run_page(stored: Stored[RunResult | LoadedResult]) -> Page:
    """Return the page of a stored run, load or saturation search, with what lies beside its result."""
    result = stored.document
    lines = read_lines(stored.folder / SERIES)
    samples = read_lines(stored.folder / SAMPLES)
    series, began = columns(lines), _began(result, lines)
    engine, seen = result.engine, result.fingerprint
    charts = run_charts(series, result, began)
    return Page(
        kind=result.kind,
        title=_title(result),
        facts=[
            stored.name,
            moment(result.began),
            f"engine {engine.name}",
            f"capacity {engine.capacity}" if engine.capacity != "unlimited" else "",
            f"{seen.cores} cores, {seen.cpu}",
            f"commit {seen.git_sha[:12]}" if seen.git_sha else "",
        ],
        verdict=sections.with_objectives(_verdict(result), result.objectives),
        tiles=sections.run_tiles(result),
        limits=limits_of(series.until(_work_seconds(result, began)), result),
        sections=[
            *objectives_section(result.objectives),
            *_saturation(result),
            *_published(result),
            *_latency(samples, result),
            *([Section("The run over time", charts=charts)] if charts else []),
            Section("Stages", tables=_known([sections.stage_table(result), sections.function_table(result)])),
            *_consumption(result),
            *cost_sections(result),
            _audit(result),
            Section(
                "Environment",
                tables=_known(
                    [
                        sections.chaos_table(result),
                        *sections.environment_tables(result),
                        sections.baseline_table(result),
                    ]
                ),
            ),
        ],
    )


def _verdict(result: WatchedResult) -> sections.Verdict:
    failed = 0
    if isinstance(result, LoadedResult):
        failed = result.load.uploads_failed + result.load.files_missing
        if result.warmup_audit is not None:
            of_warmup = sections.verdict_of(result.warmup_audit)
            if of_warmup.tone == "bad":
                return sections.Verdict("bad", f"Warm-up: {of_warmup.word.lower()}", of_warmup.sentence)
    found = sections.verdict_of(result.audit, failed)
    reason = result.figures_void_reason
    if not reason:
        return found
    tone = "bad" if found.tone == "bad" else "warn"
    sentence = f"{found.sentence} Durations and rates on this page mean nothing: {reason}."
    return sections.Verdict(tone, f"{found.word}; figures void", sentence)


def _title(result: WatchedResult) -> str:
    rows = f"{result.audit.rows:,} rows"
    if isinstance(result, SaturationResult):
        found = result.saturation
        return f"{found.rows_per_second:,.0f} rows/s sustained, {len(found.steps)} rates tried"
    if isinstance(result, LoadResult):
        return f"{rows} in {result.load.files:,} files, {result.load.shape} load"
    size = bytes_text(result.corpus.file_bytes)
    name = result.spec.get("file")
    return f"{rows}, {size}, {name}" if name else f"{rows}, {size}, through all five stages"


def _began(result: WatchedResult, lines: Sequence[Mapping[str, Any]]) -> float:
    """Return the Unix time of the series' second 0: a sample's own, where it has one, else the result's."""
    if lines and "time" in lines[0]:
        return float(lines[0]["time"]) - float(lines[0]["elapsed"])
    return result.began


def _work_seconds(result: WatchedResult, began: float) -> float:
    """Return the second of the series in which the last row was updated: what comes after is waiting for retries."""
    update = result.stages.get("update")
    return update.ended_ms / 1000 - began if update is not None and update.ended_ms else float("inf")


def objectives_section(objectives: Sequence[ObjectiveFigures]) -> list[Section]:
    """Return the section of objectives; none where nothing was asked for."""
    table = sections.objectives_table(objectives)
    return [] if table is None else [Section("Objectives", tables=[table])]


def _published(result: WatchedResult) -> list[Section]:
    table = sections.published_table(result)
    if table is None:
        return []
    intro = (
        "Another machine, another scale: on AWS hundreds of functions ran at a time. The figures stand side by side to "
        "show what this machine is good for, not to rank them."
    )
    return [Section("Beside the published design", intro, tables=[table])]


def _saturation(result: WatchedResult) -> list[Section]:
    if not isinstance(result, SaturationResult):
        return []
    intro = (
        "A rate is sustained when the backlog that it leaves stays bounded: when the slope of the unfinished rows over "
        "time is surely near zero. The rates of this engine are not AWS's."
    )
    found = result.saturation
    return [Section("The search", intro, charts=[saturation_chart(found)], tables=[sections.saturation_table(found)])]


def _latency(samples: Sequence[Mapping[str, Any]], result: WatchedResult) -> list[Section]:
    if not isinstance(result, LoadResult):
        return []
    charts = latency_charts(samples, result.latencies)
    intro = (
        "Counted from the moment at which the schedule meant to send a file, not from when it was sent, so that a slow "
        "system cannot hide its own delays."
    )
    return [Section("Latency", intro, charts=charts, tables=[] if charts else [latency_table(result.latencies)])]


def _audit(result: WatchedResult) -> Section:
    audit = result.audit
    intro = (
        f"The audit looked for each row in the table, in quarantine and in every dead-letter queue, within "
        f"{audit.seconds:.1f} s. The table holds {audit.items_in_table:,} items of this run, "
        f"{audit.items_accounted:,} of them accounted for; {audit.duplicate_messages:,} second copies of a row "
        "lie in quarantine and dead-letter queues."
    )
    found = [
        sections.problem_table(audit),
        sections.rejected_table(audit),
        sections.unattributed_table(audit),
        sections.object_table(result),
    ]
    return Section("Where the other rows are", intro, tables=_known(found))


def _consumption(result: WatchedResult) -> list[Section]:
    if result.consumption is None:
        return []
    intro = (
        "Capacity units as DynamoDB meters them, the audit's own reads not counted. A request is throttled when any "
        "item of it was refused."
    )
    if not result.consumption.complete:
        intro += " Not complete: the tables' process ended meanwhile, and what it had counted is lost."
    return [Section("Capacity consumed", intro, tables=[sections.consumption_table(result.consumption)])]


def _known(tables: Sequence[Table | None]) -> list[Table]:
    return [table for table in tables if table is not None]
