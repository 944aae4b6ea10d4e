"""report, compare, export: what is made of stored results."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from harness.commands.options import out
from harness.errors import EnvironmentProblem, ExitCode, UsageError

if TYPE_CHECKING:
    from harness.compare import Comparison
    from harness.results import AnyDocument, Stored


class Format(StrEnum):
    """Formats of `harness export`."""

    GHA_BENCHMARK = "gha-benchmark"
    BENCHER = "bencher"
    JUNIT = "junit"
    MARKDOWN = "markdown"
    OTAVA = "otava"
    OTAVA_CONFIG = "otava-config"


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (report, compare, export):
        app.command()(command)


def report(
    folder: Annotated[Path, typer.Argument(help="A run's folder, such as runs/latest.")] = Path("runs/latest"),
) -> None:
    """Write a result's report.html again: of a run, a load, a suite, a gate or lessons.

    Example: harness report runs/latest
    """
    from harness.report import write_report

    page = write_report(folder)
    out.print(f"report     {page}", highlight=False, soft_wrap=True)


def compare(
    results: Annotated[list[Path], typer.Argument(help="Folders or result files; the first is the base.")],
    html: Annotated[Path | None, typer.Option(help="Also write the comparison as a page.")] = None,
    force: Annotated[bool, typer.Option(help="Compare despite other machines, packages, limits, or noise.")] = False,
    across_engines: Annotated[
        bool, typer.Option("--across-engines", help="Compare engines: do the same rows end in the same places?")
    ] = False,
) -> None:
    """Compare stored results with the first of them.

    Refuses, with exit code 2, what cannot be compared: other corpus bytes, row counts, parameters, engines, versions
    or kinds, and results that are not conserved.

    With --across-engines engines may differ, such as aws and embedded; the exit code is 3 where rows ended elsewhere.

    Examples:

      harness compare runs/A runs/B --html comparison.html
      harness compare runs/on-aws runs/local --across-engines
    """
    from harness.compare import compare as compared
    from harness.compare import subject_of
    from harness.report import write_comparison_of
    from harness.results import read_stored

    comparison = compared(
        [subject_of(read_stored(place)) for place in results], force=force, across_engines=across_engines
    )
    for index, subject in enumerate(comparison.subjects, start=1):
        out.print(f"{index:<10} {subject.kind} {subject.name}", highlight=False, soft_wrap=True, markup=False)
    out.print(_table(comparison))
    for text in comparison.reservations:
        out.print(f"note       {text}", highlight=False, soft_wrap=True, markup=False)
    if html is not None:
        out.print(f"report     {write_comparison_of(comparison, html)}", highlight=False, soft_wrap=True)
    if across_engines:
        for text in comparison.elsewhere:
            out.print(f"elsewhere  {text}", highlight=False, soft_wrap=True, markup=False)
        if comparison.elsewhere:
            raise typer.Exit(ExitCode.NOT_CONSERVED)
        out.print("rows       the same rows ended in the same places, for the same reasons", highlight=False)


def export(
    results: Annotated[list[Path], typer.Argument(help="A folder or result file; of a history, several.")],
    format_: Annotated[Format, typer.Option("--format", help="What to write.")],
    output: Annotated[Path | None, typer.Option(help="Write here, not to standard output.")] = None,
    direction: Annotated[
        str, typer.Option(help="gha-benchmark alone: metrics of which smaller, or bigger, is better.")
    ] = "smaller",
) -> None:
    """Write a result in another tool's format.

    gha-benchmark is github-action-benchmark's customSmallerIsBetter or customBiggerIsBetter, one file a direction;
    bencher is Bencher Metric Format; junit has a test case for each check of conservation and each objective; markdown
    is for a comment on a pull request; otava is a history of several results as Apache Otava's CSV, otava-config the
    configuration that reads it.

    Examples:

      harness export runs/latest --format junit --output conservation.xml
      harness export runs/2* --format otava --output history.csv
    """
    from harness.results import read_stored

    text = _exported([read_stored(place) for place in results], format_, direction)
    if output is None:
        # Bytes: these formats are UTF-8, whatever the terminal is.
        typer.echo(text.encode("utf-8"), nl=False)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise EnvironmentProblem(
            f"{output} cannot be written: {error.strerror}", hint="--output names another file"
        ) from error


def _exported(several: list[Stored[AnyDocument]], format_: Format, direction: str) -> str:
    from harness import export as formats
    from harness.compare import subject_of
    from harness.results import GateResult

    if direction != "smaller" and format_ is not Format.GHA_BENCHMARK:
        raise UsageError(f"--direction is for gha-benchmark alone, not for {format_}", hint="leave it out")
    if format_ in (Format.OTAVA, Format.OTAVA_CONFIG):
        history = [subject_of(stored) for stored in several]
        return formats.otava_csv(history) if format_ is Format.OTAVA else formats.otava_config(history)
    if len(several) > 1:
        raise UsageError(f"{format_} is of one result, {len(several)} are named", hint="otava takes several")
    stored = several[0]
    if isinstance(stored.document, GateResult) and format_ is Format.MARKDOWN:
        return formats.gate_markdown(stored.document)
    subject = subject_of(stored)
    if format_ is Format.GHA_BENCHMARK:
        return formats.github_action_benchmark(subject, direction)
    if format_ is Format.BENCHER:
        return formats.bencher(subject)
    if format_ is Format.JUNIT:
        return formats.junit(subject.runs, subject.objectives)
    return formats.markdown(subject)


def _table(comparison: Comparison) -> Table:
    from harness.report.metric_charts import figure

    table = Table(box=None, header_style="bold")
    table.add_column("metric", no_wrap=True)
    table.add_column("unit")
    for index in range(1, len(comparison.subjects) + 1):
        table.add_column(f"{index}", justify="right")
        if index > 1:
            table.add_column("ratio", justify="right")
            table.add_column("")
    for row in comparison.rows:
        cells = [row.name, row.unit]
        for index, cell in enumerate(row.cells):
            cells.append("–" if cell.measured is None else figure(cell.measured))
            if index:
                cells += ["–" if cell.ratio is None else f"{cell.ratio:.3f}", cell.word]
        table.add_row(*cells)
    return table
