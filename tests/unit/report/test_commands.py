"""report, compare and export on the command line: what they print, write and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
import typer
from typer.testing import CliRunner

from harness.commands import report
from harness.errors import EnvironmentProblem, ExitCode, HarnessError, UsageError
from tests.unit.report.support import altered, copy_of, gate_result, suite_folder


class Ended(NamedTuple):
    """How a command ended: its error, if it raised one for `harness.entry` to show, and what it printed."""

    error: HarnessError | None
    code: int
    out: str


def call(*arguments: str | Path) -> Ended:
    app = typer.Typer()
    report.register(app)
    done = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "160", "TERM": "dumb"})
    error = done.exception if isinstance(done.exception, HarnessError) else None
    if done.exception is not None and error is None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ended(error, done.exit_code, done.output)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs that are alike, the second with a slower pipeline."""
    first = copy_of("run", tmp_path / "a", run="a")
    second = copy_of("run", tmp_path / "b", run="b", pipeline_rows_per_second=911.5)
    path = first / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pipeline_rows_per_second": 1823.0}))
    return first, second


def test_report_when_given_a_run_writes_its_page_and_prints_the_path(two: tuple[Path, Path]) -> None:
    ended = call("report", two[0])
    assert ended.code == ExitCode.OK
    assert f"report     {two[0]}/report.html" in ended.out
    assert (two[0] / "report.html").stat().st_size > 1_000_000


def test_report_when_given_a_gate_writes_its_page(tmp_path: Path) -> None:
    (tmp_path / "gate.json").write_text(json.dumps(gate_result()))
    assert call("report", tmp_path).code == ExitCode.OK
    assert "Regressed" in (tmp_path / "report.html").read_text()[:3000]


def test_report_when_the_folder_is_empty_says_what_it_looked_for(tmp_path: Path) -> None:
    ended = call("report", tmp_path)
    assert isinstance(ended.error, UsageError)
    assert "holds none of result.json, aggregate.json, gate.json" in str(ended.error)


def test_compare_when_alike_prints_figures_ratios_and_words(two: tuple[Path, Path]) -> None:
    ended = call("compare", *two)
    assert ended.code == ExitCode.OK
    line = next(line for line in ended.out.splitlines() if line.strip().startswith("pipeline_rows_per_second"))
    assert line.split() == ["pipeline_rows_per_second", "rows/s", "1,823", "912", "0.500", "worse"]
    assert "harness gate" in ended.out


def test_compare_when_asked_for_a_page_writes_it(two: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "comparison.html"
    ended = call("compare", two[0] / "result.json", two[1] / "result.json", "--html", target)
    assert ended.code == ExitCode.OK
    assert "b beside a" in target.read_text()[:3000]
    assert str(target) in ended.out.replace("\n", "")


def test_compare_when_suites_are_alike_compares_their_medians(tmp_path: Path) -> None:
    a = suite_folder(tmp_path / "a", (100.0, 110.0, 90.0))
    b = suite_folder(tmp_path / "b", (150.0, 160.0, 140.0))
    ended = call("compare", a, b)
    assert "150 [140, 160]" in ended.out
    assert "1.500" in ended.out
    assert "better" in ended.out


def test_compare_when_refused_raises_a_usage_error_and_writes_nothing(two: tuple[Path, Path], tmp_path: Path) -> None:
    path = two[1] / "result.json"
    path.write_text(json.dumps(altered(json.loads(path.read_text()), corpus__sha256="ff")))
    target = tmp_path / "comparison.html"
    ended = call("compare", *two, "--html", target)
    assert isinstance(ended.error, UsageError)
    assert "corpus SHA-256" in str(ended.error)
    assert not target.exists()


def test_compare_when_forced_notes_what_differs(two: tuple[Path, Path]) -> None:
    path = two[1] / "result.json"
    path.write_text(json.dumps(altered(json.loads(path.read_text()), fingerprint__cores=64)))
    assert isinstance(call("compare", *two).error, UsageError)
    ended = call("compare", *two, "--force")
    assert ended.code == ExitCode.OK
    assert "note       cores is 2 in a and 64 in b" in ended.out


@pytest.mark.parametrize("format_", ["gha-benchmark", "bencher", "junit", "markdown"])
def test_export_when_printed_is_the_document_and_nothing_else(two: tuple[Path, Path], format_: str) -> None:
    ended = call("export", two[0], "--format", format_)
    assert ended.code == ExitCode.OK
    if format_ == "junit":
        assert ElementTree.fromstring(ended.out).tag == "testsuites"
    elif format_ == "markdown":
        assert ended.out.startswith("### run on embedded")
    else:
        assert json.loads(ended.out)


def test_export_when_given_a_file_writes_it_and_prints_nothing(two: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "b.json"
    ended = call("export", two[0], "--format", "gha-benchmark", "--direction", "bigger", "--output", target)
    assert (ended.code, ended.out) == (ExitCode.OK, "")
    assert json.loads(target.read_text())[0]["value"] == 1823.0


def test_export_when_a_gate_is_wanted_as_markdown_writes_it(tmp_path: Path) -> None:
    (tmp_path / "gate.json").write_text(json.dumps(gate_result()))
    assert call("export", tmp_path, "--format", "markdown").out.startswith("### ❌ Regression gate")
    assert isinstance(call("export", tmp_path, "--format", "bencher").error, UsageError)


def test_export_when_the_file_cannot_be_written_says_so(two: tuple[Path, Path], tmp_path: Path) -> None:
    ended = call("export", two[0], "--format", "junit", "--output", tmp_path / "nowhere" / "x.xml")
    assert isinstance(ended.error, EnvironmentProblem)
    assert "cannot be written" in str(ended.error)


def test_export_when_a_direction_is_given_to_another_format_refuses(two: tuple[Path, Path]) -> None:
    ended = call("export", two[0], "--format", "junit", "--direction", "bigger")
    assert isinstance(ended.error, UsageError)


def test_export_when_the_format_is_unknown_exits_2(two: tuple[Path, Path]) -> None:
    assert call("export", two[0], "--format", "csv").code == ExitCode.USAGE


@pytest.mark.parametrize("command", ["report", "compare", "export"])
def test_help_when_asked_has_an_example(command: str) -> None:
    _, _, examples = " ".join(call(command, "--help").out.split()).partition("Example")
    assert f": harness {command}" in examples
