"""lessons: the published design's pitfalls, each as an experiment that anyone can run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.commands.options import AsJson, Out, out
from harness.errors import ExitCode

app = typer.Typer(
    invoke_without_command=True,
    help="Lessons of the published design: each of its pitfalls as an experiment that anyone can run.\n\n"
    "A lesson makes happen here what its author met on AWS, measures it, says what AWS documents about it, and what "
    "this project's pipeline does instead. docs/lessons.md has all of them with their figures.",
)


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_lessons()


@app.command("list")
def list_lessons() -> None:
    """List the lessons, what one learns, and about how long each takes."""
    from harness.lessons.catalogue import ALL, LESSONS
    from harness.lessons.display import duration

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("lesson", no_wrap=True)
    table.add_column("what one learns")
    for name in ("takes", "--quick"):
        table.add_column(name, justify="right", no_wrap=True)
    for lesson in LESSONS:
        table.add_row(
            lesson.name, lesson.title, duration(lesson.seconds(quick=False)), duration(lesson.seconds(quick=True))
        )
    whole = (duration(sum(lesson.seconds(quick=quick) for lesson in LESSONS)) for quick in (False, True))
    table.add_row(ALL, "one after the other, on one page", *whole)
    out.print(table)
    out.print("\nrun one    harness lessons run NAME", highlight=False, soft_wrap=True)


@app.command("run")
def run_chosen(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Lessons by name, or all.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="The short form: all lessons in under 5 minutes, coarser figures.")
    ] = False,
    out_dir: Out = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Run lessons one after the other; each ends in a verdict: reproduced, or differs and why.

    Figures stand beside the published ones. The run's folder has report.html with a picture of each lesson, and
    result.json. A lesson that cannot be run here says why, the others go on, and the exit code is that lesson's.

    Examples:

      harness lessons run descriptors     one lesson
      harness lessons run all             all of them, under 30 minutes on two cores
      harness lessons run all --quick     all of them, under 5 minutes
    """
    from harness.experiments.record import recorded
    from harness.lessons.catalogue import chosen
    from harness.lessons.display import LessonsDisplay, print_findings
    from harness.lessons.run import run_lessons
    from harness.report import write_report
    from harness.results import json_of, new_run_folder

    lessons = chosen(names)
    folder = new_run_folder(out_dir)
    with recorded(folder):
        with LessonsDisplay(out, quick=quick, quiet=as_json) as display:
            found = run_lessons(lessons, folder, display, quick=quick)
        page = write_report(folder)
    if as_json:
        print(json_of(found, indent=0))  # noqa: T201
    else:
        print_findings(out, found)
        out.print(f"results    {folder}/result.json", highlight=False, soft_wrap=True)
        out.print(f"report     {page}", highlight=False, soft_wrap=True)
    if found.exit_code != ExitCode.OK:
        raise typer.Exit(found.exit_code)
