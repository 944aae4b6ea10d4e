"""The page of a suite: its repetitions, how far they spread, and whether each was conserved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.report.metric_charts import repetition_chart
from harness.report.page import Page, Section, moment
from harness.report.sections import Tile, Verdict, dead_lettered, environment_tables
from harness.report.tables import Table, number, percent, seconds_text
from harness.results import RESULT, Stored, read_stored

HEADLINES = 4
"""Metrics that are shown as tiles: the aggregate's first ones."""


def suite_page(stored: Stored) -> Page:
    """Return the page of a stored suite; raises UsageError where a repetition's result is not beside it."""
    aggregate = stored.data
    runs = [read_stored(stored.folder / str(name), (RESULT,)).data for name in aggregate["repetitions"]]
    metrics: Mapping[str, Mapping[str, Any]] = aggregate["metrics"]
    seen = aggregate["fingerprint"]
    return Page(
        kind="suite",
        title=f"Suite {aggregate['suite']}, {len(runs)} repetitions",
        facts=[
            stored.name,
            moment(runs[0].get("began") if runs else None),
            f"engine {aggregate['engine']}",
            f"{seen['cores']} cores, {seen['cpu']}",
            f"commit {seen['git_sha'][:12]}" if seen.get("git_sha") else "",
        ],
        verdict=_verdict(aggregate, runs),
        tiles=[
            Tile(name.replace("_", " "), number(m["median"]), m["unit"], f"{number(m['low'])} – {number(m['high'])}")
            for name, m in list(metrics.items())[:HEADLINES]
        ],
        limits=[],
        sections=[
            Section("Metrics", charts=[repetition_chart(metrics)] if metrics else []),
            Section("Repetitions", tables=[_repetitions(runs)]),
            *([Section("Environment", tables=environment_tables(runs[0]))] if runs else []),
        ],
    )


def _verdict(aggregate: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> Verdict:
    bad = [str(run.get("run")) for run in runs if not (run["audit"]["conserved"] and run["audit"]["as_expected"])]
    rows = sum(run["audit"]["rows"] for run in runs)
    if bad or not aggregate["conserved"]:
        return Verdict("bad", "Not conserved", f"In {', '.join(bad) or 'the suite'} rows are not where they should be.")
    return Verdict("good", "Conserved", f"{rows:,} rows in {len(runs)} repetitions, every one accounted for.")


def _repetitions(runs: Sequence[Mapping[str, Any]]) -> Table:
    rows = tuple(
        (
            str(run.get("run")),
            "yes" if run["audit"]["conserved"] and run["audit"]["as_expected"] else "no",
            f"{run['audit']['rows']:,}",
            seconds_text(run.get("pipeline_seconds")),
            number(run.get("pipeline_rows_per_second")),
            f"{dead_lettered(run['audit']):,}",
            percent(run.get("cpu_stolen_share")),
        )
        for run in runs
    )
    columns = ("repetition", "conserved", "rows", "duration", "rows/s", "DLQ rows", "CPU withheld")
    return Table("Repetitions", columns, rows, 2)
