"""What a run would use, by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from harness.cost.bill import bill
from harness.cost.estimate import EMPTY_RECEIVES_PER_HOUR, estimated_workload
from harness.cost.prices import load_prices


def test_estimate_of_ten_thousand_rows_by_hand() -> None:
    found = estimated_workload(10_000, 1_790_000, {})
    # 250 rows a message: 40 messages, 4 batches of 10.
    insert = found.stages["insert"]
    assert insert.invocations == 4
    # 10,000 rows of 1 ms and 4 invocations of 30 ms more, at 512 MB.
    assert insert.billed_mb_ms_x86 == 512 * 10_120
    # A batch of 447,500 bytes is seven requests of 64 KB; sent, received, deleted.
    assert insert.sqs_requests - insert.sqs_empty_receives == 3 * 4 * 7
    assert insert.sqs_empty_receives * 3 == EMPTY_RECEIVES_PER_HOUR
    # 179 bytes a row and 700 of names: an item of 1 KB, written twice, read three times.
    assert (found.stages["table"].write_request_units, found.stages["table"].read_request_units) == (
        Decimal(20_000),
        Decimal(30_000),
    )
    assert found.stages["capture"].invocations == 200
    assert found.stages["clean"].invocations == 1 and found.stages["clean"].s3_puts == 1


def test_estimate_of_one_row_a_message_has_a_batch_for_ten_rows() -> None:
    found = estimated_workload(10_000, 1_790_000, {"RowsPerMessage": "1"})
    assert found.stages["process"].invocations == 1000
    assert found.stages["process"].sqs_requests - found.stages["process"].sqs_empty_receives == 3000


def test_estimate_of_provisioned_capacity_bills_hours_and_no_units() -> None:
    parameters = {"BillingMode": "PROVISIONED", "WriteCapacity": "100", "ReadCapacity": "10"}
    table = estimated_workload(1000, 179_000, parameters).stages["table"]
    assert (table.write_capacity_hours, table.read_capacity_hours) == (Decimal(100), Decimal(10))
    assert table.write_request_units == 0


def test_estimate_of_large_rows_counts_every_kilobyte() -> None:
    table = estimated_workload(10, 10 * 10_000, {}).stages["table"]
    assert table.write_request_units == 2 * 10 * 11
    assert table.read_request_units == 3 * 10 * 3


@pytest.mark.parametrize("rows", [1, 1_000, 800_000])
def test_estimate_costs_something_and_is_of_these_rows(rows: int) -> None:
    made = bill(estimated_workload(rows, rows * 179, {}), load_prices(None))
    assert made.rows == rows and made.total > 0
    assert made.total < Decimal(10)
