"""Findings as they are stored, which is also how `result.json` gives them back."""

from __future__ import annotations

from harness.entry import in_one_line
from harness.errors import ExitCode, HarnessError
from harness.lessons.model import Finding, Lesson, Plot
from harness.results import FAILED, ComparisonFigures, LessonFigures, PlotFigures, PlotLine


def figures_of(lesson: Lesson, finding: Finding, seconds: float) -> LessonFigures:
    """Return a lesson that ran to its end as it is stored; raises ValueError naming a field of another type."""
    return LessonFigures(
        name=lesson.name,
        title=lesson.title,
        published=lesson.published,
        rule=lesson.rule,
        ours=lesson.ours,
        verdict=finding.verdict.value,
        reason=finding.reason,
        comparisons=[ComparisonFigures(**vars(one)) for one in finding.comparisons],
        plots=[_plot(plot) for plot in finding.plots],
        notes=list(finding.notes),
        seconds=round(seconds, 1),
    )


def failure_of(lesson: Lesson, error: Exception, seconds: float) -> LessonFigures:
    """Return a lesson that could not be run as it is stored, with the error's message, hint and exit code."""
    known = isinstance(error, HarnessError)
    return LessonFigures(
        name=lesson.name,
        title=lesson.title,
        published=lesson.published,
        rule=lesson.rule,
        ours=lesson.ours,
        verdict=FAILED,
        reason="",
        seconds=round(seconds, 1),
        error=str(error) if known else in_one_line(error),
        hint=error.hint if isinstance(error, HarnessError) else "",
        exit_code=int(error.exit_code if isinstance(error, HarnessError) else ExitCode.ENVIRONMENT),
    )


def _plot(plot: Plot) -> PlotFigures:
    return PlotFigures(
        title=plot.title,
        x=plot.x,
        y=plot.y,
        lines=[PlotLine(name=line.name, points=[(float(x), float(y)) for x, y in line.points]) for line in plot.lines],
        log_x=plot.log_x,
        log_y=plot.log_y,
    )
