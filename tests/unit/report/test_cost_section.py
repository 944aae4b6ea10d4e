"""What a report says of cost: each stage's dollars by service, the sums, and the published design beside them."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from harness.cost.usage import Usage, Workload
from harness.errors import UsageError
from harness.experiments.result_lines import print_cost
from harness.report.cost_section import cost_sections
from harness.report.page import render
from harness.report.run_page import run_page
from tests.unit.report.support import load_of, run_of, stored

USED = Workload(
    2_000_000,
    {
        "clean": Usage(invocations=Decimal(10_000_000), s3_puts=Decimal(1_000)),
        "insert": Usage(sqs_requests=Decimal(5_000_000)),
        "table": Usage(write_request_units=Decimal(2_000_000)),
    },
).to_json()
"""Lambda requests of $2.00, S3 PUTs of $0.005, SQS requests of $2.00, write units of $1.25."""


def test_section_has_dollars_by_stage_and_service_and_the_sums() -> None:
    (section,) = cost_sections(run_of(usage=USED))
    by_stage, beside = section.tables
    assert by_stage.columns == ("stage", "Lambda", "S3", "SQS", "DynamoDB", "all")
    assert by_stage.rows == (
        ("clean", "$2.00", "$0.0050", "–", "–", "$2.00"),
        ("insert", "–", "–", "$2.00", "–", "$2.00"),
        ("table", "–", "–", "–", "$1.25", "$1.25"),
        ("all", "$2.00", "$0.0050", "$2.00", "$1.25", "$5.26"),
    )
    assert {row[0]: row[1:3] for row in beside.rows} == {
        "Lambda": ("$2.00", "$1.00"),
        "S3": ("$0.0050", "$0.0025"),
        "SQS": ("$2.00", "$1.00"),
        "DynamoDB": ("$1.25", "$0.62"),
        "all": ("$5.26", "$2.63"),
    }
    # A unit a row, as many rows; it says nothing of S3.
    assert [row[3] for row in beside.rows if row[0] in ("DynamoDB", "S3")] == ["–", "$1.25"]


def test_page_has_the_bill_of_runs_and_of_loads() -> None:
    for result in (run_of(usage=USED), load_of(usage=USED)):
        assert "What AWS would charge" in render(run_page(stored(result)))


def test_page_when_the_engine_did_not_tell_has_no_bill() -> None:
    assert cost_sections(run_of(usage=None)) == []
    assert "What AWS would charge" not in render(run_page(stored(run_of(usage=None))))


def test_section_when_usage_is_broken_names_what_is_wrong() -> None:
    broken = {**USED, "stages": {"clean": {"invocations": "many"}}}
    with pytest.raises(UsageError, match="invocations is 'many': no amount"):
        cost_sections(run_of(usage=broken))


def test_summary_says_the_sum_a_million_rows_and_each_service() -> None:
    assert said(USED) == (
        "cost       $5.26 on AWS, $2.63 a million rows, at list prices and this machine's durations (harness cost)\n"
        "           Lambda $2.00, S3 $0.0050, SQS $2.00, DynamoDB $1.25\n"
    )


def test_summary_when_the_engine_did_not_tell_says_nothing() -> None:
    assert said(None) == ""


def said(usage: dict[str, object] | None) -> str:
    out = io.StringIO()
    print_cost(Console(file=out, width=300), run_of(usage=usage))
    return out.getvalue()
