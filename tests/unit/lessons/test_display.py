"""What a person sees of lessons."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import EngineError
from harness.lessons.display import LessonsDisplay, duration, print_findings
from harness.lessons.model import Comparison, Finding, Setting, Verdict
from harness.lessons.run import run_lessons
from harness.results import LessonsResult
from tests.unit.lessons.support import FakeLesson, Heard, found, raising


def log() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=100, force_terminal=False), text


def result_of(folder: Path, *lessons: FakeLesson) -> LessonsResult:
    return run_lessons(lessons, folder, Heard(), quick=False)


def test_display_when_there_is_no_terminal_prints_lines_and_not_more_than_one_in_ten_seconds(tmp_path: Path) -> None:
    now = 0.0

    def working(setting: Setting) -> Finding:
        nonlocal now
        for second in range(25):
            now = float(second)
            setting.progress(second / 25, f"step {second}")
        return found()

    console, text = log()
    with LessonsDisplay(console, quick=False, clock=lambda: now) as display:
        run_lessons([FakeLesson("first", working)], tmp_path, display, quick=False)
    lines = text.getvalue().splitlines()
    assert lines[0] == "first        A title (about 60 s)"
    assert lines[1:3] == ["   40%  step 10", "   80%  step 20"]
    assert lines[3].startswith("  reproduced after ")
    assert len(lines) == 4


def test_display_when_quiet_prints_nothing(tmp_path: Path) -> None:
    console, text = log()
    with LessonsDisplay(console, quick=True, quiet=True) as display:
        run_lessons([FakeLesson("first")], tmp_path, display, quick=True)
    assert text.getvalue() == ""


def test_display_when_on_a_terminal_shows_a_bar_and_takes_it_away_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    text = io.StringIO()
    console = Console(file=text, width=100, force_terminal=True, force_interactive=True, color_system=None)

    def working(setting: Setting) -> Finding:
        setting.progress(1.7, "more than [all]")
        deadline = time.monotonic() + 10
        while "more than [all]" not in text.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        return found()

    with LessonsDisplay(console, quick=False) as display:
        run_lessons([FakeLesson("first", working)], tmp_path, display, quick=False)
    assert "more than [all]" in text.getvalue()
    assert "100%" in text.getvalue()
    assert "\x1b[?25h" in text.getvalue().rpartition("more than")[2]


def test_print_findings_when_reproduced_has_both_figures_in_aligned_columns(tmp_path: Path) -> None:
    console, text = log()
    print_findings(console, result_of(tmp_path, FakeLesson("first")))
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    assert lines[1] == "first: A title"
    head, first, second = lines[2:5]
    assert first.startswith("  processes until the error")
    assert first.endswith("508")
    assert second.endswith("1,024")
    assert first.index("near 500") + len("near 500") == head.index("published") + len("published")
    assert second[head.index("published") :].split() == ["–", "1,024"]
    assert lines[5] == "  reproduced: it happened here too"
    assert lines[-1].startswith("lessons    1 reproduced, in ")


def test_print_findings_when_one_differs_says_because(tmp_path: Path) -> None:
    differs = Finding(Verdict.DIFFERS, "this machine has [no] limit", [Comparison("a", "1", "[2]")], [])
    console, text = log()
    print_findings(console, result_of(tmp_path, FakeLesson("first", lambda _: differs)))
    assert "  differs, because this machine has [no] limit\n" in text.getvalue()
    assert "[2]" in text.getvalue()


def test_print_findings_when_one_failed_has_its_error_and_the_way_out(tmp_path: Path) -> None:
    console, text = log()
    failing = FakeLesson("second", raising(EngineError("no engine", hint="start one")))
    print_findings(console, result_of(tmp_path, FakeLesson("first"), failing))
    assert "  failed: no engine\n  start one\n  kept: " in text.getvalue()
    assert "lessons    1 reproduced, 1 failed, in " in text.getvalue()


def test_duration_when_long_is_minutes() -> None:
    assert [duration(s) for s in (0.4, 12.2, 119.4, 120, 1234.5)] == ["0 s", "12 s", "119 s", "2:00 min", "20:34 min"]
