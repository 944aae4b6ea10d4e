"""The page of lessons: each with its pictures, its figures beside the published ones, AWS's rule and what ours does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.report.charts import Chart, layout, line, plain
from harness.report.metric_charts import style_of
from harness.report.page import Page, Section, moment
from harness.report.sections import Tile, Verdict
from harness.report.tables import Table, number, seconds_text
from harness.results import Fingerprint, LessonFigures, LessonsResult, PlotFigures, Stored

TONES = {"reproduced": "good", "differs": "warn", "failed": "bad"}
"""The tone of each verdict of a lesson."""

FEW_POINTS = 40
"""A line of at most so many points shows each of them."""


def lessons_page(stored: Stored[LessonsResult]) -> Page:
    """Return the page of stored lessons."""
    result = stored.document
    seen, lessons = result.fingerprint, result.lessons
    return Page(
        kind="lessons",
        title=lessons[0].title if len(lessons) == 1 else "Lessons of the published design",
        facts=[
            stored.name,
            moment(result.began),
            f"took {seconds_text(result.seconds)}{', short form' if result.quick else ''}",
            f"{seen.cores} cores, {seen.cpu}",
            f"commit {seen.git_sha[:12]}" if seen.git_sha else "",
        ],
        verdict=_verdict(lessons),
        tiles=[Tile(found.name, found.verdict, "", f"took {seconds_text(found.seconds)}") for found in lessons],
        limits=[],
        sections=[
            *(_section(found) for found in lessons),
            Section("Environment", tables=_environment(seen)),
        ],
    )


def _verdict(lessons: Sequence[LessonFigures]) -> Verdict:
    named = {verdict: [one.name for one in lessons if one.verdict == verdict] for verdict in TONES}
    said = "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in named.items() if names)
    worst = [verdict for verdict, names in named.items() if names][-1:] or ["failed"]
    if not lessons:
        return Verdict(TONES[worst[0]], "Nothing to see", "No lesson was run.")
    if worst == ["reproduced"]:
        return Verdict(TONES["reproduced"], "Reproduced", f"{', '.join(named['reproduced'])}.")
    return Verdict(TONES[worst[0]], "Not all reproduced", f"{said}.")


def _section(found: LessonFigures) -> Section:
    words = f"Failed: {found.error}" if found.failed else f"{found.verdict.capitalize()}: {found.reason}"
    return Section(
        found.title,
        intro=words,
        charts=[_chart(f"{found.name}-{index}", plot) for index, plot in enumerate(found.plots, start=1)],
        tables=[*([_figures(found)] if found.comparisons else []), _texts(found)],
    )


def _figures(found: LessonFigures) -> Table:
    rows = tuple((one.what, one.published or "–", one.reproduced) for one in found.comparisons)
    return Table("The published design and this machine", ("", "published", "reproduced"), rows)


def _texts(found: LessonFigures) -> Table:
    rows = [("published", found.published), ("AWS documents", found.rule), ("ours", found.ours)]
    rows += [("note", note) for note in found.notes]
    rows += [("failed", text) for text in (found.error, *found.hint.splitlines()) if text]
    return Table("What happened, and what to do instead", ("", "what"), tuple(rows), 2)


def _chart(name: str, plot: PlotFigures) -> Chart:
    traces = []
    for index, one in enumerate(plot.lines):
        colour, dash, symbol = style_of(index)
        trace = line(one.name, [x for x, _ in one.points], [y for _, y in one.points], colour, dash)
        if len(one.points) <= FEW_POINTS:
            trace |= {"mode": "lines+markers", "marker": {"color": colour, "size": 7, "symbol": symbol}}
        traces.append(trace)
    style = layout(plain(plot.y), plain(plot.x))
    for axis, logarithmic in (("xaxis", plot.log_x), ("yaxis", plot.log_y)):
        if logarithmic:
            # An axis to zero has no logarithm; ticks are decimals, as readers know figures of rows.
            style[axis] = {**style[axis], "type": "log", "rangemode": "normal", "tickformat": ",~r", "nticks": 8}
    figure: dict[str, Any] = {"data": traces, "layout": style}
    return Chart(
        name, plot.title, f"{plot.y[:1].upper()}{plot.y[1:]} over {plot.x}.", figure, _line_table(plot), wide=True
    )


def _line_table(plot: PlotFigures) -> Table:
    rows = []
    for one in plot.lines:
        if not one.points:
            continue
        x_last, y_last = one.points[-1]
        top = max(y for _, y in one.points)
        rows.append((one.name, _figure(top), _figure(y_last), _figure(x_last)))
    return Table(plot.title, ("line", "highest", "last", f"at, {plot.x}"), tuple(rows))


def _figure(value: float) -> str:
    """Return a figure as tables have it; a small one keeps two digits that tell it from nothing."""
    return f"{value:.2g}" if 0 < abs(value) < 0.01 else number(value)


def _environment(seen: Fingerprint) -> list[Table]:
    machine = [("CPU", seen.cpu), ("cores", seen.cores), ("system", seen.system), ("Python", seen.python)]
    return [
        Table("Machine", ("what", "value"), tuple((name, str(value)) for name, value in machine), 2),
        Table("Versions", ("what", "value"), tuple(sorted(seen.packages.items())), 2),
    ]
