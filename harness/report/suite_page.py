"""The page of a suite: its repetitions, how far they spread, and whether each was conserved."""

from __future__ import annotations

from collections.abc import Sequence

from harness.compare.subject import repetitions_of
from harness.report.metric_charts import repetition_chart
from harness.report.page import Page, Section, moment
from harness.report.run_page import objectives_section
from harness.report.sections import Tile, Verdict, environment_tables, with_objectives
from harness.report.tables import Table, number, percent, seconds_text
from harness.results import DeployedResult, Result, Stored, SuiteResult, WatchedResult

HEADLINES = 4
"""Metrics that are shown as tiles: the aggregate's first ones."""


def suite_page(stored: Stored[SuiteResult]) -> Page:
    """Return the page of a stored suite; raises UsageError where a repetition's result is not beside it."""
    aggregate = stored.document
    runs = repetitions_of(stored.folder, aggregate)
    metrics = aggregate.metrics
    seen = aggregate.fingerprint
    return Page(
        kind="suite",
        title=f"Suite {aggregate.suite}, {len(runs)} repetitions",
        facts=[
            stored.name,
            moment(began_of(runs[0]) if runs else None),
            f"engine {aggregate.engine}",
            f"{seen.cores} cores, {seen.cpu}",
            f"commit {seen.git_sha[:12]}" if seen.git_sha else "",
        ],
        verdict=with_objectives(_verdict(aggregate, runs), aggregate.objectives),
        tiles=[
            Tile(name.replace("_", " "), number(m.median), m.unit, f"{number(m.low)} – {number(m.high)}")
            for name, m in list(metrics.items())[:HEADLINES]
        ],
        limits=[],
        sections=[
            *objectives_section(aggregate.objectives),
            Section("Metrics", charts=[repetition_chart(metrics)] if metrics else []),
            Section("Repetitions", tables=[_repetitions(runs)]),
            *([Section("Environment", tables=environment_tables(runs[0]))] if runs else []),
        ],
    )


def began_of(run: Result) -> float | None:
    """Return when a result's upload began, in Unix seconds; None of a cleaner's."""
    return run.began if isinstance(run, DeployedResult) else None


def _verdict(aggregate: SuiteResult, runs: Sequence[Result]) -> Verdict:
    bad = [run.run for run in runs if not run.conserved]
    rows = sum(run.audit.rows for run in runs)
    if bad or not aggregate.conserved:
        return Verdict("bad", "Not conserved", f"In {', '.join(bad) or 'the suite'} rows are not where they should be.")
    return Verdict("good", "Conserved", f"{rows:,} rows in {len(runs)} repetitions, every one accounted for.")


def _repetitions(runs: Sequence[Result]) -> Table:
    rows = []
    for run in runs:
        watched = run if isinstance(run, WatchedResult) else None
        rows.append(
            (
                run.run,
                "yes" if run.conserved else "no",
                f"{run.audit.rows:,}",
                seconds_text(watched.pipeline_seconds if watched else None),
                number(watched.pipeline_rows_per_second if watched else None),
                f"{run.audit.dead_lettered_rows:,}",
                percent(watched.cpu_stolen_share if watched else None),
            )
        )
    columns = ("repetition", "conserved", "rows", "duration", "rows/s", "DLQ rows", "CPU withheld")
    return Table("Repetitions", columns, tuple(rows), 2)
