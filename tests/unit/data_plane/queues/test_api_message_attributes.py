"""Message attributes as boto3 sees them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.data_plane.queues.api import MakeQueue, attributes, receive, refused


def test_message_attributes_arrive_and_are_filtered_with_their_own_md5(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    given = {
        "General": {"DataType": "String", "StringValue": "Kenobi"},
        "Hello": {"DataType": "String", "StringValue": "There"},
        "Help.Me": {"DataType": "String", "StringValue": "Me"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody="msg", MessageAttributes=given)
    # These checksums were recorded on AWS.
    assert sent["MD5OfMessageAttributes"] == "4c360f3fdafd970e05fae2f149d997f5"
    for names, found, md5 in [
        (["All"], list(given), "4c360f3fdafd970e05fae2f149d997f5"),
        ([".*"], list(given), "4c360f3fdafd970e05fae2f149d997f5"),
        (["General", "Hello"], ["General", "Hello"], "fca026605781cb4126a1e9044df24232"),
        (["Hello", "Foo"], ["Hello"], "a311262e065454b75da111d535b8dacd"),
        (["Hel.*"], ["Hello", "Help.Me"], "83fee93c1bcd8b9a5a923ffacdc636c7"),
        (["Foo"], [], None),
        ([], [], None),
    ]:
        [message] = receive(sqs, url, MessageAttributeNames=names, VisibilityTimeout=0)
        assert message.get("MessageAttributes", {}) == {name: given[name] for name in found}
        assert message.get("MD5OfMessageAttributes") == md5


def test_binary_and_number_attributes(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    data = b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"
    sent = sqs.send_message(
        QueueUrl=url, MessageBody="test", MessageAttributes={"attr1": {"DataType": "Binary", "BinaryValue": data}}
    )
    # Recorded on AWS.
    assert sent["MD5OfMessageAttributes"] == "8cbe4db156db8a94db8b801b7addb984"
    assert receive(sqs, url)[0]["MessageAttributes"]["attr1"]["BinaryValue"] == data
    for number in ("1", "-1.5e10", "+0.001", "12345678901234567890123456789012345678", "0"):
        value = {"n": {"DataType": "Number.int", "StringValue": number}}
        sqs.send_message(QueueUrl=url, MessageBody="n", MessageAttributes=value)
    assert len(receive(sqs, url)) == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", {"DataType": "Number", "StringValue": "x"}),
        ("n", {"DataType": "Number", "StringValue": "1" * 39}),
        ("n", {"DataType": "Number", "StringValue": "1e127"}),
        ("n", {"DataType": "Number", "StringValue": "NaN"}),
        ("n", {"DataType": "Number", "StringValue": "1\n"}),
        ("s", {"DataType": "String", "StringValue": ""}),
        ("s", {"DataType": "String"}),
        ("s", {"DataType": "String", "BinaryValue": b"x"}),
        ("s", {"DataType": "String", "StringValue": "\x01"}),
        ("b", {"DataType": "Binary", "StringValue": "x"}),
        ("b", {"DataType": "Binary", "BinaryValue": b""}),
        ("t", {"DataType": "", "StringValue": "x"}),
        ("t", {"DataType": "Text", "StringValue": "x"}),
        ("t", {"DataType": "Strings", "StringValue": "x"}),
        ("t", {"DataType": "String." + "x" * 250, "StringValue": "x"}),
        ("", {"DataType": "String", "StringValue": "x"}),
        ("AWS.x", {"DataType": "String", "StringValue": "x"}),
        ("amazon.x", {"DataType": "String", "StringValue": "x"}),
        (".x", {"DataType": "String", "StringValue": "x"}),
        ("x.", {"DataType": "String", "StringValue": "x"}),
        ("x..y", {"DataType": "String", "StringValue": "x"}),
        ("x y", {"DataType": "String", "StringValue": "x"}),
        ("x" * 257, {"DataType": "String", "StringValue": "x"}),
        ("l", {"DataType": "String", "StringValue": "x", "StringListValues": ["a"]}),
    ],
)
def test_message_attribute_that_sqs_does_not_take_is_refused(
    sqs: Any, new_queue: MakeQueue, name: str, value: dict[str, Any]
) -> None:
    url = new_queue()
    code, message = refused(sqs.send_message, QueueUrl=url, MessageBody="a", MessageAttributes={name: value})
    assert code in ("InvalidParameterValue", "AWS.SimpleQueueService.UnsupportedOperation")
    assert message
    assert attributes(sqs, url)["ApproximateNumberOfMessages"] == "0"


def test_ten_message_attributes_are_taken_and_eleven_are_not(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    given = {f"a{i}": {"DataType": "String", "StringValue": "x"} for i in range(10)}
    sqs.send_message(QueueUrl=url, MessageBody="a", MessageAttributes=given)
    given["a10"] = {"DataType": "String", "StringValue": "x"}
    code, message = refused(sqs.send_message, QueueUrl=url, MessageBody="a", MessageAttributes=given)
    assert (code, "[11]" in message) == ("InvalidParameterValue", True)
