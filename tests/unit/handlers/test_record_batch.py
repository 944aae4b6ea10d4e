"""Record batches, identities, items, and how messages are sent."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from handlers.aws import send_messages
from handlers.record_batch import RecordBatchError, decode, parse_record_id
from handlers.table_writer import ItemEncoder
from tests.unit.handlers.scripted_aws import (
    SOURCE,
    FakeClient,
    accepting,
)

pytestmark = pytest.mark.usefixtures("as_deployed")


def test_send_messages_when_a_success_hides_failures_retries_those_only() -> None:
    attempts: list[list[str]] = []

    def flaky(_: str, request: dict[str, Any]) -> dict[str, Any]:
        attempts.append([e["Id"] for e in request["Entries"]])
        return {"Failed": [{"Id": "1", "SenderFault": False, "Code": "InternalError"}] if len(attempts) < 3 else []}

    assert send_messages(FakeClient(flaky), "q", ["a", "b", "c"], time.monotonic() + 5) == []
    assert attempts == [["0", "1", "2"], ["1"], ["1"]]


def test_send_messages_when_bodies_are_large_or_many_keeps_to_the_limits() -> None:
    sqs = FakeClient(accepting)
    send_messages(sqs, "q", ["x" * 400_000] * 5 + ["y"] * 25, time.monotonic() + 5)
    sizes = [[len(e["MessageBody"]) for e in request["Entries"]] for _, request in sqs.calls]
    assert sum(map(len, sizes)) == 30
    assert all(len(s) <= 10 and sum(s) <= 1024 * 1024 for s in sizes)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"v":2,"source":{"id":"a"},"columns":[],"rows":[]}',
        '{"v":1,"source":{"id":1},"columns":[],"rows":[]}',
        '{"v":1,"source":{"id":"a"},"columns":["x"],"rows":[[1]]}',
        '{"v":1,"source":{"id":"a"},"columns":["x"],"rows":[["1","a"]]}',
        '{"v":1,"source":{"id":"a"},"columns":["x"],"rows":[[1,2]]}',
        '{"v":1,"source":{"id":"a"},"columns":"x","rows":[]}',
        '{"v":1,"source":{"id":"a"},"columns":[],"rows":[],"error":{"reason":"x"}}',
        '{"v":1,"source":{"id":"a"},"columns":["x"],"rows":[[1,"\\ud800"]]}',
        "[" * 100_000,
    ],
)
def test_record_batch_when_malformed_is_refused(body: str) -> None:
    with pytest.raises(RecordBatchError):
        decode(body)


@pytest.mark.parametrize("identity", ["", "#", "a#", "#1", "a#-1", "a#x", "a#1#2"])
def test_record_id_when_malformed_is_refused(identity: str) -> None:
    with pytest.raises(RecordBatchError):
        parse_record_id(identity)


def test_item_encoder_when_there_are_no_columns_still_makes_an_item() -> None:
    item = json.loads(ItemEncoder(SOURCE, (), {"_status": "inserted"}).encode([3]))
    assert item == {"PutRequest": {"Item": {"record_id": {"S": f"{SOURCE}#3"}, "_status": {"S": "inserted"}}}}
