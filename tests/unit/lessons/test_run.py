"""Running lessons: what is kept of each, of one that fails, and after an interrupt."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from harness.errors import EngineError, ExitCode, UsageError
from harness.lessons.catalogue import LESSONS, chosen
from harness.lessons.model import Finding, Setting, Verdict
from harness.lessons.run import Clocks, run_lessons
from harness.results import ErrorResult, LessonsResult, document_of, read_stored
from tests.unit.lessons.support import FakeLesson, Heard, found, raising


def read(place: Path) -> LessonsResult:
    document = read_stored(place).document
    assert isinstance(document, LessonsResult)
    return document


def error_in(folder: Path) -> ErrorResult:
    document = read_stored(folder / "error.json").document
    assert isinstance(document, ErrorResult)
    return document


def test_run_lessons_when_all_go_well_keeps_each_in_its_own_folder_and_all_together(tmp_path: Path) -> None:
    first, second = FakeLesson("first"), FakeLesson("second", lambda _: found(Verdict.DIFFERS))
    ticks = count(100.0, 2.0)
    clocks = Clocks(now=lambda: 1_700_000_000.0, monotonic=lambda: next(ticks))
    result = run_lessons([first, second], tmp_path, Heard(), quick=True, clocks=clocks)
    assert [one.verdict for one in result.lessons] == ["reproduced", "differs"]
    assert [one.seconds for one in result.lessons] == [2.0, 2.0]
    assert (result.began, result.seconds, result.quick, result.exit_code) == (1_700_000_000.0, 10.0, True, 0)
    assert result.fingerprint.cpu
    assert [(s.folder, s.quick) for s in (*first.ran, *second.ran)] == [
        (tmp_path / "first", True),
        (tmp_path / "second", True),
    ]
    stored = read(tmp_path)
    assert stored.lessons == result.lessons
    assert read(tmp_path / "second").lessons == [result.lessons[1]]


def test_run_lessons_when_stored_and_read_has_figures_plots_and_notes_unchanged(tmp_path: Path) -> None:
    run_lessons([FakeLesson("first")], tmp_path, Heard(), quick=False)
    (lesson,) = read(tmp_path).lessons
    assert (lesson.title, lesson.published, lesson.rule, lesson.ours) == (
        "A title",
        "It went wrong.",
        "AWS says so (Developer Guide).",
        "It goes right.",
    )
    assert [(c.what, c.published, c.reproduced) for c in lesson.comparisons] == [
        ("processes until the error", "near 500", "508"),
        ("descriptors", "", "1,024"),
    ]
    (plot,) = lesson.plots
    assert (plot.title, plot.x, plot.y, plot.log_x, plot.log_y) == (
        "Things over time",
        "seconds",
        "things",
        False,
        True,
    )
    assert [(line.name, list(line.points)) for line in plot.lines] == [
        ("ours", [(0.0, 1.0), (1.0, 2.5)]),
        ("theirs", []),
    ]
    assert list(lesson.notes) == ["measured in a test"]


def test_run_lessons_when_one_fails_records_it_and_goes_on(tmp_path: Path) -> None:
    lessons = [
        FakeLesson("first"),
        FakeLesson("second", raising(EngineError("no engine", hint="start one"))),
        FakeLesson("third"),
    ]
    heard = Heard()
    result = run_lessons(lessons, tmp_path, heard, quick=False)
    assert [one.verdict for one in result.lessons] == ["reproduced", "failed", "reproduced"]
    failed = result.lessons[1]
    assert (failed.error, failed.exit_code) == ("no engine", ExitCode.ENVIRONMENT)
    assert failed.hint == f"start one\nkept: {tmp_path / 'second'} (error.json, half.txt)"
    assert (*failed.comparisons, *failed.plots) == ()
    assert result.exit_code == ExitCode.ENVIRONMENT
    assert heard.words[2:4] == ["begins second", "ends second failed"]
    assert error_in(tmp_path / "second").error == "no engine"
    assert not (tmp_path / "second" / "result.json").exists()
    assert read(tmp_path).exit_code == ExitCode.ENVIRONMENT


def test_run_lessons_when_several_fail_has_the_first_ones_exit_code(tmp_path: Path) -> None:
    lessons = [
        FakeLesson("first", raising(UsageError("no such size"))),
        FakeLesson("second", raising(EngineError("no engine"))),
    ]
    assert run_lessons(lessons, tmp_path, Heard(), quick=False).exit_code == ExitCode.USAGE


def test_run_lessons_when_one_fails_unforeseen_says_it_in_a_line_and_keeps_the_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_lessons([FakeLesson("first", raising(ZeroDivisionError("by\nzero")))], tmp_path, Heard(), quick=False)
    assert result.lessons[0].error == "ZeroDivisionError: by zero"
    assert result.exit_code == ExitCode.ENVIRONMENT
    assert "ZeroDivisionError" in error_in(tmp_path / "first").traceback
    assert "Traceback" not in capsys.readouterr().err


def test_run_lessons_when_a_finding_cannot_be_stored_counts_as_failed(tmp_path: Path) -> None:
    odd = Finding(Verdict.REPRODUCED, 5, [], [])  # type: ignore[arg-type]
    result = run_lessons([FakeLesson("first", lambda _: odd)], tmp_path, Heard(), quick=False)
    assert result.lessons[0].failed
    assert "LessonFigures.reason" in result.lessons[0].error


def test_run_lessons_when_interrupted_keeps_what_was_done_and_starts_no_other(tmp_path: Path) -> None:
    last = FakeLesson("third")
    lessons = [FakeLesson("first"), FakeLesson("second", raising(KeyboardInterrupt())), last]
    with pytest.raises(KeyboardInterrupt):
        run_lessons(lessons, tmp_path, Heard(), quick=False)
    assert read(tmp_path / "first").lessons[0].verdict == "reproduced"
    assert error_in(tmp_path / "second").outcome == "interrupted"
    assert last.ran == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


def test_run_lessons_when_a_lesson_tells_how_far_it_is_passes_it_on(tmp_path: Path) -> None:
    def half(setting: Setting) -> Finding:
        setting.progress(0.5, "starting processes")
        return found()

    heard = Heard()
    run_lessons([FakeLesson("first", half)], tmp_path, heard, quick=False)
    assert heard.words == ["begins first", "50% starting processes", "ends first reproduced"]


def test_document_of_when_a_verdicts_type_is_wrong_refuses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lessons"):
        document_of({"schema_version": 3, "kind": "lessons", "lessons": "none"})


def test_chosen_when_names_come_twice_returns_each_once_in_their_order() -> None:
    lessons = [FakeLesson("a"), FakeLesson("b"), FakeLesson("c")]
    assert [one.name for one in chosen(["c", "a", "c"], lessons)] == ["c", "a"]
    assert [one.name for one in chosen(["c", "all"], lessons)] == ["a", "b", "c"]


def test_chosen_when_names_are_unknown_says_which_and_which_there_are() -> None:
    with pytest.raises(UsageError, match="no lesson 'x', 'y'") as caught:
        chosen(["a", "x", "y"], [FakeLesson("a"), FakeLesson("b")])
    assert caught.value.hint == "there are a, b, and all"


def test_lessons_when_listed_have_names_of_their_own_and_say_everything() -> None:
    names = [lesson.name for lesson in LESSONS]
    assert len(set(names)) == len(names) > 0
    for lesson in LESSONS:
        assert all((lesson.title, lesson.published, lesson.rule, lesson.ours)), lesson.name
        assert lesson.seconds(quick=True) <= lesson.seconds(quick=False)
    assert sum(lesson.seconds(quick=True) for lesson in LESSONS) < 300
    assert sum(lesson.seconds(quick=False) for lesson in LESSONS) < 1800
