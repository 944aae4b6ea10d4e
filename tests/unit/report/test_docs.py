"""docs/results.md names every field of every file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.audit import AuditReport
from harness.errors import EngineError
from harness.experiments.record import recorded
from harness.results import read_lines
from tests.unit.report.support import DATA, frozen, suite_folder

DOCS = (Path(__file__).parents[3] / "docs" / "results.md").read_text()
FREE = ("functions", "packages", "versions", "limits", "parameters", "spec", "quarantined", "dead_letters", "problems")
"""Fields whose keys are names of other things, not fields."""


def fields(data: Any) -> Iterator[str]:
    """Yield the name of every field of nested plain data."""
    if isinstance(data, list):
        for item in data:
            yield from fields(item)
    if isinstance(data, dict):
        for name, value in data.items():
            yield name
            if name not in FREE:
                yield from fields(value)


def documented(name: str) -> bool:
    return f"`{name}`" in DOCS


@pytest.mark.parametrize("kind", ["run", "load"])
def test_docs_when_a_result_has_a_field_explain_it(kind: str) -> None:
    result = frozen(kind)
    functions = result["engine"]["functions"].values()
    own = {"run", "load", "insert", "clean", "capture", "process", "update"}
    names = {*fields(result), *(n for f in functions if "invocations" in f for n in fields(f))} - own
    percentiles = {"50", "90", "95", "99", "99.9"}
    assert {
        n for n in names - percentiles - set(result["share_of_baseline"] if kind == "run" else ()) if not documented(n)
    } == set()


@pytest.mark.parametrize("kind", ["run", "load"])
def test_docs_when_a_time_series_has_a_field_explain_it(kind: str) -> None:
    names = set(fields(read_lines(DATA / kind / "timeseries.jsonl")))
    assert {name for name in names if not documented(name)} == set()


def test_docs_when_a_sample_has_a_field_explain_it() -> None:
    names = set(fields(read_lines(DATA / "load" / "samples.jsonl")))
    assert {name for name in names if not documented(name)} == set()


def test_docs_when_an_aggregate_has_a_field_explain_it(tmp_path: Path) -> None:
    aggregate = json.loads((suite_folder(tmp_path / "s") / "aggregate.json").read_text())
    del aggregate["fingerprint"]
    metrics = aggregate.pop("metrics")
    names = {*fields(aggregate), *(n for m in metrics.values() for n in fields(m))}
    assert {name for name in names if not documented(name)} == set()


def test_docs_when_an_audit_has_a_field_explain_it() -> None:
    names = set(fields(msgspec.to_builtins(AuditReport().figures())))
    assert {name for name in names if not documented(name)} == set()


def test_docs_when_an_error_has_a_field_explain_it(tmp_path: Path) -> None:
    with pytest.raises(EngineError), recorded(tmp_path):
        raise EngineError("it broke")
    names = set(fields(json.loads((tmp_path / "error.json").read_text())))
    assert {name for name in names if not documented(name)} == set()
