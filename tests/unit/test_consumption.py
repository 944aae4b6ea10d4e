"""What tables consumed: differences, words, and which engines take --capacity."""

from __future__ import annotations

import pytest

from harness.compare import compare, subject_of
from harness.engines.base import Endpoints
from harness.engines.consumption import Consumption, TableConsumption, consumption_lines
from harness.engines.registry import check_capacity, create
from harness.errors import UsageError
from harness.report.run_page import run_page
from harness.report.sections import consumption_table
from tests.unit.report.support import run_of, stored

REASON = "TableWriteProvisionedThroughputExceeded"
BEFORE = TableConsumption(10.0, 2.5, 3, {REASON: 4}, {REASON: 1})
AFTER = TableConsumption(110.0, 4.0, 9, {REASON: 9, "other": 2}, {REASON: 3, "other": 1})


def test_consumption_since_a_moment_is_what_came_on_top() -> None:
    now = Consumption({"a": AFTER, "new": BEFORE})
    since = now.since(Consumption({"a": BEFORE, "gone": AFTER}))
    assert since.tables["a"] == TableConsumption(100.0, 1.5, 6, {REASON: 5, "other": 2}, {REASON: 2, "other": 1})
    assert since.tables["new"] == BEFORE
    assert set(since.tables) == {"a", "new"}
    assert since.complete


def test_consumption_when_the_counting_began_anew_is_not_complete_and_never_negative() -> None:
    since = Consumption({"a": BEFORE}, starts=2).since(Consumption({"a": AFTER}, starts=1))
    assert since.tables == {"a": BEFORE}
    assert not since.complete
    assert not Consumption({"a": AFTER}, starts=2).since(since).complete


def test_lines_name_units_and_reasons_of_tables_that_were_used() -> None:
    lines = consumption_lines(Consumption({"a": AFTER, "idle": TableConsumption()}).figures())
    assert lines == [f"a: 110 write and 4.0 read units, 9 stream reads; throttled 3 × {REASON}, 1 × other"]
    assert consumption_lines(None) == []
    quiet = TableConsumption(write_units=1.0)
    assert consumption_lines(Consumption({"a": quiet}, complete=False).figures()) == [
        "a: 1 write and 0.0 read units, 0 stream reads; nothing throttled",
        "not complete: the tables' process ended meanwhile, and what it had counted is lost",
    ]


def test_results_of_tables_that_throttle_are_not_compared_with_others() -> None:
    subjects = [subject_of(stored(run_of(engine__capacity=capacity))) for capacity in ("unlimited", "aws")]
    with pytest.raises(UsageError, match="capacity"):
        compare(subjects, force=True)


def test_report_has_a_table_of_what_was_consumed_where_that_is_known() -> None:
    table = consumption_table(Consumption({"a": AFTER}).figures())
    assert table.rows == (("a", f"3 × {REASON} (9 items), 1 × other (2 items)", "110", "4.0", "9", "4"),)
    page = run_page(stored(run_of(consumption=None)))
    assert "Capacity consumed" not in [section.title for section in page.sections]


@pytest.mark.parametrize("engine", ["localstack", "localstack-data"])
def test_capacity_when_the_engine_cannot_throttle_is_refused_by_name(engine: str) -> None:
    with pytest.raises(UsageError, match=f"--capacity aws: the tables of engine {engine}"):
        create(engine, capacity="aws")
    check_capacity(engine, "unlimited")


def test_capacity_when_it_is_not_known_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="--capacity azure is not known") as refused:
        check_capacity("embedded", "azure")
    assert refused.value.hint == "choose one of unlimited, aws"


def test_observers_use_the_usual_endpoint_where_there_is_no_other() -> None:
    endpoints = Endpoints("http://d", services={"dynamodb": "http://t"}, observers={"dynamodb": "http://t/look"})
    assert endpoints.observer_url("dynamodb") == "http://t/look"
    assert endpoints.observer_url("s3") == "http://d"
