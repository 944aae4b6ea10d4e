"""Events made of what handlers sent."""

from __future__ import annotations

import json

import pytest

from harness.gate.replay.events import (
    UnknownTraffic,
    object_created,
    queue_events,
    sent_bodies,
    stream_events,
    written_items,
)

QUEUE = "arn:aws:sqs:us-east-1:000000000000:Q"
STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/T/stream/1"


def test_sent_bodies_are_those_of_one_queue_in_order() -> None:
    kept = [
        ("SendMessageBatch", json.dumps({"QueueUrl": "q", "Entries": [{"MessageBody": "a"}, {"MessageBody": "b"}]})),
        ("SendMessage", json.dumps({"QueueUrl": "other", "MessageBody": "x"})),
        ("BatchWriteItem", "{}"),
        ("SendMessage", json.dumps({"QueueUrl": "q", "MessageBody": "c"})),
    ]
    assert sent_bodies(kept, "q") == ["a", "b", "c"]


def test_written_items_are_those_of_batches_and_single_puts() -> None:
    batch = {"RequestItems": {"t": [{"PutRequest": {"Item": {"k": {"S": "1"}}}}]}}
    kept = [("BatchWriteItem", json.dumps(batch)), ("PutItem", json.dumps({"Item": {"k": {"S": "2"}}}))]
    assert written_items(kept) == [{"k": {"S": "1"}}, {"k": {"S": "2"}}]


def test_written_items_when_a_batch_deletes_cannot_be_told() -> None:
    batch = {"RequestItems": {"t": [{"DeleteRequest": {"Key": {"k": {"S": "1"}}}}]}}
    with pytest.raises(UnknownTraffic, match="more than put"):
        written_items([("BatchWriteItem", json.dumps(batch))])


def test_queue_events_hold_as_many_messages_as_the_mapping_takes() -> None:
    events = [json.loads(event) for event in queue_events([f"body é {n}" for n in range(23)], QUEUE, 10)]
    assert [len(event["Records"]) for event in events] == [10, 10, 3]
    records = [record for event in events for record in event["Records"]]
    assert [record["body"] for record in records] == [f"body é {n}" for n in range(23)]
    assert len({record["messageId"] for record in records}) == 23
    assert {record["eventSourceARN"] for record in records} == {QUEUE}
    assert records[0]["attributes"]["ApproximateReceiveCount"] == "1"


def test_stream_events_hold_new_images_with_their_keys() -> None:
    items = [{"record_id": {"S": str(n)}, "note": {"S": "é"}} for n in range(3)]
    events = [json.loads(event) for event in stream_events(items, "record_id", STREAM, 2)]
    assert [len(event["Records"]) for event in events] == [2, 1]
    first = events[0]["Records"][0]
    assert first["eventSource"] == "aws:dynamodb" and first["eventSourceARN"] == STREAM
    assert first["dynamodb"]["NewImage"] == items[0] and first["dynamodb"]["Keys"] == {"record_id": {"S": "0"}}
    numbers = [r["dynamodb"]["SequenceNumber"] for event in events for r in event["Records"]]
    assert numbers == sorted(numbers) and len(set(numbers)) == 3


def test_object_created_names_the_object() -> None:
    (record,) = json.loads(object_created("b", "k.csv", 7))["Records"]
    assert (record["s3"]["bucket"]["name"], record["s3"]["object"]["key"]) == ("b", "k.csv")
