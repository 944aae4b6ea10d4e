"""Messages as boto3 sees them: bodies, batches, what a receive may ask for, FIFO."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.data_plane.queues.api import MakeQueue, attributes, receive, refused


@pytest.mark.parametrize(
    "body", ["a", 'quoted " \\ /', "line\r\nbreak\t", "ümlaut € 😀", "\ufffd\ud7ff\ue000", '{"a": [1]}', " "]
)
def test_body_arrives_as_it_was_sent_with_its_md5(sqs: Any, new_queue: MakeQueue, body: str) -> None:
    url = new_queue()
    sent = sqs.send_message(QueueUrl=url, MessageBody=body)
    [message] = receive(sqs, url)
    assert message["Body"] == body
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    assert message["MessageId"] == sent["MessageId"]


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0b", "\x0c", "\x1f", "\ufffe", "\uffff", "\ud800", "\udfff"])
def test_character_outside_xml_is_refused_and_in_a_batch_only_its_entry(
    sqs: Any, new_queue: MakeQueue, character: str
) -> None:
    url = new_queue()
    body = f"a{character}b"
    assert refused(sqs.send_message, QueueUrl=url, MessageBody=body)[0] == "InvalidMessageContents"
    answer = sqs.send_message_batch(
        QueueUrl=url, Entries=[{"Id": "bad", "MessageBody": body}, {"Id": "good", "MessageBody": "a"}]
    )
    assert [e["Id"] for e in answer["Successful"]] == ["good"]
    [failed] = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "InvalidMessageContents", True)
    assert [m["Body"] for m in receive(sqs, url)] == ["a"]


def test_message_and_batch_of_one_mebibyte_and_one_byte_more(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    whole = "é" * (512 * 1024)
    sqs.send_message(QueueUrl=url, MessageBody=whole)
    code, message = refused(sqs.send_message, QueueUrl=url, MessageBody=whole + "a")
    assert (code, "1048576 bytes" in message) == ("InvalidParameterValue", True)
    attribute = {"a": {"DataType": "String", "StringValue": "b"}}
    assert refused(sqs.send_message, QueueUrl=url, MessageBody=whole, MessageAttributes=attribute)[0] == code
    half = "a" * (512 * 1024)
    entries = [{"Id": "1", "MessageBody": half}, {"Id": "2", "MessageBody": half}]
    assert len(sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 2
    entries[1]["MessageBody"] += "a"
    code, message = refused(sqs.send_message_batch, QueueUrl=url, Entries=entries)
    assert code == "AWS.SimpleQueueService.BatchRequestTooLong"
    assert message == "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes."
    assert attributes(sqs, url)["ApproximateNumberOfMessages"] == "3"
    small = new_queue(MaximumMessageSize="1024")
    answer = sqs.send_message_batch(
        QueueUrl=small, Entries=[{"Id": "1", "MessageBody": "a" * 1024}, {"Id": "2", "MessageBody": "a" * 1025}]
    )
    assert [e["Id"] for e in answer["Successful"]] == ["1"]
    assert answer["Failed"][0]["Code"] == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        ([], "EmptyBatchRequest"),
        ([str(i) for i in range(11)], "TooManyEntriesInBatchRequest"),
        (["a", "a"], "BatchEntryIdsNotDistinct"),
        ([""], "InvalidBatchEntryId"),
        (["a b"], "InvalidBatchEntryId"),
        (["ä"], "InvalidBatchEntryId"),
        (["a\n"], "InvalidBatchEntryId"),
        (["a" * 81], "InvalidBatchEntryId"),
    ],
)
def test_batch_with_wrong_ids_is_refused_whole(sqs: Any, new_queue: MakeQueue, ids: list[str], code: str) -> None:
    url = new_queue()
    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (sqs.send_message_batch, {"MessageBody": "a"}),
        (sqs.delete_message_batch, {"ReceiptHandle": "a"}),
        (sqs.change_message_visibility_batch, {"ReceiptHandle": "a", "VisibilityTimeout": 1}),
    ]
    for call, members in calls:
        entries = [{"Id": name, **members} for name in ids]
        assert refused(call, QueueUrl=url, Entries=entries)[0] == f"AWS.SimpleQueueService.{code}"
    assert attributes(sqs, url)["ApproximateNumberOfMessages"] == "0"


def test_batch_of_receipt_handles_says_which_failed(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    sqs.send_message(QueueUrl=url, MessageBody="a")
    handle = receive(sqs, url)[0]["ReceiptHandle"]
    entries = [
        {"Id": "good", "ReceiptHandle": handle, "VisibilityTimeout": 0},
        {"Id": "bad", "ReceiptHandle": "nonsense", "VisibilityTimeout": 0},
        {"Id": "late", "ReceiptHandle": handle, "VisibilityTimeout": 43_201},
    ]
    answer = sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
    assert [e["Id"] for e in answer["Successful"]] == ["good"]
    assert {e["Id"]: e["Code"] for e in answer["Failed"]} == {
        "bad": "ReceiptHandleIsInvalid",
        "late": "InvalidParameterValue",
    }
    handle = receive(sqs, url)[0]["ReceiptHandle"]
    answer = sqs.delete_message_batch(
        QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": handle}, {"Id": "b", "ReceiptHandle": "x"}]
    )
    assert ([e["Id"] for e in answer["Successful"]], [e["Id"] for e in answer["Failed"]]) == (["a"], ["b"])
    assert attributes(sqs, url)["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_system_attributes(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    before = int(time.time() * 1000)
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    sent = sqs.send_message(
        QueueUrl=url,
        MessageBody="a",
        MessageGroupId="tenant-1",
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": trace}},
    )
    assert sent["MD5OfMessageSystemAttributes"] == "5ae4d5d7636402d80f4eb6d213245a88"
    found = receive(sqs, url, VisibilityTimeout=0)[0]["Attributes"]
    assert before <= int(found["SentTimestamp"]) <= int(found["ApproximateFirstReceiveTimestamp"])
    assert {k: v for k, v in found.items() if not k.endswith("Timestamp")} == {
        "SenderId": "000000000000",
        "ApproximateReceiveCount": "1",
        "AWSTraceHeader": trace,
        "MessageGroupId": "tenant-1",
    }
    again = receive(sqs, url, VisibilityTimeout=0)[0]["Attributes"]
    assert again["ApproximateReceiveCount"] == "2"
    assert again["ApproximateFirstReceiveTimestamp"] == found["ApproximateFirstReceiveTimestamp"]
    one = receive(sqs, url, AttributeNames=[], MessageSystemAttributeNames=["SentTimestamp"], VisibilityTimeout=0)
    assert list(one[0]["Attributes"]) == ["SentTimestamp"]
    assert "Attributes" not in receive(sqs, url, AttributeNames=[], VisibilityTimeout=0)[0]
    assert refused(sqs.receive_message, QueueUrl=url, AttributeNames=["Nonsense"])[0] == "InvalidAttributeName"


@pytest.mark.parametrize(
    "members",
    [
        {"MaxNumberOfMessages": 0},
        {"MaxNumberOfMessages": 11},
        {"WaitTimeSeconds": 21},
        {"WaitTimeSeconds": -1},
        {"VisibilityTimeout": 43_201},
        {"VisibilityTimeout": -1},
        {"ReceiveRequestAttemptId": "a"},
    ],
)
def test_receive_that_sqs_does_not_take_is_refused_with_the_value(
    sqs: Any, new_queue: MakeQueue, members: dict[str, Any]
) -> None:
    code, message = refused(sqs.receive_message, QueueUrl=new_queue(), **members)
    [(name, value)] = members.items()
    assert code == "InvalidParameterValue"
    assert message.startswith(f"Value {value} for parameter {name} is invalid. Reason: ")


def test_members_of_a_message_that_do_not_fit_its_queue_are_refused(sqs: Any, new_queue: MakeQueue) -> None:
    standard, fifo = new_queue(), new_queue(FifoQueue="true")

    def code(**members: Any) -> str:
        return refused(sqs.send_message, **members)[0]

    assert code(QueueUrl=standard) == "MissingParameter"
    assert code(QueueUrl=standard, MessageBody="") == "MissingParameter"
    assert code(QueueUrl=standard, MessageBody="a", DelaySeconds=901) == "InvalidParameterValue"
    assert code(QueueUrl=standard, MessageBody="a", MessageDeduplicationId="d") == "InvalidParameterValue"
    assert code(QueueUrl=standard, MessageBody="a", MessageGroupId="a b") == "InvalidParameterValue"
    assert code(QueueUrl=fifo, MessageBody="a") == "MissingParameter"
    assert code(QueueUrl=fifo, MessageBody="a", MessageGroupId="g") == "InvalidParameterValue"
    both = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
    assert code(QueueUrl=fifo, MessageBody="a", DelaySeconds=1, **both) == "InvalidParameterValue"
    assert code(QueueUrl=fifo, MessageBody="a", **{**both, "MessageGroupId": "ü"}) == "InvalidParameterValue"
    system = {"Other": {"DataType": "String", "StringValue": "x"}}
    assert code(QueueUrl=standard, MessageBody="a", MessageSystemAttributes=system) == "InvalidParameterValue"
    entries = [{"Id": "1", "MessageBody": "a", **both}, {"Id": "2", "MessageBody": "a"}]
    assert refused(sqs.send_message_batch, QueueUrl=fifo, Entries=entries)[0] == "InvalidParameterValue"
    for url in (standard, fifo):
        assert attributes(sqs, url)["ApproximateNumberOfMessages"] == "0"


def test_fifo_round_trip_with_content_based_deduplication(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue(FifoQueue="true", ContentBasedDeduplication="true")
    first = sqs.send_message(QueueUrl=url, MessageBody="a", MessageGroupId="g")
    same = sqs.send_message(QueueUrl=url, MessageBody="a", MessageGroupId="g")
    assert (first["MessageId"], first["SequenceNumber"]) == (same["MessageId"], same["SequenceNumber"])
    assert len(first["SequenceNumber"]) == 20
    sqs.send_message(QueueUrl=url, MessageBody="a", MessageGroupId="g", MessageDeduplicationId="other")
    found = receive(sqs, url)
    assert [m["Attributes"]["MessageDeduplicationId"] for m in found] == [hashlib.sha256(b"a").hexdigest(), "other"]
    assert found[0]["Attributes"]["SequenceNumber"] == first["SequenceNumber"]
    assert {m["Attributes"]["MessageGroupId"] for m in found} == {"g"}
