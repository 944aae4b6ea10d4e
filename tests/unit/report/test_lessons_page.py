"""The page of lessons: texts, pictures and figures of each, whatever way it ended."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects
import pytest

from harness.compare import subject_of
from harness.errors import UsageError
from harness.report import write_report
from harness.report.lessons_page import lessons_page
from harness.report.page import render
from harness.results import (
    ComparisonFigures,
    Fingerprint,
    LessonFigures,
    LessonsResult,
    PlotFigures,
    PlotLine,
    Stored,
    read_stored,
    save_result,
)
from tests.unit.report.support import HOSTILE

MACHINE = Fingerprint(cpu="EPYC", cores=2, memory_bytes=1, system="Linux", python="3.11.9", git_sha="ab" * 20)


def lesson(
    name: str = "descriptors", verdict: str = "reproduced", text: str = "words", **more: object
) -> LessonFigures:
    lines = [PlotLine(name=text, points=[(1.0, 3.0), (10.0, 2.0)]), PlotLine(name="empty", points=[])]
    failed = verdict == "failed"
    fields: dict[str, object] = {
        "name": name,
        "title": f"{text} title",
        "published": f"{text} published",
        "rule": f"{text} rule",
        "ours": f"{text} ours",
        "verdict": verdict,
        "reason": "" if failed else f"{text} reason",
        "comparisons": [] if failed else [ComparisonFigures(what=text, published="", reproduced="508")],
        "plots": [] if failed else [PlotFigures(title=text, x="processes", y=text, lines=lines, log_x=True)],
        "notes": [] if failed else [f"{text} note"],
        "seconds": 12.0,
        "error": f"{text} error" if failed else "",
        "hint": f"{text} hint" if failed else "",
        "exit_code": 5 if failed else 0,
    }
    return LessonFigures(**{**fields, **more})  # type: ignore[arg-type]


def result(*lessons: LessonFigures) -> LessonsResult:
    return LessonsResult(
        run="a", began=1_764_000_000.0, seconds=24.0, quick=True, fingerprint=MACHINE, lessons=list(lessons)
    )


def stored(*lessons: LessonFigures) -> Stored[LessonsResult]:
    return Stored(Path("runs/a/result.json"), result(*lessons))


def test_page_when_a_lesson_is_reproduced_has_its_texts_figures_and_picture() -> None:
    page = lessons_page(stored(lesson(), lesson("logs")))
    assert (page.verdict.tone, page.verdict.word) == ("good", "Reproduced")
    assert page.verdict.sentence == "descriptors, logs."
    assert "took 24.0 s, short form" in page.facts
    assert [(tile.label, tile.value) for tile in page.tiles] == [("descriptors", "reproduced"), ("logs", "reproduced")]
    section = page.sections[0]
    assert (section.title, section.intro) == ("words title", "Reproduced: words reason")
    assert section.tables[0].rows == (("words", "–", "508"),)
    assert section.tables[1].rows == (
        ("published", "words published"),
        ("AWS documents", "words rule"),
        ("ours", "words ours"),
        ("note", "words note"),
    )
    assert section.charts[0].table.rows == (("words", "3", "2", "10"),)


def test_page_when_charts_are_drawn_has_figures_that_plotly_takes_under_names_of_their_own() -> None:
    page = lessons_page(stored(lesson(), lesson("logs")))
    charts = [chart for section in page.sections for chart in section.charts]
    assert [chart.name for chart in charts] == ["descriptors-1", "logs-1"]
    figure = plotly.graph_objects.Figure(charts[0].figure)
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", None)
    assert figure.data[0].mode == "lines+markers"
    long = PlotLine(name="long", points=[(float(x), 1.0) for x in range(1000)])
    many = PlotFigures(title="t", x="x", y="y", lines=[long])
    (chart,) = lessons_page(stored(lesson(plots=[many]))).sections[0].charts
    assert plotly.graph_objects.Figure(chart.figure).data[0].mode == "lines"


def test_page_when_figures_are_small_keeps_them_apart_from_nothing() -> None:
    small = PlotFigures(title="t", x="x", y="tB", lines=[PlotLine(name="small", points=[(0.0, 0.00039)])])
    (chart,) = lessons_page(stored(lesson(plots=[small]))).sections[0].charts
    assert chart.table.rows == (("small", "0.00039", "0.00039", "0"),)
    assert chart.caption == "TB over x."


def test_page_when_lessons_end_differently_speaks_of_the_worst_and_names_all() -> None:
    page = lessons_page(stored(lesson(), lesson("logs", "differs"), lesson("ramp", "failed")))
    assert (page.verdict.tone, page.verdict.word) == ("bad", "Not all reproduced")
    assert page.verdict.sentence == "reproduced: descriptors; differs: logs; failed: ramp."
    assert page.sections[1].intro == "Differs: words reason"
    assert page.sections[2].intro == "Failed: words error"
    assert page.sections[2].charts == []
    assert ("failed", "words hint") in page.sections[2].tables[0].rows
    assert lessons_page(stored(lesson(), lesson("logs", "differs"))).verdict.tone == "warn"


def test_page_when_texts_come_from_outside_keeps_them_in_their_place() -> None:
    html = render(lessons_page(stored(lesson(text=HOSTILE), lesson("logs", "failed", HOSTILE))))
    assert "<img src=x" not in html
    assert "<script>alert(" not in html


def test_write_report_when_lessons_are_stored_writes_the_page_again(tmp_path: Path) -> None:
    save_result(tmp_path, result(lesson()))
    page = write_report(tmp_path)
    first = page.read_text()
    page.unlink()
    assert write_report(tmp_path).read_text() == first
    assert "words published" in first


def test_subject_of_when_given_lessons_refuses_in_a_sentence(tmp_path: Path) -> None:
    save_result(tmp_path, result(lesson()))
    with pytest.raises(UsageError, match="is of lessons, which end in verdicts") as caught:
        subject_of(read_stored(tmp_path))
    assert caught.value.hint == f"harness report {tmp_path} writes its page"
