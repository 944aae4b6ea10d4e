"""report, compare, export: what is made of stored results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.commands.options import out


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (report,):
        app.command()(command)


def report(
    folder: Annotated[Path, typer.Argument(help="A run's folder, such as runs/latest.")] = Path("runs/latest"),
) -> None:
    """Write a result's report.html again: of a run, a load, a suite or a gate.

    Example: harness report runs/latest
    """
    from harness.report import write_report

    out.print(f"report     {write_report(folder)}", highlight=False, soft_wrap=True)
