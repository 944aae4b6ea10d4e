"""What a finished run prints: figures a reader can trust, and where the rest lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.audit import AuditReport
from harness.engines.consumption import consumption_lines
from harness.results import chaos_of, describe_rule, memory_scope, void_reason
from harness.experiments.upload_run import RunResult

PUBLISHED = "published design on AWS: 558,000 rows cleaned in 90 s, inserted at 1,860 rows/s"
NOISY = 0.02
"""Share of CPU time withheld from which a summary says so."""


def print_summary(console: Console, run: RunResult) -> None:
    """Print stages, whole pipeline, audit and paths."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("stage", "rows", "seconds", "rows/s", "of ceiling", "refused", "DLQ rows"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    shares = run.result["share_of_ceiling"]
    for stage, totals in run.watched.totals.items():
        letters = sum(run.audit.dead_letters.get(stage, {}).values())
        table.add_row(
            stage,
            f"{totals.rows_ok:,}",
            f"{totals.seconds:.1f}",
            f"{totals.rate:,.0f}",
            f"{shares[stage]:.0%}" if stage in shares else "",
            f"{totals.rows_failed:,}",
            f"{letters:,}",
        )
    console.print()
    console.print(table)
    clean = run.result["clean_seconds"]
    rate = run.rows / run.pipeline_seconds if run.pipeline_seconds else 0.0
    console.print(
        f"\npipeline   {run.rows:,} rows in {run.pipeline_seconds:.1f} s, {rate:,.0f} rows/s from upload to last "
        f"update; cleaned {'–' if clean is None else f'{clean:.1f} s'} after the upload",
        highlight=False,
        soft_wrap=True,
    )
    share = run.result["harness_cpu_share"]
    memory = f"{run.watched.memory_peak / 1e9:.1f} GB ({memory_scope(run.result)})"
    console.print(
        f"           peak memory {memory}, harness {share:.1%} of one core\n           {PUBLISHED}",
        highlight=False,
        soft_wrap=True,
    )
    if run.watched.cpu_stolen >= NOISY:
        console.print(
            f"           [yellow]noisy[/]: the host withheld {run.watched.cpu_stolen:.0%} of this machine's CPU time; "
            "rates are too low by more than that",
            highlight=False,
            soft_wrap=True,
        )
    print_doubt(console, run.result)
    print_consumption(console, run.result)
    print_chaos(console, chaos_of(run.result))
    _print_audit(console, run)
    console.print(f"results    {run.folder}/result.json", highlight=False, soft_wrap=True)
    console.print(f"report     {run.folder}/report.html", highlight=False, soft_wrap=True)


def print_consumption(console: Console, result: Mapping[str, Any]) -> None:
    """Print what the tables consumed and what they throttled, where the engine knows."""
    for number, text in enumerate(consumption_lines(result["consumption"])):
        console.print(f"{'' if number else 'capacity':11}{escape(text)}", highlight=False, soft_wrap=True)


def print_doubt(console: Console, result: Mapping[str, Any]) -> None:
    """Print why the figures of a result are void, if they are."""
    reason = void_reason(result)
    if reason:
        console.print(
            f"           [bold yellow]figures void[/]: {reason}; durations and rates mean nothing",
            highlight=False,
            soft_wrap=True,
        )


def print_chaos(console: Console, rules: Sequence[Mapping[str, Any]]) -> None:
    """Print what chaos rules did, a line a rule; nothing where there are none."""
    for index, rule in enumerate(rules):
        console.print(
            f"{'' if index else 'chaos':<10} rule {rule['rule']}: {describe_rule(rule)}: "
            f"{rule['injected']:,} of {rule['matched']:,} requests",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _print_audit(console: Console, run: RunResult) -> None:
    report = run.audit
    good = report.conserved and report.as_expected
    console.print(
        f"audit      [{'green' if good else 'bold red'}]{report.sentence()}[/] (checked in {report.seconds:.1f} s)",
        highlight=False,
        soft_wrap=True,
    )
    for said in run.watched.totals["clean"].notes["rejected"]:
        console.print(f"           [bold yellow]refused as a whole[/]: {escape(said)}", highlight=False, soft_wrap=True)
    if report.quarantined:
        console.print(f"           quarantined: {_list(report.quarantined)}", highlight=False, soft_wrap=True)
    if not good and any(rule["injected"] for rule in chaos_of(run.result)):
        console.print(
            "           [yellow]faults were injected[/]: a row that meets one at each of its receives ends in a "
            "dead-letter queue, where the manifest does not expect it",
            highlight=False,
            soft_wrap=True,
        )
    for stage, reasons in report.dead_letters.items():
        if reasons:
            console.print(f"           {stage} DLQ: {_list(reasons)}", highlight=False, soft_wrap=True)
    if report.duplicate_letters:
        console.print(f"           {report.duplicate_letters:,} second copies in quarantine and DLQs", highlight=False)
    print_unattributed(console, report)
    for problem, count in report.problems.items():
        console.print(f"           [red]{count:,} × {problem}[/]", highlight=False)
    for finding in report.findings:
        console.print(
            f"           row {finding.row}: {finding.problem}: {finding.detail}", markup=False, soft_wrap=True
        )


def print_unattributed(console: Console, report: AuditReport) -> None:
    """Print the dead-letter messages that are no rows: nobody should have to find them by chance."""
    for stage, kinds in report.unattributed.items():
        console.print(
            f"           [bold yellow]{stage} DLQ, messages that name no row:[/] {_list(kinds)}; "
            f"`harness dlq show {stage}`",
            highlight=False,
            soft_wrap=True,
        )
    if report.other_objects:
        console.print(f"           {report.other_objects:,} dead-letter messages are of other objects", highlight=False)


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {escape(reason)}" for reason, n in sorted(counts.items()))
