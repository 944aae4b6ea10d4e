"""A run's folder has the engine's logs and says what happened, however the run ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.engines import registry
from harness.errors import EngineError, StageStuck, UsageError
from harness.experiments.record import keep_logs, logs_kept, recorded
from harness.processes import guard
from harness.processes.guarding import start_guard
from harness.results import read_stored, save_result
from tests.unit.report.support import run_of


def engine_with_logs(tmp_path: Path) -> Any:
    work = tmp_path / "work"
    work.mkdir()
    (work / "lambda-service.log").write_text("it said this\n")
    (work / "secret.json").write_text("{}")
    return SimpleNamespace(log_files=lambda: sorted(work.glob("*.log")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "20261125T000000Z-abcdef"
    made.mkdir()
    return made


def word(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "error.json").read_text())
    assert isinstance(found, dict)
    return found


def test_recorded_when_all_goes_well_writes_nothing(folder: Path) -> None:
    with recorded(folder):
        pass
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "error", [StageStuck("stuck", hint="wait longer"), EngineError("stuck", hint="wait longer")], ids=type
)
def test_recorded_when_a_run_fails_writes_why_and_names_the_folder_in_the_hint(
    folder: Path, tmp_path: Path, error: EngineError
) -> None:
    with pytest.raises(type(error)), recorded(folder), logs_kept(engine_with_logs(tmp_path), folder):
        raise error
    assert (folder / "engine" / "lambda-service.log").read_text() == "it said this\n"
    assert not (folder / "engine" / "secret.json").exists()
    assert error.hint == f"wait longer\nkept: {folder} (engine/lambda-service.log, error.json)"
    found = word(folder)
    assert (found["outcome"], found["exit_code"], found["error"], found["hint"], found["traceback"]) == (
        "failed",
        5,
        "stuck",
        "wait longer",
        "",
    )


def test_recorded_when_interrupted_says_so_and_prints_the_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt), recorded(folder), logs_kept(engine_with_logs(tmp_path), folder):
        raise KeyboardInterrupt
    assert (word(folder)["outcome"], word(folder)["exit_code"]) == ("interrupted", 130)
    text = capsys.readouterr()
    assert f"kept: {folder}" in text.err
    assert text.out == ""
    assert (folder / "engine" / "lambda-service.log").exists()


def test_recorded_when_something_unforeseen_is_raised_keeps_the_traceback(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), recorded(folder):
        print(1 / 0)
    assert (word(folder)["outcome"], word(folder)["exit_code"]) == ("failed", 5)
    assert "ZeroDivisionError" in word(folder)["traceback"]


def test_recorded_when_nested_names_the_inner_folder_once_and_writes_both(folder: Path) -> None:
    inner = folder / "01"
    inner.mkdir()
    error = UsageError("no", hint="way out")
    with pytest.raises(UsageError), recorded(folder), recorded(inner):
        raise error
    assert error.hint.startswith(f"way out\nkept: {inner}")
    assert error.hint.count("kept:") == 1
    assert word(folder)["exit_code"] == word(inner)["exit_code"] == 2


def test_recorded_when_many_files_are_kept_names_the_first_of_them(folder: Path) -> None:
    for number in range(30):
        (folder / f"{number:02d}.log").touch()
    error = EngineError("no")
    with pytest.raises(EngineError), recorded(folder):
        raise error
    assert error.hint.endswith("07.log, …)")


def test_keep_logs_when_the_engine_has_no_logs_here_makes_no_folder(folder: Path) -> None:
    engine: Any = SimpleNamespace(log_files=list)
    keep_logs(engine, folder)
    assert list(folder.iterdir()) == []


def test_recorded_when_nothing_can_be_written_raises_the_runs_own_error(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "engine").touch()
    (folder / "error.json").mkdir()
    with pytest.raises(StageStuck), recorded(folder), logs_kept(engine_with_logs(tmp_path), folder):
        raise StageStuck("stuck")
    said = capsys.readouterr().err
    assert "the engine's logs could not be kept" in said
    assert "error.json could not be written" in said


def test_read_stored_when_a_run_failed_says_how_it_ended(folder: Path) -> None:
    with pytest.raises(EngineError), recorded(folder):
        raise EngineError("the lambda-service process ended")
    with pytest.raises(UsageError, match="has no result: it has failed: the lambda-service process ended"):
        read_stored(folder)


def test_read_stored_when_a_result_is_there_gives_it_despite_an_error_afterwards(folder: Path) -> None:
    save_result(folder, run_of())
    with pytest.raises(KeyboardInterrupt), recorded(folder):
        raise KeyboardInterrupt
    assert read_stored(folder).document.kind == "run"


@pytest.mark.parametrize("name", [kind.name for kind in registry.KINDS.values() if not kind.billed])
def test_create_when_given_a_folder_for_logs_passes_it_to_every_engine(tmp_path: Path, name: str) -> None:
    assert registry.create(name, logs=tmp_path / "engine")._logs == tmp_path / "engine"  # type: ignore[attr-defined]


def test_guard_when_the_harness_is_gone_keeps_the_logs_and_removes_the_rest(tmp_path: Path) -> None:
    work, kept = tmp_path / "work", tmp_path / "run" / "engine"
    (work / "pids").mkdir(parents=True)
    (work / "data-services.log").write_text("last words")
    watcher = start_guard(work, kept)
    assert watcher.stdin is not None
    watcher.stdin.close()
    assert watcher.wait(20) == 0
    assert not work.exists()
    assert (kept / "data-services.log").read_text() == "last words"


def test_guard_when_logs_cannot_be_kept_removes_the_rest_all_the_same(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "pids").mkdir(parents=True)
    (work / "data-services.log").touch()
    (tmp_path / "file").touch()
    command = [sys.executable, "-I", "-S", guard.__file__, str(work), str(tmp_path / "file" / "engine")]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, timeout=20, check=False).returncode == 0
    assert not work.exists()
