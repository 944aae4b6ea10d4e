"""SQS itself, through its API alone: messages, receipts, visibility, order, dead letters."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.engines.base import Engine
from tests.contract.support import eventually

NewQueue = Callable[..., str]


@pytest.fixture
def sqs(engine: Engine) -> Any:
    return engine.client("sqs")


@pytest.fixture
def new_queue(sqs: Any) -> Iterator[NewQueue]:
    """Makes queues that are deleted when the test ends."""
    made: list[str] = []

    def make(**attributes: Any) -> str:
        suffix = ".fifo" if attributes.get("FifoQueue") == "true" else ""
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in attributes.items()}
        made.append(sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex[:12]}{suffix}", Attributes=texts)["QueueUrl"])
        return made[-1]

    yield make
    for url in made:
        sqs.delete_queue(QueueUrl=url)


def receive(sqs: Any, url: str, **arguments: Any) -> list[dict[str, Any]]:
    given: dict[str, Any] = {"MaxNumberOfMessages": 10, "AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
    messages: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, **given, **arguments).get("Messages", [])
    return messages


def arn_of(sqs: Any, url: str) -> str:
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return str(found["QueueArn"])


def test_message_when_received_is_what_was_sent_with_its_checksums(sqs: Any, new_queue: NewQueue) -> None:
    url = new_queue()
    body = 'quoted " and \\ é € 😀\r\n'
    given = {
        "text": {"DataType": "String", "StringValue": "x"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=given)
    [message] = receive(sqs, url, WaitTimeSeconds=5)
    assert (message["Body"], message["MessageId"]) == (body, sent["MessageId"])
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    assert message["MessageAttributes"] == given
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]


def test_batch_when_one_message_has_a_character_outside_xml_refuses_it_alone(sqs: Any, new_queue: NewQueue) -> None:
    url = new_queue()
    entries = [{"Id": "good", "MessageBody": "a"}, {"Id": "bad", "MessageBody": "\x0b"}]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [e["Id"] for e in answer["Successful"]] == ["good"]
    assert [(e["Id"], e["Code"]) for e in answer["Failed"]] == [("bad", "InvalidMessageContents")]
    assert [m["Body"] for m in receive(sqs, url, WaitTimeSeconds=5)] == ["a"]


def test_batch_when_larger_than_one_mebibyte_is_refused_whole(sqs: Any, new_queue: NewQueue) -> None:
    url = new_queue()
    half = "a" * (512 * 1024)
    entries = [{"Id": "1", "MessageBody": half}, {"Id": "2", "MessageBody": half + "a"}]
    with pytest.raises(ClientError) as caught:
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert caught.value.response["Error"]["Code"] == "AWS.SimpleQueueService.BatchRequestTooLong"
    entries[1]["MessageBody"] = half
    assert len(sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 2


def test_long_poll_when_a_message_is_sent_ends_at_once(sqs: Any, new_queue: NewQueue) -> None:
    url = new_queue()
    timer = threading.Timer(0.5, lambda: sqs.send_message(QueueUrl=url, MessageBody="a"))
    timer.start()
    began = time.monotonic()
    assert len(receive(sqs, url, WaitTimeSeconds=20)) == 1
    assert time.monotonic() - began < 10
    timer.join()


def test_receipt_handle_when_of_an_earlier_receive_still_changes_visibility(sqs: Any, new_queue: NewQueue) -> None:
    url = new_queue()
    sqs.send_message(QueueUrl=url, MessageBody="a")
    [first] = receive(sqs, url, WaitTimeSeconds=5, VisibilityTimeout=0)
    [again] = receive(sqs, url, WaitTimeSeconds=5)
    assert again["ReceiptHandle"] != first["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    [third] = receive(sqs, url, WaitTimeSeconds=5)
    assert third["Attributes"]["ApproximateReceiveCount"] == "3"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])


def test_fifo_group_when_a_message_is_in_flight_delivers_none_after_it(sqs: Any, new_queue: NewQueue) -> None:
    url = new_queue(FifoQueue="true", ContentBasedDeduplication="true")
    for body in ("1", "2", "2", "3"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="group")
    first = receive(sqs, url, WaitTimeSeconds=5)
    assert [m["Body"] for m in first] == ["1", "2", "3"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first[0]["ReceiptHandle"], VisibilityTimeout=0)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first[2]["ReceiptHandle"], VisibilityTimeout=0)
    sqs.send_message(QueueUrl=url, MessageBody="4", MessageGroupId="group")
    assert [m["Body"] for m in receive(sqs, url, WaitTimeSeconds=5)] == ["1"]


def test_dead_letter_when_moved_keeps_its_id_and_names_its_source(sqs: Any, new_queue: NewQueue) -> None:
    dlq = new_queue()
    policy = {"deadLetterTargetArn": arn_of(sqs, dlq), "maxReceiveCount": "1"}
    source = new_queue(RedrivePolicy=policy, VisibilityTimeout="0")
    sent = sqs.send_message(QueueUrl=source, MessageBody="poison")
    assert len(receive(sqs, source, WaitTimeSeconds=5)) == 1
    assert receive(sqs, source, WaitTimeSeconds=1) == []
    [dead] = receive(sqs, dlq, WaitTimeSeconds=10)
    assert (dead["MessageId"], dead["Body"]) == (sent["MessageId"], "poison")
    assert dead["Attributes"]["DeadLetterQueueSourceArn"] == arn_of(sqs, source)


def test_move_task_when_started_brings_dead_letters_back(sqs: Any, new_queue: NewQueue) -> None:
    dlq = new_queue()
    arn = arn_of(sqs, dlq)
    source = new_queue(RedrivePolicy={"deadLetterTargetArn": arn, "maxReceiveCount": "1"}, VisibilityTimeout="0")
    sqs.send_message(QueueUrl=source, MessageBody="poison")
    for _ in range(2):
        receive(sqs, source, WaitTimeSeconds=1)
    sqs.start_message_move_task(SourceArn=arn)
    eventually(
        "the end of the move task",
        lambda: sqs.list_message_move_tasks(SourceArn=arn)["Results"][0]["Status"] == "COMPLETED",
    )
    [message] = receive(sqs, source, WaitTimeSeconds=10)
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
