"""The comparison of cleaners: contestants that did not run, or did not end."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.bench.clean import CleanBenchResult, print_table, run_clean_bench
from harness.corpus import CorpusSpec, cached
from harness.errors import EnvironmentProblem, UsageError
from harness.suites import run as suites
from harness.suites.model import load_suite


def table(*results: CleanBenchResult) -> list[str]:
    text = io.StringIO()
    print_table(Console(file=text, width=120), list(results))
    return text.getvalue().splitlines()


def test_print_table_when_the_first_cleaner_is_missing_compares_with_the_first_that_ran() -> None:
    missing = CleanBenchResult("pandas", 0, 0.0, 0.0, 0.0, "no module named pandas")
    lines = table(
        missing, CleanBenchResult("ours", 100, 1.0, 2.0, 30.0), CleanBenchResult("polars", 100, 1.0, 3.0, 30.0)
    )
    assert "no module named pandas" in lines[1]
    assert "1.00×" in lines[2]
    assert "1.50×" in lines[3]


def test_print_table_when_no_cleaner_ran_says_why_of_each() -> None:
    assert "did not run" in table(CleanBenchResult("pandas", 0, 0.0, 0.0, 0.0, "did not run"))[1]


def test_print_table_when_cpu_time_was_too_short_to_measure_shows_no_ratio() -> None:
    assert "–" in table(CleanBenchResult("ours", 1, 0.0, 0.0, 30.0))[1]


def test_run_clean_bench_when_a_cleaner_does_not_end_names_the_limit_and_runs_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command[3])
        if command[3] == "pandas":
            raise subprocess.TimeoutExpired(command, options["timeout"])
        answer = '{"rows": 10, "seconds": 1, "cpu": 1, "peak_mb": 20}'
        return subprocess.CompletedProcess(command, 0, answer, "")

    monkeypatch.setattr(subprocess, "run", run)
    slow, ours = run_clean_bench(tmp_path / "some.csv", 2, contestants=("pandas", "ours"))
    assert slow.missing == "not done after 600 s"
    assert (ours.missing, ours.rows) == ("", 10)
    # A cleaner that did not end is not given its second turn.
    assert asked == ["pandas", "ours", "ours"]


def test_run_clean_bench_when_a_cleaner_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no cleaner sed"):
        run_clean_bench(tmp_path / "some.csv", 1, contestants=("sed",))


def test_clean_suite_when_our_cleaner_did_not_run_is_an_error_of_the_environment_and_not_a_loss(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    corpus = cached(CorpusSpec(rows=10), tmp_path)
    monkeypatch.setattr(suites, "cached", lambda _: corpus)
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", "no memory")
    )
    options = suites.SuiteOptions("embedded", "local", Console(file=io.StringIO()), quiet=True)
    with pytest.raises(EnvironmentProblem, match="our own cleaner did not run: no memory"):
        suites.run_suite(load_suite("clean"), options, tmp_path)
