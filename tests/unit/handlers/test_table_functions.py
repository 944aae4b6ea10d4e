"""Insert and update: what becomes of rows that the table refuses, throttles or does not have."""

from __future__ import annotations

from typing import Any

import pytest

from handlers import insert, update
from handlers.aws import AwsError
from handlers.record_batch import RecordBatch, RowError
from handlers.table_writer import TableWriter
from tests.unit.handlers.scripted_aws import (
    CONFIG,
    SOURCE,
    THROTTLED,
    Context,
    FakeClient,
    accepting,
    batch,
    event,
    failures,
    keys,
)

pytestmark = pytest.mark.usefixtures("as_deployed")
INVALID = AwsError("BatchWriteItem", "ValidationException", "Item size has exceeded the maximum allowed size", 400)


class Table:
    """A table that refuses, throttles or half-writes as told."""

    def __init__(self, *, refuse: set[int] = frozenset(), halves: int = 0, throttle: bool = False) -> None:  # type: ignore[assignment]
        self.items: dict[str, dict[str, Any]] = {}
        self._refuse = {f"{SOURCE}#{r}" for r in refuse}
        self._halves = halves
        self._throttle = throttle

    def __call__(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "BatchGetItem":
            wanted = [k["record_id"]["S"] for k in request["RequestItems"]["records"]["Keys"]]
            return {"Responses": {"records": [{"record_id": {"S": k}} for k in wanted if k in self.items]}}
        if self._throttle:
            raise THROTTLED
        puts = request["RequestItems"]["records"]
        if self._refuse & set(keys(request)):
            raise INVALID
        left = []
        if self._halves and len(puts) > 1:
            self._halves -= 1
            left = puts[len(puts) // 2 :]
        for put in puts[: len(puts) - len(left)]:
            self.items[put["PutRequest"]["Item"]["record_id"]["S"]] = put["PutRequest"]["Item"]
        return {"UnprocessedItems": {"records": left} if left else {}}


def insert_rows(
    table: Table, *batches: RecordBatch | str, sqs: FakeClient | None = None
) -> tuple[list[str], FakeClient]:
    sqs = sqs or FakeClient(accepting)
    answer = insert.run(event(*batches), TableWriter(FakeClient(table), "records"), sqs, CONFIG, Context())
    return failures(answer), sqs


def test_insert_when_all_goes_well_writes_every_row_once() -> None:
    table = Table()
    failed, sqs = insert_rows(table, batch(*range(1, 61)), batch(60, 61))
    assert (failed, sqs.calls, len(table.items)) == ([], [], 61)
    assert table.items[f"{SOURCE}#1"]["_status"] == {"S": "inserted"}


def test_insert_when_items_are_unprocessed_retries_until_none_is_left() -> None:
    table = Table(halves=4)
    failed, _ = insert_rows(table, batch(*range(1, 41)))
    assert (failed, len(table.items)) == ([], 40)


def test_insert_when_the_table_refuses_rows_sends_just_those_alone_with_the_reason() -> None:
    table = Table(refuse={7, 30})
    failed, sqs = insert_rows(table, batch(*range(1, 41)))
    assert (failed, len(table.items)) == ([], 38)
    assert [(b.rows[0][0], len(b.rows)) for b in sqs.sent()] == [(7, 1), (30, 1)]
    assert sqs.sent()[0].error == RowError("insert", "refused_by_table", INVALID.message)


def test_insert_when_a_row_sent_alone_is_refused_again_fails_its_message_and_shortens_its_visibility_timeout() -> None:
    alone = batch(7, error=RowError("insert", "refused_by_table", "x"))
    failed, sqs = insert_rows(Table(refuse={7}), alone, batch(1))
    assert failed == ["m0"]
    ((operation, request),) = sqs.calls
    assert operation == "ChangeMessageVisibilityBatch"
    assert request["Entries"] == [{"Id": "0", "ReceiptHandle": "h0", "VisibilityTimeout": 5}]


def test_insert_when_refused_rows_cannot_be_sent_alone_fails_the_whole_message() -> None:
    def refusing(_: str, request: dict[str, Any]) -> dict[str, Any]:
        return {"Failed": [{"Id": e["Id"], "SenderFault": True, "Code": "X"} for e in request["Entries"]]}

    failed, _ = insert_rows(Table(refuse={2}), batch(1, 2, 3), batch(4), sqs=FakeClient(refusing))
    assert failed == ["m0"]


def test_insert_when_throttled_throughout_fails_every_message() -> None:
    failed, _ = insert_rows(Table(throttle=True), batch(1, 2), batch(3))
    assert failed == ["m0", "m1"]


def test_insert_when_a_body_is_no_record_batch_fails_only_that_message() -> None:
    table = Table()
    failed, _ = insert_rows(table, "garbage", batch(1))
    assert (failed, len(table.items)) == (["m0"], 1)


def test_insert_when_the_table_is_missing_raises() -> None:
    def missing(*_: Any) -> dict[str, Any]:
        raise AwsError("BatchWriteItem", "ResourceNotFoundException", "no table", 400)

    with pytest.raises(AwsError, match="ResourceNotFoundException"):
        insert.run(
            event(batch(1)), TableWriter(FakeClient(missing), "records"), FakeClient(accepting), CONFIG, Context()
        )


def test_update_when_an_item_does_not_exist_never_creates_it() -> None:
    table = Table()
    insert_rows(table, batch(1, 2))
    sqs = FakeClient(accepting)
    answer = update.run(event(batch(1, 2, 3)), TableWriter(FakeClient(table), "records"), sqs, CONFIG, Context())
    assert failures(answer) == []
    assert set(table.items) == {f"{SOURCE}#1", f"{SOURCE}#2"}
    assert {i["_status"]["S"] for i in table.items.values()} == {"processed"}
    (alone,) = sqs.sent()
    assert (alone.rows[0][0], alone.error) == (3, RowError("update", "item_does_not_exist", ""))


def test_update_when_existence_cannot_be_read_fails_every_message() -> None:
    def throttled(*_: Any) -> dict[str, Any]:
        raise THROTTLED

    sqs = FakeClient(accepting)
    answer = update.run(event(batch(1)), TableWriter(FakeClient(throttled), "records"), sqs, CONFIG, Context())
    assert failures(answer) == ["m0"]


@pytest.mark.parametrize("code", ["ValidationException", "SerializationException", "RequestEntityTooLarge"])
def test_insert_when_the_table_refuses_a_row_by_any_code_sends_it_alone(code: str) -> None:
    def refusing(_: str, request: dict[str, Any]) -> dict[str, Any]:
        if f"{SOURCE}#3" in keys(request):
            raise AwsError("BatchWriteItem", code, "no", 400)
        return {}

    sqs = FakeClient(accepting)
    answer = insert.run(event(batch(1, 2, 3)), TableWriter(FakeClient(refusing), "records"), sqs, CONFIG, Context())
    assert failures(answer) == []
    assert [b.rows[0][0] for b in sqs.sent()] == [3]
