"""What the section [gate] of a suite may say, and how mistakes in it are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from harness.errors import UsageError
from harness.metrics import metrics_of, names_of
from harness.results import RunResult
from harness.stages import STAGES
from harness.suites.model import Suite, parse
from tests.unit.report.support import run_of

CPU = "insert_cpu_ms_per_1000_rows"


def suite_with(gate: str) -> Suite:
    text = f'description = "a test"\nduration = "1 s"\nkind = "run"\n[gate]\n{gate}\n'
    return parse(text, Path("my.toml"))


def test_parse_when_known_metrics_decide_takes_them_in_order() -> None:
    suite = suite_with(f'metrics = ["{CPU}", "dlq_rows", "pipeline_rows_per_second"]\ntimeout = 0.5')
    assert suite.gate.policy.deciding == (CPU, "dlq_rows", "pipeline_rows_per_second")
    assert suite.gate.timeout == 0.5


@pytest.mark.parametrize("name", ["insert_cpu_ms_per_1000_row", "end_to_end_p50_ms", "ours_rows_per_second"])
def test_parse_when_no_run_has_a_deciding_metric_refuses_it_and_lists_what_there_is(name: str) -> None:
    with pytest.raises(UsageError, match=r"suite my\.toml: \[gate\] metrics is") as refused:
        suite_with(f'metrics = ["{CPU}", "{name}"]')
    assert f" instead of {name} is needed" in str(refused.value)
    assert CPU in str(refused.value).split("; one of ")[1]


@pytest.mark.parametrize("value", ["[]", '"dlq_rows"', "[1]", '["dlq_rows", "dlq_rows"]'])
def test_parse_when_metrics_are_no_list_of_names_refuses_them(value: str) -> None:
    with pytest.raises(UsageError, match="a list of different texts is needed"):
        suite_with(f"metrics = {value}")


@pytest.mark.parametrize("value", ["0", "-1", "nan", "true", '"300"'])
def test_parse_when_a_trial_would_get_no_time_refuses_it(value: str) -> None:
    with pytest.raises(UsageError, match=r"\[gate\] timeout is .*; a number above 0 is needed"):
        suite_with(f"timeout = {value}")


def test_names_of_when_listed_are_those_of_a_run_that_has_every_figure() -> None:
    insert = run_of().stages["insert"]
    stage = replace(insert, rows_ok=10, rows_per_second=5.0, cpu_ms=1.0, handler_ms=9.0, waiting_ms=4.0)
    result = replace(run_of(), clean_seconds=1.0, stages={one.name: stage for one in STAGES})
    assert names_of(RunResult) == frozenset(metrics_of(result))
