"""Capture: which record a batch of the stream fails at."""

from __future__ import annotations

from typing import Any

import pytest

from handlers import capture
from handlers.settings import Settings
from tests.unit.handlers.scripted_aws import (
    CONFIG,
    SOURCE,
    Context,
    FakeClient,
    accepting,
    failures,
)

pytestmark = pytest.mark.usefixtures("as_deployed")


def stream(*rows: int, identity: str = SOURCE) -> list[dict[str, Any]]:
    return [
        {
            "eventID": str(r),
            "dynamodb": {
                "SequenceNumber": f"{r:05d}",
                "NewImage": {"record_id": {"S": f"{identity}#{r}"}, "_status": {"S": "inserted"}, "a": {"S": f"v{r}"}},
            },
        }
        for r in rows
    ]


def test_capture_when_items_come_from_two_sources_keeps_them_apart() -> None:
    sqs = FakeClient(accepting)
    records = stream(1, 2) + stream(9, identity="f" * 16)
    assert failures(capture.run({"Records": records}, sqs, CONFIG, Context())) == []
    assert [(b.source_id, b.columns, b.rows) for b in sqs.sent()] == [
        (SOURCE, ("a",), [[1, "v1"], [2, "v2"]]),
        ("f" * 16, ("a",), [[9, "v9"]]),
    ]


def test_capture_when_a_cell_is_null_passes_it_on_as_empty() -> None:
    sqs = FakeClient(accepting)
    (record,) = stream(1)
    record["dynamodb"]["NewImage"]["b"] = {"NULL": True}
    assert failures(capture.run({"Records": [record]}, sqs, CONFIG, Context())) == []
    assert [(b.columns, b.rows) for b in sqs.sent()] == [(("a", "b"), [[1, "v1", ""]])]


@pytest.mark.parametrize("attribute", [{}, {"S": "x", "N": "1"}, {"N": 1}, {"L": []}, "x", None])
def test_capture_when_an_attribute_is_malformed_sends_what_precedes_it_and_names_its_record(attribute: Any) -> None:
    sqs = FakeClient(accepting)
    records = stream(1, 2, 3)
    records[1]["dynamodb"]["NewImage"]["a"] = attribute
    assert failures(capture.run({"Records": records}, sqs, CONFIG, Context())) == ["00002"]
    assert [b.rows for b in sqs.sent()] == [[[1, "v1"]]]


def test_capture_when_a_message_is_refused_names_the_first_record_not_durable() -> None:
    def second_refused(_: str, request: dict[str, Any]) -> dict[str, Any]:
        return {"Failed": [{"Id": "1", "SenderFault": True, "Code": "X"}]}

    config = Settings(process_queue_url="process", rows_per_message=2)
    answer = capture.run({"Records": stream(1, 2, 3, 4)}, FakeClient(second_refused), config, Context())
    assert failures(answer) == ["00003"]


def test_capture_when_the_queue_refuses_a_row_names_its_record_and_sends_the_others() -> None:
    def cursed(_: str, request: dict[str, Any]) -> dict[str, Any]:
        failed = [e["Id"] for e in request["Entries"] if "v3" in e["MessageBody"]]
        return {"Failed": [{"Id": i, "SenderFault": True, "Code": "InvalidMessageContents"} for i in failed]}

    sqs = FakeClient(cursed)
    answer = capture.run({"Records": stream(1, 2, 3, 4, 5)}, sqs, CONFIG, Context())
    assert failures(answer) == ["00003"]
    assert {row[0] for b in sqs.sent() if [str(r[0]) for r in b.rows] != ["3"] for row in b.rows} >= {1, 2, 4, 5}


def test_capture_when_a_record_is_no_row_of_ours_sends_what_came_before_and_names_it() -> None:
    sqs = FakeClient(accepting)
    records = stream(1, 2, 3)
    records[1]["dynamodb"]["NewImage"]["record_id"] = {"S": "somebody else's"}
    assert failures(capture.run({"Records": records}, sqs, CONFIG, Context())) == ["00002"]
    assert [b.rows for b in sqs.sent()] == [[[1, "v1"]]]
