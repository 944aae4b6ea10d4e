"""`harness lessons`: the list, a run, its exit codes, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness.commands.application import app
from harness.errors import EngineError, ExitCode, UsageError
from harness.lessons import catalogue
from tests.unit.lessons.support import FakeLesson, raising


@pytest.fixture
def lessons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, FakeLesson]:
    """Put two lessons in the place of the real ones, one of which fails."""
    known = (FakeLesson("good"), FakeLesson("bad", raising(EngineError("no engine", hint="start one"))))
    monkeypatch.setattr(catalogue, "LESSONS", known)
    monkeypatch.setattr(catalogue.chosen, "__defaults__", (known,))
    monkeypatch.chdir(tmp_path)
    return {lesson.name: lesson for lesson in known}


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["lessons", *arguments])


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_lessons_when_listed_have_their_titles_and_times(lessons: dict[str, FakeLesson], arguments: tuple[str]) -> None:
    ended = call(*arguments)
    assert ended.exit_code == ExitCode.OK
    rows = [line.split() for line in ended.stdout.splitlines()]
    assert ["good", "A", "title", "60", "s", "1", "s"] in rows
    assert rows[3][0] == "all"
    assert rows[3][-4:] == ["2:00", "min", "2", "s"]
    assert "harness lessons run NAME" in ended.stdout


def test_run_when_good_prints_the_verdict_and_writes_result_and_page(
    lessons: dict[str, FakeLesson], tmp_path: Path
) -> None:
    ended = call("run", "good", "--out", "out")
    assert ended.exit_code == ExitCode.OK, ended.output
    assert "reproduced: it happened here too" in ended.stdout
    (folder,) = (path for path in (tmp_path / "out").iterdir() if not path.is_symlink())
    assert sorted(path.name for path in folder.iterdir()) == ["good", "report.html", "result.json"]
    assert f"report     out/{folder.name}/report.html" in ended.stdout
    assert lessons["bad"].ran == []
    assert not lessons["good"].ran[0].quick


def test_run_when_one_fails_exits_with_its_code_and_still_writes_the_page(
    lessons: dict[str, FakeLesson], tmp_path: Path
) -> None:
    ended = call("run", "all", "--quick")
    assert ended.exit_code == ExitCode.ENVIRONMENT
    assert "failed: no engine" in ended.stdout
    assert "1 reproduced, 1 failed" in ended.stdout
    assert lessons["good"].ran[0].quick
    assert (tmp_path / "runs" / "latest" / "report.html").is_file()
    assert (tmp_path / "runs" / "latest" / "bad" / "error.json").is_file()


def test_run_when_json_is_asked_for_prints_it_and_nothing_else(lessons: dict[str, FakeLesson]) -> None:
    ended = call("run", "all", "--json")
    assert ended.exit_code == ExitCode.ENVIRONMENT
    printed = json.loads(ended.stdout)
    assert printed["kind"] == "lessons"
    assert [one["verdict"] for one in printed["lessons"]] == ["reproduced", "failed"]


def test_run_when_a_name_is_unknown_says_which_there_are_and_leaves_nothing(
    lessons: dict[str, FakeLesson], tmp_path: Path
) -> None:
    ended = call("run", "nope")
    assert isinstance(ended.exception, UsageError)
    assert ended.exception.hint == "there are good, bad, and all"
    assert list(tmp_path.iterdir()) == []


def test_run_when_no_name_is_given_exits_2(lessons: dict[str, FakeLesson]) -> None:
    assert call("run").exit_code == ExitCode.USAGE


def test_run_when_interrupted_leaves_the_lessons_before_it_and_word_of_it(
    monkeypatch: pytest.MonkeyPatch, lessons: dict[str, FakeLesson], tmp_path: Path
) -> None:
    known = (lessons["good"], FakeLesson("endless", raising(KeyboardInterrupt())))
    monkeypatch.setattr(catalogue.chosen, "__defaults__", (known,))
    ended = call("run", "all")
    assert ended.exit_code == ExitCode.INTERRUPTED
    folder = tmp_path / "runs" / "latest"
    assert json.loads((folder / "error.json").read_text())["outcome"] == "interrupted"
    assert json.loads((folder / "good" / "result.json").read_text())["lessons"][0]["verdict"] == "reproduced"
    assert not (folder / "result.json").exists()


@pytest.mark.parametrize("arguments", [("compare",), ("export", "--format", "junit")])
def test_compare_and_export_when_given_lessons_refuse(lessons: dict[str, FakeLesson], arguments: tuple[str]) -> None:
    call("run", "good")
    rest: list[str]
    name, *rest = arguments
    ended = CliRunner().invoke(app, [name, "runs/latest", *rest])
    assert isinstance(ended.exception, UsageError)
    assert "have no figures to compare or export" in str(ended.exception)


def test_report_when_given_lessons_writes_the_page_again(lessons: dict[str, FakeLesson], tmp_path: Path) -> None:
    call("run", "good")
    page = tmp_path / "runs" / "latest" / "report.html"
    page.unlink()
    assert CliRunner().invoke(app, ["report"]).exit_code == ExitCode.OK
    assert "It goes right." in page.read_text()


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help")])
def test_help_when_asked_teaches(arguments: tuple[str]) -> None:
    ended = call(*arguments)
    assert ended.exit_code == ExitCode.OK
    assert "harness lessons run all --quick" in ended.stdout or "docs/lessons.md" in ended.stdout
