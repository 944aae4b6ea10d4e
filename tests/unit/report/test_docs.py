"""docs/results.md names every field of every file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.results import json_of, read_lines
from harness.results.checked import Checked
from tests.unit.report.support import DATA

DOCS = (Path(__file__).parents[3] / "docs" / "results.md").read_text()
GATE_DOCS = DOCS + (Path(__file__).parents[3] / "docs" / "benchmarking.md").read_text()
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


def records(kind: type[Checked]) -> Iterator[type[Checked]]:
    """Yield a record and all that are made of it."""
    yield kind
    for one in kind.__subclasses__():
        yield from records(one)


@pytest.mark.parametrize("record", list(records(Checked)), ids=lambda record: record.__name__)
def test_docs_when_a_result_has_a_field_explain_it(record: type[Checked]) -> None:
    docs = GATE_DOCS if record.__name__.startswith(("Gate", "Policy", "Tree")) else DOCS
    assert [name for name in record.__struct_fields__ if f"`{name}`" not in docs] == []


@pytest.mark.parametrize("kind", ["run", "load"])
def test_docs_when_a_time_series_has_a_field_explain_it(kind: str) -> None:
    names = set(fields(read_lines(DATA / kind / "timeseries.jsonl")))
    assert {name for name in names if not documented(name)} == set()


def test_docs_when_a_sample_has_a_field_explain_it() -> None:
    names = set(fields(read_lines(DATA / "load" / "samples.jsonl")))
    assert {name for name in names if not documented(name)} == set()


def test_docs_when_lessons_have_a_field_explain_it() -> None:
    from tests.unit.report.test_lessons_page import lesson, result

    data = json.loads(json_of(result(lesson(), lesson("logs", "failed"))))
    assert {name for name in set(fields(data)) if not documented(name)} == set()
