"""A history for Apache Otava: its columns, its order, and what does not belong into it."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
import yaml

from harness.compare import Subject, subject_of
from harness.errors import UsageError
from harness.export import otava_config, otava_csv
from tests.unit.report.support import load_of, run_of, stored


def subject(**changed: Any) -> Subject:
    return subject_of(stored(run_of(**changed)))


def history() -> list[Subject]:
    return [
        subject(run="newer", began=1_790_086_400.0, clean_seconds=5.25),
        subject(run="older", began=1_790_000_000.0, clean_seconds=4.5, pipeline_rows_per_second=None),
    ]


def test_csv_when_results_are_in_any_order_is_a_line_each_oldest_first() -> None:
    lines = list(csv.DictReader(io.StringIO(otava_csv(history()))))
    assert [(one["run"], one["time"], one["clean_seconds"]) for one in lines] == [
        ("older", "2026-09-21T14:13:20+00:00", "4.5"),
        ("newer", "2026-09-22T14:13:20+00:00", "5.25"),
    ]
    assert lines[0]["commit"] == run_of().fingerprint.git_sha[:12]


def test_csv_when_a_figure_is_not_in_all_leaves_it_out() -> None:
    (header, *_) = otava_csv(history()).splitlines()
    assert "pipeline_rows_per_second" not in header.split(",")


def test_config_when_read_names_every_column_with_its_direction() -> None:
    (header, *_) = csv.reader(io.StringIO(otava_csv(history())))
    test = yaml.safe_load(otava_config(history()))["tests"]["run-on-embedded"]
    assert (test["type"], test["time_column"]) == ("csv", header[0])
    assert [*test["attributes"], *test["metrics"]] == header[1:]
    assert test["metrics"]["clean_seconds"] == {"column": "clean_seconds", "direction": -1, "scale": 1}
    assert test["metrics"]["insert_rows_per_second"]["direction"] == 1


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([subject_of(stored(load_of()))], "of one benchmark, not of load on embedded, run on embedded"),
        ([subject(run="bad", audit__conserved=False)], "bad is not conserved"),
        ([subject(run="slept", figures_void_reason="this machine slept")], "slept are void: this machine slept"),
        ([subject(run="timeless", began=0.0)], "timeless does not say when it began"),
    ],
)
def test_history_when_a_result_does_not_belong_into_it_is_refused_by_name(others: list[Subject], words: str) -> None:
    for write in (otava_csv, otava_config):
        with pytest.raises(UsageError, match=words):
            write([subject(), *others])
