"""What a finished load prints: latencies, rates, conservation, and where the rest lies."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from harness.experiments.load_result import first_errors
from harness.experiments.load_run import LoadRun
from harness.experiments.result_lines import (
    print_audit,
    print_chaos,
    print_consumption,
    print_cost,
    print_doubt,
    print_objectives,
)
from harness.results import Latencies, LatencyFigures, LoadedResult, LoadFigures, memory_scope

PERCENTILES = ("50", "90", "95", "99", "99.9")


def print_summary(console: Console, run: LoadRun) -> None:
    """Print latencies, rates, audit and paths."""
    result = run.result
    _say(console, "")
    console.print(latency_table(result.latencies))
    _say(console, "")
    _print_rates(console, result)
    _print_uploads(console, result.load, first_errors(run.examined.finding.outcomes))
    print_doubt(console, result)
    print_consumption(console, result)
    print_cost(console, result)
    print_chaos(console, result.engine.chaos)
    print_audit(console, run.examined.finding.audit)
    if run.warmed is not None and not run.conserved:
        _say(console, "warm-up:")
        print_audit(console, run.warmed.finding.audit)
    print_objectives(console, result.objectives)
    _say(console, f"results    {run.folder}/result.json, {run.folder}/report.html")


def _say(console: Console, text: str, *, markup: bool = True) -> None:
    console.print(text, highlight=False, soft_wrap=True, markup=markup)


def _print_rates(console: Console, result: LoadedResult) -> None:
    load = result.load
    _say(
        console,
        f"load       {load.files:,} files, {load.rows:,} rows in {result.pipeline_seconds or 0.0:.1f} s from the first "
        f"intended start to the last durable row: {result.pipeline_rows_per_second or 0:,.0f} rows/s",
    )
    _say(
        console,
        f"           offered {load.rate:,.0f} rows/s; settled {load.settle_seconds:.1f} s after the last upload; "
        f"{load.rows_redelivered:,} rows delivered twice",
    )
    first, second = load.halves_end_to_end_p50_ms
    if first is not None and second is not None:
        _say(console, f"           end-to-end p50 in the first half {first:,.0f} ms, in the second {second:,.0f} ms")
    _say(
        console,
        f"           peak memory {result.memory_peak_bytes / 1e9:.1f} GB ({memory_scope(result.engine.name)}); harness "
        f"{result.harness_cpu_share or 0:.1%} of one core, of it telemetry {result.tracker_cpu_share or 0:.1%}; "
        f"Locust {result.cpu_seconds.get('locust', 0.0):.1f} s of CPU",
    )


def _print_uploads(console: Console, load: LoadFigures, errors: Sequence[tuple[str, int]]) -> None:
    """Print what did not go as it should, each only where there is some of it."""
    if load.uploads_failed or load.uploads_ambiguous:
        _say(
            console,
            f"uploads    [bold red]{load.uploads_failed:,} failed[/]; {load.uploads_ambiguous:,} are in the "
            "bucket though the client did not learn of it",
        )
        for text, count in errors:
            _say(console, f"           {count:,} × {text}", markup=False)
    if load.files_unsent or load.uploads_unreported:
        _say(
            console,
            f"           [bold red]{load.files_unsent:,} files not sent, {load.uploads_unreported:,} sent but "
            "not reported[/]",
        )
    if load.files_without_completion:
        _say(console, f"           [yellow]{load.files_without_completion:,} files without a completion time[/]")


def latency_table(latencies: Latencies) -> Table:
    """Return the table of latencies in milliseconds; a dash where the sample does not support a percentile."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("latency, ms")
    for name in ("files", *(f"p{p}" for p in PERCENTILES), "max"):
        table.add_column(name, justify="right")
    _add(table, "upload", latencies.upload)
    _add(table, "end to end", latencies.end_to_end)
    return table


def _add(table: Table, name: str, found: LatencyFigures) -> None:
    cells = [_ms(found.percentiles.get(p)) for p in PERCENTILES]
    table.add_row(name, f"{found.count:,}", *cells, _ms(found.max))


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"
