"""The life of an experiment: audits at rest only, and a folder that says how it ended."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from rich.console import Console

from harness.errors import EnvironmentProblem, StageStuck, UsageError
from harness.experiments import lifecycle
from harness.experiments.insert_run import InsertExperiment
from harness.experiments.lifecycle import STACK, Setting, conduct
from harness.experiments.load_run import LoadExperiment, LoadOptions
from harness.experiments.reporter import Reporter
from harness.experiments.saturation_run import SaturationExperiment, SearchOptions
from harness.experiments.upload_run import InputFile, UploadExperiment
from harness.load.schedule import LoadSpec
from harness.observation.rest import AUDITS
from harness.report import write_report
from harness.results import save_result
from tests.unit.experiments.support import FakeWatch, Script, audited, fake_engine, found, outcome
from tests.unit.report.support import insert_of

SPEC = LoadSpec(seconds=10, rate=100, rows_per_file="fixed:100")
QUIET = Reporter(Console(file=io.StringIO()), quiet=True)
EXPERIMENTS: dict[str, Callable[[], Any]] = {
    "load": lambda: LoadExperiment(LoadOptions(SPEC)),
    "search": lambda: SaturationExperiment(SearchOptions(100.0)),
    "run": lambda: UploadExperiment(InputFile(Path("rows.csv"), 0), Setting(), baseline=False),
}


@pytest.mark.parametrize("kind", [StageStuck, KeyboardInterrupt])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_conduct_when_any_experiment_fails_keeps_logs_and_says_why(
    tmp_path: Path, name: str, kind: type[BaseException]
) -> None:
    error = kind("stuck")

    def deploy(*_: object, **__: object) -> NoReturn:
        raise error

    folder, log = tmp_path / "run", tmp_path / "lambda-service.log"
    folder.mkdir()
    log.write_text("last words")
    with pytest.raises(kind):
        conduct(EXPERIMENTS[name](), fake_engine(log, deploy), folder, QUIET)
    assert (folder / "engine" / "lambda-service.log").read_text() == "last words"
    word = json.loads((folder / "error.json").read_text())
    assert word["outcome"] == ("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
    if isinstance(error, StageStuck):
        assert str(folder) in error.hint


def test_conduct_when_a_row_moved_during_the_audit_audits_again(
    tmp_path: Path, calm: type[FakeWatch], scripted: Callable[[Script], Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calm, "disturbed", 1)
    first, second = found([outcome(0)], audit=audited(100, lost=1)), found([outcome(0)])
    scripted(Script(first, second))
    run = conduct(LoadExperiment(LoadOptions(SPEC, 0)), fake_engine(), tmp_path, QUIET)
    assert run.examined.finding is second
    assert run.conserved


def test_conduct_when_rows_never_come_to_rest_gives_no_verdict(
    tmp_path: Path, calm: type[FakeWatch], scripted: Callable[[Script], Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calm, "disturbed", AUDITS)
    scripted(Script(*[found([outcome(0)])] * AUDITS))
    with pytest.raises(EnvironmentProblem, match="no verdict"):
        conduct(LoadExperiment(LoadOptions(SPEC, 0)), fake_engine(), tmp_path, QUIET)
    assert not (tmp_path / "result.json").exists()


def test_conduct_when_deployed_says_what_and_where(tmp_path: Path, scripted: Callable[[Script], Script]) -> None:
    scripted(Script(found([outcome(0)])))
    text = io.StringIO()
    conduct(LoadExperiment(LoadOptions(SPEC, 0)), fake_engine(), tmp_path, Reporter(Console(file=text, width=200)))
    assert f"stack {STACK} on engine fake, capacity unlimited, 1 outputs" in text.getvalue()


@pytest.mark.parametrize("has_page", [True, False])
def test_conduct_when_finished_writes_a_page_of_experiments_that_have_one(
    tmp_path: Path, scripted: Callable[[Script], Script], monkeypatch: pytest.MonkeyPatch, has_page: bool
) -> None:
    written: list[Path] = []
    monkeypatch.setattr(lifecycle, "write_report", written.append)
    scripted(Script(found([outcome(0)])))
    experiment = LoadExperiment(LoadOptions(SPEC, 0))
    experiment.has_page = has_page
    conduct(experiment, fake_engine(), tmp_path, QUIET)
    assert written == ([tmp_path] if has_page else [])
    assert (tmp_path / "result.json").exists()


def test_inserting_alone_when_there_is_no_page_of_its_kind_asks_for_none(tmp_path: Path) -> None:
    save_result(tmp_path, insert_of())
    with pytest.raises(UsageError, match="kind 'insert'"):
        write_report(tmp_path)
    assert not InsertExperiment.has_page
