"""Running a suite: warm-up, repetitions, what ends it, and the aggregate."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner

import harness.suites.run
from harness.commands.bench import app
from harness.errors import EngineError, EnvironmentProblem, UsageError
from harness.results import AuditFigures, Result, read_stored, save_result
from harness.suites.model import Kind, Suite, load_suite
from harness.suites.run import SuiteOptions, print_aggregate, run_suite
from tests.unit.suites.test_metrics import run_result

SUITE = Suite("tiny", "a test", "1 s", Kind.RUN, warmup=2, repetitions=3)
QUIET = SuiteOptions("embedded", "local", Console(quiet=True), quiet=True)


class Repetitions:
    """Stands in for runs; the n-th gives n × 100 rows/s. Those in `lost` are not conserved, at `broken` one raises."""

    def __init__(self, lost: tuple[int, ...] = (), broken: int = 0) -> None:
        self.count = 0
        self._lost = lost
        self._broken = broken

    def __call__(self, suite: Suite, options: SuiteOptions, folder: Path) -> Result:
        self.count += 1
        if self.count == self._broken:
            raise EngineError("it died")
        good = self.count not in self._lost
        audit = AuditFigures(conserved=good, as_expected=good, rows=100)
        result = run_result(pipeline_rows_per_second=100.0 * self.count, audit=audit)
        save_result(folder, result)
        return result


def test_run_suite_when_all_goes_well_discards_warm_ups_and_sums_up_the_rest(tmp_path: Path) -> None:
    document = run_suite(SUITE, QUIET, tmp_path, Repetitions())
    assert read_stored(tmp_path).document == document
    assert document.repetitions == ["01", "02", "03"]
    assert document.conserved is True
    rate = document.metrics["pipeline_rows_per_second"]
    assert (rate.values, rate.median, rate.low, rate.high) == ([300.0, 400.0, 500.0], 400.0, 300.0, 500.0)
    assert (rate.unit, rate.direction, rate.interval, rate.spread) == ("rows/s", "higher", "range", 0.5)
    folders = sorted(p.name for p in tmp_path.iterdir() if p.is_dir())
    assert folders == ["01", "02", "03", "warmup-1", "warmup-2"]
    assert all((tmp_path / name / "result.json").is_file() for name in folders)


@pytest.mark.parametrize(("lost", "kept", "ran"), [(1, ["warmup-1"], 1), (3, ["01"], 3), (4, ["01", "02"], 4)])
def test_run_suite_when_rows_are_lost_ends_and_says_so(tmp_path: Path, lost: int, kept: list[str], ran: int) -> None:
    repetitions = Repetitions(lost=(lost,))
    document = run_suite(SUITE, QUIET, tmp_path, repetitions)
    assert document.conserved is False
    assert document.repetitions == kept
    assert repetitions.count == ran


def test_run_suite_when_a_repetition_fails_raises_and_keeps_the_earlier_results(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="it died"):
        run_suite(SUITE, QUIET, tmp_path, Repetitions(broken=4))
    assert (tmp_path / "01" / "result.json").is_file()
    assert not (tmp_path / "aggregate.json").exists()
    assert json.loads((tmp_path / "02" / "error.json").read_text())["error"] == "it died"
    assert not (tmp_path / "01" / "error.json").exists()


def test_run_suite_when_a_repetition_lacks_a_metric_names_it(tmp_path: Path) -> None:
    whole = Repetitions()

    def patchy(suite: Suite, options: SuiteOptions, folder: Path) -> Result:
        result = whole(suite, options, folder)
        return msgspec.structs.replace(result, clean_seconds=None) if whole.count == 4 else result

    document = run_suite(SUITE, QUIET, tmp_path, patchy)
    assert document.incomplete == ["clean_seconds"]
    assert "clean_seconds" not in document.metrics


def test_run_suite_when_repetitions_are_six_gives_an_interval(tmp_path: Path) -> None:
    document = run_suite(replace(SUITE, warmup=0, repetitions=6), QUIET, tmp_path, Repetitions())
    assert document.metrics["pipeline_rows_per_second"].interval == "95% of the median"


def test_print_aggregate_when_printed_has_medians_and_the_verdict(tmp_path: Path) -> None:
    document = run_suite(SUITE, QUIET, tmp_path, Repetitions())
    console = Console(width=140, record=True, quiet=False, file=(tmp_path / "out").open("w"))
    print_aggregate(console, document)
    text = console.export_text()
    assert "300 to 500" in text
    assert "tiny: 3 repetitions, conserved" in text


def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, execute: Repetitions) -> Callable[..., Any]:
    monkeypatch.setattr(harness.suites.run, "_EXECUTORS", dict.fromkeys(Kind, execute))
    monkeypatch.setattr("harness.report.write_report", lambda folder: folder / "report.html")

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "runs")], env={"COLUMNS": "150"})

    return call


def test_bench_when_a_suite_is_named_runs_it_and_ends_with_the_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    execute = Repetitions()
    ended = bench(monkeypatch, tmp_path, execute)("ci", "--repetitions", "2")
    assert ended.exit_code == 0, ended.output
    assert execute.count == load_suite("ci").warmup + 2
    assert ended.output.strip().splitlines()[-1].endswith("report.html")


def test_bench_when_a_file_is_named_runs_that_suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('description = "mine"\nduration = "1 s"\nkind = "run"\nrepetitions = 2\n')
    execute = Repetitions()
    ended = bench(monkeypatch, tmp_path, execute)(str(path), "--json")
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["suite"] == "mine"
    assert execute.count == 2


@pytest.mark.parametrize("name", ["clean", "load"])
def test_bench_suite_when_its_name_is_also_a_command_runs_the_suite(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    ended = bench(monkeypatch, tmp_path, Repetitions())("suite", name)
    assert ended.exit_code == 0, ended.output


def test_bench_when_rows_are_lost_exits_3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert bench(monkeypatch, tmp_path, Repetitions(lost=(1,)))("smoke").exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("suite", "nope"), "no suite 'nope'"),
        (("ci", "--repetitions", "0"), "--repetitions is 0"),
        (("no.toml",), "no.toml"),
    ],
)
def test_bench_when_asked_for_what_is_not_there_raises_usage_errors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    ended = bench(monkeypatch, tmp_path, Repetitions())(*arguments)
    assert isinstance(ended.exception, UsageError)
    assert words in str(ended.exception)


def test_bench_help_when_asked_lists_every_suite_with_its_duration() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "250", "TERM": "dumb"}).output.split())
    for name in ("ci", "insert", "pipeline", "smoke", "soak"):
        suite = load_suite(name)
        assert f"({suite.duration})" in shown
    more = " ".join(CliRunner().invoke(app, ["suite", "--help"], env={"COLUMNS": "250", "TERM": "dumb"}).output.split())
    for name in ("clean", "load"):
        assert load_suite(name).description in more


@pytest.mark.parametrize(("void", "raised"), [(1, False), (4, True)], ids=["warm-up", "repetition"])
def test_run_suite_when_figures_of_a_repetition_are_void_takes_no_such_sample(
    tmp_path: Path, void: int, raised: bool
) -> None:
    whole = Repetitions()

    def slept(suite: Suite, options: SuiteOptions, folder: Path) -> Result:
        result = whole(suite, options, folder)
        if whole.count != void:
            return result
        return msgspec.structs.replace(result, figures_void_reason="this machine slept for 240 s")

    if not raised:
        assert run_suite(SUITE, QUIET, tmp_path, slept).incomplete == []
        return
    with pytest.raises(EnvironmentProblem, match="the figures of repetition 2 are void: this machine slept for 240 s"):
        run_suite(SUITE, QUIET, tmp_path, slept)
    assert (tmp_path / "01" / "result.json").is_file()
    assert not (tmp_path / "aggregate.json").exists()
