"""What a finished experiment of any kind prints: doubt, consumption, chaos, audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from harness.audit import AuditReport
from harness.cost.bill import bill, dollars_text
from harness.cost.from_result import workload_of
from harness.cost.prices import load_prices
from harness.engines.consumption import consumption_lines
from harness.objectives import sentence
from harness.results import DeployedResult, ObjectiveFigures, Outcome, Result, WatchedResult, describe_rule

NOISY = 0.02
"""Share of CPU time withheld by the host from which it is said."""


def print_noise(console: Console, stolen: float) -> None:
    """Print what share of the machine's CPU time its host withheld, where that matters."""
    if stolen >= NOISY:
        console.print(
            f"           [yellow]noisy[/]: the host withheld {stolen:.0%} of this machine's CPU time; "
            "rates are too low by more than that",
            highlight=False,
            soft_wrap=True,
        )


def print_consumption(console: Console, result: DeployedResult) -> None:
    """Print what the tables consumed and what they throttled, where the engine knows."""
    for number, text in enumerate(consumption_lines(result.consumption)):
        console.print(f"{'' if number else 'capacity':11}{escape(text)}", highlight=False, soft_wrap=True)


def print_cost(console: Console, result: WatchedResult) -> None:
    """Print what AWS would charge, by service; nothing where the engine did not tell what was used."""
    if result.usage is None:
        return
    made = bill(workload_of(result), load_prices())
    services = ", ".join(f"{name} {dollars_text(amount)}" for name, amount in made.by_service().items())
    million = dollars_text(made.per_million_rows)
    console.print(
        f"cost       {dollars_text(made.total)} on AWS, {million} a million rows, at list prices and this machine's "
        f"durations (harness cost)\n           {services}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def print_doubt(console: Console, result: Result) -> None:
    """Print why the figures of a result are void, if they are."""
    reason = result.figures_void_reason
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


def print_audit(
    console: Console,
    report: AuditReport,
    *,
    refused: Sequence[str] = (),
    faults_injected: bool = False,
    detailed: bool = False,
) -> None:
    """Print the verdict and the first rows that are not as they should be.

    `refused` are the reasons for which objects were refused as a whole, `faults_injected` says whether chaos rules
    did anything, `detailed` whether good results too say where refused rows are.
    """

    def say(text: str, *, markup: bool = True) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=markup)

    good = report.conserved and report.as_expected
    colour = "green" if good else "bold red"
    say(f"audit      [{colour}]{report.sentence()}[/] (checked in {report.seconds:.1f} s)")
    for reason in refused:
        say(f"           [bold yellow]refused as a whole[/]: {escape(reason)}")
    if detailed and report.quarantined:
        say(f"           quarantined: {_list(report.quarantined)}")
    if not good and faults_injected:
        say(
            "           [yellow]faults were injected[/]: a row that meets one at each of its receives ends in a "
            "dead-letter queue, where the manifest does not expect it"
        )
    if detailed:
        for stage, reasons in report.dead_letters.items():
            if reasons:
                say(f"           {stage} DLQ: {_list(reasons)}")
        if report.duplicate_messages:
            say(f"           {report.duplicate_messages:,} second copies in quarantine and DLQs")
    print_unattributed(console, report)
    for problem, count in report.problems.items():
        say(f"           [red]{count:,} × {problem}[/]")
    for finding in report.findings:
        where = f"{finding.key} " if finding.key else ""
        say(f"           {where}row {finding.row}: {finding.problem}: {finding.detail}", markup=False)


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


def print_objectives(console: Console, objectives: Sequence[ObjectiveFigures]) -> None:
    """Print what became of each objective; nothing where there are none."""
    colours = {Outcome.KEPT: "green", Outcome.MISSED: "bold red", Outcome.NOT_MEASURED: "yellow"}
    for index, one in enumerate(objectives):
        word = f"[{colours[one.outcome]}]{one.outcome.value}[/]"
        console.print(f"{'' if index else 'objectives':<10} {word} {sentence(one)}", highlight=False, soft_wrap=True)
