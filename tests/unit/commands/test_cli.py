"""The command line: messages, exit codes and help."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest
from typer.testing import CliRunner

import harness.corpus
import harness.engines.registry
from harness import cli, entry
from harness.commands import options
from harness.commands.application import app
from harness.corpus import CorpusSpec, corpus_bytes
from harness.engines.embedded.data_folder import DataFolder
from harness.errors import (
    EngineError,
    ExitCode,
    HarnessError,
    StageStuck,
    TemplateError,
    UsageError,
)


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["harness", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert isinstance(ended.value.code, int)
        text = capsys.readouterr()
        return Ended(int(ended.value.code), text.out, text.err)

    return call


def failing(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize("name", ["run", "deploy"])
@pytest.mark.parametrize("value", ["RowsPerMessage", "=5", ""])
def test_main_when_a_parameter_is_malformed_exits_2_naming_it(command: Command, name: str, value: str) -> None:
    ended = command(name, "--param", "Good=1", "--param", value)
    assert ended.code == ExitCode.USAGE
    assert f"--param {value!r} is not KEY=VALUE" in ended.err
    assert "--param RowsPerMessage=1" in ended.err
    assert ended.out == ""


def test_parse_parameters_when_values_hold_equal_signs_or_nothing_keeps_them() -> None:
    assert options.parse_parameters(["A=1=2", "B=", "A=3"]) == {"A": "3", "B": ""}
    assert options.parse_parameters(None) == {}


@pytest.mark.parametrize(
    "arguments",
    [("deploy", "--engine", "nope"), ("run", "--rows", "0", "--engine", "nope", "--out", "results")],
)
def test_main_when_the_engine_is_unknown_exits_2_naming_those_there_are(
    command: Command, arguments: tuple[str, ...]
) -> None:
    ended = command(*arguments)
    assert ended.code == ExitCode.USAGE
    assert "engine 'nope' is not known" in ended.err
    assert "embedded" in ended.err


@pytest.mark.parametrize("arguments", [("run", "--rows=-5"), ("generate", "x.csv", "--rows=-5")])
def test_main_when_rows_are_negative_exits_2_naming_them(
    command: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ended = command(*arguments)
    assert ended.code == ExitCode.USAGE
    assert "-5 rows" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", ["--dirty", "--quarantine", "--poison"])
def test_main_when_a_share_is_no_fraction_exits_2_naming_it(command: Command, share: str) -> None:
    ended = command("run", share, "1.5")
    assert ended.code == ExitCode.USAGE
    assert f"{share} is 1.5" in ended.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("run", "--rows", "many"), "--rows"), (("frobnicate",), "frobnicate"), (("run", "--nonsense"), "--nonsense")],
)
def test_main_when_arguments_cannot_be_parsed_exits_2_naming_them(
    command: Command, arguments: tuple[str, ...], named: str
) -> None:
    ended = command(*arguments)
    assert ended.code == ExitCode.USAGE
    assert named in ended.err


def test_main_when_the_file_is_missing_exits_2_naming_it(command: Command) -> None:
    ended = command("run", "--file", "nowhere.csv")
    assert ended.code == ExitCode.USAGE
    assert "nowhere.csv is not a file" in ended.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HarnessError("it broke", hint="do this"), 5),
        (UsageError("it broke", hint="do this"), 2),
        (TemplateError("it broke", hint="do this"), 2),
        (EngineError("it broke", hint="do this"), 5),
        (StageStuck("it broke", hint="do this"), 5),
    ],
)
def test_main_when_a_harness_error_comes_exits_with_its_code_and_prints_the_hint(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: HarnessError, code: int
) -> None:
    monkeypatch.setattr(harness.engines.registry, "create", failing(error))
    ended = command("deploy")
    assert ended.code == code
    assert ended.err == "error: it broke\ndo this\n"
    assert ended.out == ""


def test_main_when_a_message_looks_like_markup_prints_it_as_it_is(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = UsageError("[red]odd[/red] [/nonsense]", hint="[bold]x")
    monkeypatch.setattr(harness.engines.registry, "create", failing(error))
    assert command("deploy").err == "error: [red]odd[/red] [/nonsense]\n[bold]x\n"


def test_main_when_an_error_has_no_hint_prints_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.engines.registry, "create", failing(EngineError("it broke")))
    assert command("deploy").err == "error: it broke\n"


def test_main_when_interrupted_exits_130_and_says_so(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.corpus, "generate", failing(KeyboardInterrupt()))
    ended = command("generate", "x.csv", "--rows", "5")
    assert ended.code == ExitCode.INTERRUPTED
    assert ended.err.count("interrupted") == 1


def test_main_when_started_takes_sigterm_for_an_interrupt(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[object, ...]] = []
    monkeypatch.setattr(signal, "signal", lambda *arguments: taken.append(arguments))
    command("--help")
    assert (signal.SIGTERM, entry.interrupt) in taken
    with pytest.raises(KeyboardInterrupt):
        entry.interrupt(signal.SIGTERM, None)


def test_generate_when_done_writes_the_corpus_and_exits_0(command: Command, tmp_path: Path) -> None:
    ended = command("generate", "x.csv", "--rows", "50", "--seed", "7")
    assert ended.code == ExitCode.OK
    assert (tmp_path / "x.csv").read_bytes() == b"".join(corpus_bytes(CorpusSpec(rows=50, seed=7)))
    assert (tmp_path / "x.csv.manifest.json").exists()
    assert "50 rows" in ended.out


@pytest.mark.parametrize("arguments", [("list",), ("show", "insert"), ("redrive", "insert")])
def test_dlq_when_no_engine_is_up_exits_5_and_says_how_to_start_one(
    command: Command, arguments: tuple[str, ...]
) -> None:
    ended = command("dlq", *arguments)
    assert ended.code == ExitCode.ENVIRONMENT
    assert "no engine is up" in ended.err
    assert "harness deploy" in ended.err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("", "load test of an event-driven ingestion pipeline"),
        ("run", "harness run --file my.csv"),
        ("generate", "Example: harness generate transactions.csv"),
        ("deploy", "keep it up until Ctrl-C"),
        ("doctor", "Check what this machine can do"),
        ("dlq", "Dead-letter queues: list, show, redrive."),
        ("dlq list", "Count the dead letters of every stage"),
        ("dlq show", "Nothing is taken out of the queue"),
        ("dlq redrive", "Send a stage's dead letters back"),
        ("report", "Write a result's report.html again"),
        ("compare", "Compare stored results with the first of them"),
        ("export", "Write a result in another tool's format"),
        ("bench", "Benchmarks."),
        ("bench engine", "Compare bare loops of the pipeline"),
        ("bench clean", "Compare our cleaner with"),
    ],
)
def test_help_when_asked_of_any_command_says_what_it_is_for(words: str, wanted: str) -> None:
    shown = CliRunner().invoke(app, [*words.split(), "--help"], env={"COLUMNS": "120", "TERM": "dumb"})
    assert shown.exit_code == 0
    assert wanted in " ".join(shown.output.split())


def test_help_when_asked_through_main_exits_0(command: Command) -> None:
    assert command("--help").code == ExitCode.OK


@pytest.mark.parametrize(("engine", "variable"), [("embedded", "http://lambda:9001"), ("localstack-data", "")])
def test_deploy_once_when_the_functions_would_end_with_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, engine: str, variable: str
) -> None:
    monkeypatch.setenv("HARNESS_LAMBDA_URL", variable)
    ended = CliRunner().invoke(app, ["deploy", "--once", "--engine", engine])
    assert isinstance(ended.exception, UsageError)
    assert f"the functions of engine {engine} end with this command" in str(ended.exception)


@pytest.mark.parametrize("engine", ["localstack", "localstack-data"])
def test_deploy_with_data_when_the_engine_keeps_its_own_is_refused(engine: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["deploy", "--data", str(tmp_path), "--engine", engine])
    assert isinstance(ended.exception, UsageError)
    assert f"engine {engine} keeps its data itself" in str(ended.exception)


def test_deploy_with_data_when_the_folder_is_in_use_names_who_has_it(tmp_path: Path) -> None:
    held = DataFolder(tmp_path)
    try:
        ended = CliRunner().invoke(app, ["deploy", "--data", str(tmp_path)])
    finally:
        held.close()
    assert isinstance(ended.exception, EngineError)
    assert f"in use by process {os.getpid()}" in str(ended.exception)


@pytest.mark.parametrize("words", [("run",), ("deploy",), ("bench", "load"), ("bench", "saturation"), ("bench", "ci")])
def test_command_when_its_rules_are_wrong_ends_before_anything_starts(
    command: Command, words: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[[rule]]\nservice = "dynamodb"\noperation = "*"\neffect = "drop"\nwhen = "never"')
    ended = command(*words, "--chaos", str(path))
    assert ended.code == 2
    assert "mine.toml, rule 1: when = 'never'" in " ".join(ended.err.split())
    path.write_text(path.read_text().replace("never", "after"))
    ended = command(*words, "--chaos", str(path), "--engine", "localstack")
    assert (ended.code, "leave --chaos out" in " ".join(ended.err.split())) == (2, True)


def test_suite_when_it_runs_no_engine_refuses_chaos(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[[rule]]\nservice = "sqs"\noperation = "*"\neffect = "latency"\nseconds = 1\n')
    ended = command("bench", "suite", "clean", "--chaos", str(path))
    assert (ended.code, "--chaos: suite clean runs no engine" in ended.err) == (2, True)
