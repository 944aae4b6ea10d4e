"""`harness bench load` and `bench saturation`: refusals before an engine starts, and exit codes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import NoReturn

import pytest
from msgspec.structs import replace

from harness import cli
from harness.engines import registry
from harness.errors import ExitCode
from harness.experiments import lifecycle
from harness.experiments.load_result import LoadFinding
from harness.experiments.load_run import LoadExperiment, LoadRun
from harness.experiments.saturation_run import Saturation, SaturationExperiment
from harness.results import ObjectiveFigures, Outcome
from tests.unit.experiments.support import audited, examined, found, outcome
from tests.unit.report.support import load_of, saturation_of

Command = Callable[..., int]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["harness", "bench", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return call


def no_engine(*_: object, **__: object) -> NoReturn:
    raise AssertionError("an engine was started")


@pytest.mark.parametrize(
    ("option", "value"),
    [("start", "0"), ("start", "nan"), ("resolution", "0"), ("budget", "-1"), ("step-seconds", "12")],
)
def test_saturation_when_the_search_makes_no_sense_names_the_option_before_an_engine_starts(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    option: str,
    value: str,
) -> None:
    monkeypatch.setattr(registry, "create", no_engine)
    assert command("saturation", f"--{option}", value) == ExitCode.USAGE
    assert f"--{option} is {value}" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


SENT, LOST = found([outcome(0)]), found([outcome(0)], audit=audited(100, lost=1))
FAILED = found([outcome(0), outcome(1, "SlowDown")])
UNSENT = found([outcome(0)], unsent=4)


@pytest.mark.parametrize(
    ("finds", "warmed", "rate", "code"),
    [
        (SENT, SENT, 100.0, 0),
        (SENT, None, 100.0, 0),
        (LOST, SENT, 100.0, ExitCode.NOT_CONSERVED),
        (SENT, LOST, 100.0, ExitCode.NOT_CONSERVED),
        (FAILED, SENT, 100.0, ExitCode.ENVIRONMENT),
        (UNSENT, SENT, 100.0, ExitCode.ENVIRONMENT),
        (FAILED, SENT, 0.0, ExitCode.ENVIRONMENT),
        (FAILED, LOST, 100.0, ExitCode.NOT_CONSERVED),
        (SENT, SENT, 0.0, ExitCode.INCONCLUSIVE),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_saturation_when_finished_ends_with_the_code_of_what_it_found(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    finds: LoadFinding,
    warmed: LoadFinding | None,
    rate: float,
    code: int,
    form: list[str],
) -> None:
    def search(experiment: object, _engine: object, folder: Path, _reporter: object) -> Saturation:
        assert isinstance(experiment, SaturationExperiment)
        before = None if warmed is None else examined(warmed)
        return Saturation(folder, [], rate, 200.0, "resolution", examined(finds), before, saturation_of())

    monkeypatch.setattr(registry, "create", lambda *_, **__: nullcontext())
    monkeypatch.setattr(lifecycle, "conduct", search)
    assert command("saturation", *form) == code


@pytest.mark.parametrize(
    ("finds", "warmed", "code"),
    [
        (SENT, SENT, 0),
        (SENT, LOST, ExitCode.NOT_CONSERVED),
        (FAILED, SENT, ExitCode.ENVIRONMENT),
        (UNSENT, SENT, ExitCode.ENVIRONMENT),
        (found([outcome(0)], ambiguous=1, unreported=1), SENT, ExitCode.ENVIRONMENT),
        (found([outcome(0)], audit=audited(100, lost=1), unsent=4), SENT, ExitCode.NOT_CONSERVED),
    ],
)
def test_load_when_finished_ends_with_the_code_of_what_it_found(
    command: Command, monkeypatch: pytest.MonkeyPatch, finds: LoadFinding, warmed: LoadFinding, code: int
) -> None:
    def run(experiment: object, _engine: object, folder: Path, _reporter: object) -> LoadRun:
        assert isinstance(experiment, LoadExperiment)
        return LoadRun(folder, examined(finds), examined(warmed), load_of())

    monkeypatch.setattr(registry, "create", lambda *_, **__: nullcontext())
    monkeypatch.setattr(lifecycle, "conduct", run)
    assert command("load", "--json") == code


@pytest.mark.parametrize(
    ("outcome", "finds", "code"),
    [
        (Outcome.KEPT, SENT, 0),
        (Outcome.MISSED, SENT, ExitCode.REGRESSION),
        (Outcome.NOT_MEASURED, SENT, ExitCode.INCONCLUSIVE),
        (Outcome.MISSED, LOST, ExitCode.NOT_CONSERVED),
        (Outcome.MISSED, FAILED, ExitCode.ENVIRONMENT),
    ],
)
def test_load_when_objectives_were_asked_for_ends_with_their_code_after_that_of_rows_and_uploads(
    command: Command, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, finds: LoadFinding, code: int
) -> None:
    def run(experiment: object, _engine: object, folder: Path, _reporter: object) -> LoadRun:
        assert isinstance(experiment, LoadExperiment)
        assert [str(one) for one in experiment.setting.objectives] == ["end_to_end_p95_ms < 2000"]
        found = ObjectiveFigures(
            metric="end_to_end_p95_ms", comparison="<", limit=2000.0, unit="ms", value=None, outcome=outcome
        )
        return LoadRun(folder, examined(finds), None, replace(load_of(), objectives=[found]))

    monkeypatch.setattr(registry, "create", lambda *_, **__: nullcontext())
    monkeypatch.setattr(lifecycle, "conduct", run)
    assert command("load", "--json", "--require", "end_to_end.p95<2000") == code


def test_help_when_asked_names_every_engine() -> None:
    from harness.commands.options import EngineName

    text = EngineName.__metadata__[0].help  # type: ignore[attr-defined]
    assert text.removesuffix(".").partition(": ")[2].split(", ") == list(registry.ENGINES)
