"""The command line's commands put together."""

from __future__ import annotations

import typer

from harness.commands import bench, cost, dlq, gate, lessons, pipeline, report

app = typer.Typer(
    name="harness",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Local emulation and load test of an event-driven ingestion pipeline on AWS.\n\n"
    "Exit codes: 0 ok, 1 regression, 2 usage, 3 rows not conserved or not where expected, "
    "4 inconclusive, 5 environment, 130 interrupted.",
)
pipeline.register(app)
app.add_typer(dlq.app, name="dlq")
app.add_typer(bench.app, name="bench")
app.add_typer(lessons.app, name="lessons")
report.register(app)
cost.register(app)
gate.register(app)
