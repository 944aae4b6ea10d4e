"""Usage as data, in proportion, and over a month."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cost.bill import bill
from harness.cost.month import IDLE, month_of
from harness.cost.prices import shipped_prices
from harness.cost.usage import BY_THE_HOUR, Usage, Workload
from tests.unit.cost.support import amounts, one, workloads


@given(workloads())
def test_workload_written_and_read_is_the_same(workload: Workload) -> None:
    assert Workload.from_json(json.loads(json.dumps(workload.to_json()))) == workload


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"invocation": "1"}, "no 'invocation'"),
        ({"invocations": "-1"}, "invocations is"),
        ({"invocations": "many"}, "invocations is 'many'"),
        ({"invocations": "NaN"}, "invocations is"),
        ({"invocations": "Infinity"}, "invocations is"),
        ({"invocations": 1.5}, "invocations is"),
        ({"sqs_requests": "1", "sqs_empty_receives": "2"}, "more than all requests"),
    ],
)
def test_usage_when_read_from_nonsense_says_which_field(data: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Usage.from_json(data)


@pytest.mark.parametrize(("rows", "hours"), [(0, 1), (-1, 1), (1, 0)])
def test_workload_of_nothing_is_refused(rows: int, hours: int) -> None:
    with pytest.raises(ValueError, match="a workload of"):
        Workload(rows, {}, (), hours)


def test_scaled_when_rows_do_not_come_out_even_rounds_at_the_twelfth_decimal() -> None:
    # 10 x 333 / 1,000
    assert one(invocations=10).scaled(333).stages["insert"].invocations == Decimal("3.33")
    third = Workload(3, {"insert": Usage(invocations=Decimal(1))}).scaled(1)
    assert third.stages["insert"].invocations == Decimal("0.333333333333")
    with pytest.raises(ValueError, match="a workload of 0 rows"):
        third.scaled(0)


@given(workloads(), st.integers(1, 1000))
def test_scaled_to_a_multiple_of_rows_is_that_multiple_but_for_what_is_by_the_hour(
    workload: Workload, factor: int
) -> None:
    grown = workload.scaled(workload.rows * factor)
    for name, usage in workload.stages.items():
        for field, amount in vars(usage).items():
            expected = amount if field in BY_THE_HOUR else amount * factor
            assert getattr(grown.stages[name], field) == expected
    assert workload.scaled(workload.rows) == workload


def test_month_of_files_has_idle_polling_instead_of_what_was_measured() -> None:
    job = one(invocations=10, sqs_requests=30, sqs_empty_receives=6, s3_stored_bytes=100, metric_hours=8)
    month = month_of(job, 100)
    assert month.rows == 100_000
    insert = month.stages["insert"]
    assert amounts(insert.invocations, insert.s3_stored_bytes) == [1000, 10_000]
    # (30 - 6) requests a file x 100 files
    assert amounts(insert.sqs_requests, insert.sqs_empty_receives) == [2400, 0]
    # 8 metrics in each of 100 hours
    assert insert.metric_hours == 800
    # one queue, 5 pollers, a poll of 20 s: 5 x 2,592,000 / 20
    assert month.stages[IDLE].sqs_requests == 648_000
    # and 648,000 x 0.40 / 1,000,000
    assert bill(month, shipped_prices()).by_stage()[IDLE] == Decimal("0.2592")


def test_month_when_files_are_more_than_hours_bills_metrics_for_all_hours_and_no_more() -> None:
    assert month_of(one(metric_hours=8), 10_000).stages["insert"].metric_hours == 8 * 720


def test_month_of_provisioned_capacity_is_all_hours_however_many_files() -> None:
    two_hours = Workload(1000, {"table": Usage(write_capacity_hours=Decimal(200))}, (), 2)
    # 100 WCU, as 200 WCU-hours in 2 hours tell, for 720 hours
    assert month_of(two_hours, 1).stages["table"].write_capacity_hours == 72_000
    assert month_of(two_hours, 50).stages["table"].write_capacity_hours == 72_000
    assert IDLE not in month_of(two_hours, 1).stages


@pytest.mark.parametrize("files", [0, -1])
def test_month_of_no_files_is_refused(files: int) -> None:
    with pytest.raises(ValueError, match="files a month"):
        month_of(one(invocations=1), files)


@given(workloads(), st.integers(1, 2000), st.integers(1, 2000))
def test_month_with_more_files_never_costs_less(workload: Workload, files: int, more: int) -> None:
    prices = shipped_prices()
    fewer = bill(month_of(workload, files), prices).total
    assert bill(month_of(workload, files + more), prices).total >= fewer
