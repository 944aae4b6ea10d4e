"""The command line. The one place where errors become messages and exit codes."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

import typer

from harness.commands import bench, dlq, gate, pipeline, report
from harness.commands.options import err
from harness.errors import ExitCode, HarnessError

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
report.register(app)
gate.register(app)


def _on_terminate(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _on_terminate)
    try:
        app(prog_name="harness")
    except HarnessError as error:
        err.print(f"[bold red]error:[/] {_escape(str(error))}", highlight=False, soft_wrap=True)
        if error.hint:
            err.print(f"[dim]{_escape(error.hint)}[/]", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except SystemExit as ended:
        # Typer ends an interrupted command with this code and without a word.
        if ended.code == ExitCode.INTERRUPTED:
            err.print("interrupted: whatever this command started is stopped")
        raise


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
