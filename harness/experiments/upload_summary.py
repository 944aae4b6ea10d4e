"""What a finished run prints: figures a reader can trust, and where the rest lies."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from harness.experiments.result_lines import (
    print_audit,
    print_chaos,
    print_consumption,
    print_cost,
    print_doubt,
    print_noise,
    print_objectives,
)
from harness.experiments.upload_run import UploadRun
from harness.results import memory_scope

PUBLISHED = "published design on AWS: 558,000 rows cleaned in 90 s, inserted at 1,860 rows/s"


def print_summary(console: Console, run: UploadRun) -> None:
    """Print stages, whole pipeline, audit and paths."""

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    console.print()
    console.print(stage_table(run))
    rows, seconds, clean = run.input.rows, run.pipeline_seconds, run.result.clean_seconds
    rate = rows / seconds if seconds else 0.0
    say(
        f"\npipeline   {rows:,} rows in {seconds:.1f} s, {rate:,.0f} rows/s from upload to last "
        f"update; cleaned {'–' if clean is None else f'{clean:.1f} s'} after the upload"
    )
    memory = f"{run.observed.memory_peak / 1e9:.1f} GB ({memory_scope(run.result.engine.name)})"
    share = run.result.harness_cpu_share
    say(f"           peak memory {memory}, harness {share or 0:.1%} of one core\n           {PUBLISHED}")
    print_noise(console, run.observed.cpu_stolen)
    print_doubt(console, run.result)
    print_consumption(console, run.result)
    print_cost(console, run.result)
    rules = run.result.engine.chaos
    print_chaos(console, rules)
    print_audit(
        console,
        run.audit,
        refused=list(run.observed.totals["clean"].notes["rejected"]),
        faults_injected=any(rule["injected"] for rule in rules),
        detailed=True,
    )
    print_objectives(console, run.result.objectives)
    say(f"results    {run.folder}/result.json")
    say(f"report     {run.folder}/report.html")


def stage_table(run: UploadRun) -> Table:
    """Return a row for each stage."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("stage", "rows", "seconds", "rows/s", "of baseline", "refused", "DLQ rows"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    shares = run.result.share_of_baseline
    for stage, totals in run.observed.totals.items():
        dead = sum(run.audit.dead_letters.get(stage, {}).values())
        table.add_row(
            stage,
            f"{totals.rows_ok:,}",
            f"{totals.seconds:.1f}",
            f"{totals.rate:,.0f}",
            f"{shares[stage]:.0%}" if stage in shares else "",
            f"{totals.rows_failed:,}",
            f"{dead:,}",
        )
    return table
