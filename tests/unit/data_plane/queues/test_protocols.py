"""Raw requests in both protocols: the query protocol, wrong types, hostile input."""

from __future__ import annotations

import http.client
import json
import socket
import time
import xml.etree.ElementTree as ET
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from tests.unit.data_plane.queues.api import MakeQueue

NS = "{http://queue.amazonaws.com/doc/2012-11-05/}"


def exchange(
    url: str, body: bytes = b"", headers: dict[str, str] | None = None, method: str = "POST"
) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request(method, (parts.path or "/") + ("?" + parts.query if parts.query else ""), body, headers or {})
    answer = connection.getresponse()
    found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    connection.close()
    return found


def call(url: str, operation: str, body: bytes | Any) -> tuple[int, Any, str]:
    """Status, decoded answer, and the old error code, of a raw JSON request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, headers, answer = exchange(url, data, {"X-Amz-Target": f"AmazonSQS.{operation}"})
    return status, json.loads(answer) if answer else {}, headers.get("x-amzn-query-error", "")


def form(url: str, *, status: int = 200, method: str = "POST", **fields: Any) -> ET.Element:
    """The XML answer of a form."""
    body = urlencode({"Version": "2012-11-05", **{k.replace("__", "."): v for k, v in fields.items()}})
    found, _, answer = exchange(url, body.encode()) if method == "POST" else exchange(f"{url}?{body}", method=method)
    assert found == status, answer
    return ET.fromstring(answer)


def texts(root: ET.Element, tag: str) -> list[str]:
    return [e.text or "" for e in root.iter(NS + tag)]


def test_query_protocol_from_creating_a_queue_to_deleting_its_messages(service_url: str) -> None:
    root = form(service_url, Action="CreateQueue", QueueName="old", Attribute__1__Name="DelaySeconds",
                Attribute__1__Value="0", Tag__1__Key="k", Tag__1__Value="v")  # fmt: skip
    [url] = texts(root, "QueueUrl")
    assert root.tag == f"{NS}CreateQueueResponse" and len(texts(root, "RequestId")) == 1
    sent = form(
        url,
        Action="SendMessage",
        MessageBody="a\r\n<&>é",
        MessageAttribute__1__Name="n",
        MessageAttribute__1__Value__DataType="Number",
        MessageAttribute__1__Value__StringValue="1",
        MessageAttribute__2__Name="b",
        MessageAttribute__2__Value__DataType="Binary",
        MessageAttribute__2__Value__BinaryValue="AQID",
    )
    assert len(texts(sent, "MD5OfMessageAttributes")) == 1
    entries: dict[str, Any] = {f"SendMessageBatchRequestEntry.{i}.{k}": v for i in (1, 2, 10) for k, v in
               {"Id": f"id{i}", "MessageBody": f"body {i}" if i < 10 else "\x01"}.items()}  # fmt: skip
    batch = form(service_url, Action="SendMessageBatch", QueueUrl=url, **entries)
    assert [e.findtext(f"{NS}Id") for e in batch.iter(f"{NS}SendMessageBatchResultEntry")] == ["id1", "id2"]
    assert texts(batch, "Code") == ["InvalidMessageContents"] and texts(batch, "SenderFault") == ["true"]
    got = form(url, method="GET", Action="ReceiveMessage", MaxNumberOfMessages="10", AttributeName__1="All",
               MessageAttributeName__1="All", VisibilityTimeout="60")  # fmt: skip
    assert texts(got, "Body") == ["a\r\n<&>é", "body 1", "body 2"]
    assert texts(got, "BinaryValue") == ["AQID"]
    handles = texts(got, "ReceiptHandle")
    counted = form(url, Action="GetQueueAttributes", AttributeName__1="ApproximateNumberOfMessagesNotVisible")
    assert texts(counted, "Value") == ["3"]
    hidden = form(url, Action="ChangeMessageVisibility", ReceiptHandle=handles[0], VisibilityTimeout="1")
    assert [e.tag for e in hidden] == [f"{NS}ResponseMetadata"]
    form(url, Action="DeleteMessage", ReceiptHandle=handles[0])
    deletes: dict[str, Any] = {}
    for i, handle in enumerate(handles[1:], 1):
        deletes |= {
            f"DeleteMessageBatchRequestEntry.{i}.{k}": v for k, v in (("Id", str(i)), ("ReceiptHandle", handle))
        }
    assert len(list(form(url, Action="DeleteMessageBatch", **deletes).iter(f"{NS}DeleteMessageBatchResultEntry"))) == 2
    assert texts(form(url, Action="ListQueueTags"), "Value") == ["v"]
    empty = form(url, Action="ReceiveMessage", WaitTimeSeconds="1")
    assert [e.tag for e in empty] == [f"{NS}ReceiveMessageResult", f"{NS}ResponseMetadata"]
    form(url, Action="DeleteQueue")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"Action": "Nonsense"}, 400, "InvalidAction"),
        ({"Action": "CreateQueue"}, 400, "MissingParameter"),
        ({"Action": "GetQueueUrl", "QueueName": "none"}, 400, "AWS.SimpleQueueService.NonExistentQueue"),
        ({"Action": "ListQueues", "MaxResults": "x"}, 400, "InvalidParameterValue"),
        ({"Action": "ListQueues", "MaxResults": "9" * 5000}, 400, "InvalidParameterValue"),
        ({"Action": "SendMessageBatch", "QueueUrl": "none"}, 400, "AWS.SimpleQueueService.NonExistentQueue"),
        ({"Action": "CreateQueue", "QueueName": "q", "Attribute.1.Name": "x"}, 400, "InvalidAttributeName"),
        ({"Action": "CreateQueue", "QueueName": "q", "Attribute.999999999999.Name": "x"}, 400, "InvalidAttributeName"),
    ],
)
def test_query_errors(service_url: str, fields: dict[str, Any], status: int, code: str) -> None:
    root = form(service_url, status=status, **fields)
    assert root.tag == f"{NS}ErrorResponse"
    assert texts(root, "Code") == [code] and texts(root, "Type") == ["Sender"]


def test_queue_path_takes_no_requests_about_other_queues_and_nothing_is_no_request(
    service_url: str, new_queue: MakeQueue
) -> None:
    url = new_queue()
    assert texts(form(url, status=400, Action="ListQueues"), "Code") == ["InvalidAction"]
    assert exchange(service_url, method="GET")[0] == 404
    assert texts(form(url, status=400, Action="SendMessageBatch", SendMessageBatchRequestEntry=""), "Code") == [
        "AWS.SimpleQueueService.EmptyBatchRequest"
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"1",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b'{"QueueUrl": NaN}',
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"QueueUrl":"x"}garbage',
        b"Action=ListQueues",
        bytes(1000),
    ],
)
def test_body_that_is_no_json_object_is_a_serialization_error(service_url: str, body: bytes) -> None:
    status, answer, old = call(service_url, "SendMessage", body)
    assert (status, old) == (400, "SerializationException;Sender")
    assert answer["__type"].endswith("#SerializationException")


WRONG: list[Any] = [
    1,
    1.5,
    True,
    None,
    "text",
    [],
    ["a"],
    [1],
    [None],
    {},
    {"a": 1},
    {"a": "b"},
    {"a": {"b": []}},
    [[]],
    [{}],
]
MEMBERS = {
    "CreateQueue": ["QueueName", "Attributes", "tags"],
    "SendMessage": ["QueueUrl", "MessageBody", "DelaySeconds", "MessageAttributes", "MessageSystemAttributes",
                    "MessageGroupId", "MessageDeduplicationId"],
    "SendMessageBatch": ["QueueUrl", "Entries"],
    "ReceiveMessage": ["QueueUrl", "AttributeNames", "MessageSystemAttributeNames", "MessageAttributeNames",
                       "MaxNumberOfMessages", "VisibilityTimeout", "ReceiveRequestAttemptId"],
    "DeleteMessage": ["QueueUrl", "ReceiptHandle"],
    "DeleteMessageBatch": ["Entries"],
    "ChangeMessageVisibility": ["ReceiptHandle", "VisibilityTimeout"],
    "ChangeMessageVisibilityBatch": ["Entries"],
    "GetQueueAttributes": ["AttributeNames"],
    "SetQueueAttributes": ["Attributes"],
    "ListQueues": ["QueueNamePrefix", "MaxResults", "NextToken"],
    "TagQueue": ["Tags"],
    "UntagQueue": ["TagKeys"],
    "AddPermission": ["Label", "AWSAccountIds", "Actions"],
    "RemovePermission": ["Label"],
    "StartMessageMoveTask": ["SourceArn", "DestinationArn", "MaxNumberOfMessagesPerSecond"],
    "CancelMessageMoveTask": ["TaskHandle"],
    "ListMessageMoveTasks": ["SourceArn", "MaxResults"],
}  # fmt: skip


@pytest.mark.parametrize("operation", MEMBERS)
def test_member_of_a_wrong_type_is_an_error_of_the_sender_and_never_one_of_the_service(
    service_url: str, new_queue: MakeQueue, operation: str
) -> None:
    url = new_queue()
    good: dict[str, Any] = {"QueueUrl": url, "MessageBody": "a", "QueueName": url.rsplit("/", 1)[1]}
    for member in MEMBERS[operation]:
        for value in WRONG:
            status, answer, old = call(service_url, operation, {**good, member: value})
            assert status in (200, 400, 404), (member, value, answer)
            assert status == 200 or old.endswith(";Sender"), (member, value, answer)
            if status == 200:
                continue
            assert answer["message"], (member, value)


@pytest.mark.parametrize("member", ["Id", "MessageBody", "MessageAttributes", "DelaySeconds", "MessageGroupId",
                                    "MessageSystemAttributes"])  # fmt: skip
def test_member_of_an_entry_of_a_wrong_type_loses_no_other_entry(
    service_url: str, new_queue: MakeQueue, member: str
) -> None:
    url = new_queue()
    for value in WRONG:
        entries: list[dict[str, Any]] = [
            {"Id": "bad", "MessageBody": "a", member: value},
            {"Id": "good", "MessageBody": "a"},
        ]
        status, answer, _ = call(service_url, "SendMessageBatch", {"QueueUrl": url, "Entries": entries})
        if status == 200:
            named = [e["Id"] for e in answer["Successful"] + answer.get("Failed", [])]
            assert sorted(named) == sorted(["good", entries[0]["Id"]])
        else:
            assert status == 400 and member == "Id"


def test_lone_surrogates_in_any_member_leave_a_queue_that_can_be_read(
    service_url: str, new_queue: MakeQueue, sqs: Any
) -> None:
    url = new_queue()
    lone = "a\ud800"
    kind = {"a": {"DataType": f"String.{lone}", "StringValue": "x"}}
    attempts: list[tuple[str, dict[str, Any]]] = [
        ("TagQueue", {"Tags": {lone: lone}}),
        ("SetQueueAttributes", {"Attributes": {"KmsMasterKeyId": lone}}),
        ("SetQueueAttributes", {"Attributes": {"Policy": json.dumps({"Id": lone}, ensure_ascii=False)}}),
        ("SendMessage", {"MessageBody": "a", "MessageAttributes": kind}),
        ("SendMessage", {"MessageBody": "a", "MessageAttributes": {lone: {"DataType": "String", "StringValue": "x"}}}),
        ("SendMessage", {"MessageBody": "a", "MessageGroupId": lone}),
        ("GetQueueUrl", {"QueueName": lone}),
        ("ReceiveMessage", {"MessageAttributeNames": [lone]}),
        ("ReceiveMessage", {"AttributeNames": [lone]}),
    ]
    for operation, members in attempts:
        assert call(url, operation, {"QueueUrl": url, **members})[0] in (200, 400), (operation, members)
    sqs.list_queue_tags(QueueUrl=url)
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"])


def test_operation_that_does_not_exist(service_url: str) -> None:
    for target in ("AmazonSQS.Nonsense", "DynamoDB_20120810.ListTables", "xmazonSQS.ListQueues", "", "AmazonSQS."):
        status, _, _ = exchange(service_url, b"{}", {"X-Amz-Target": target})
        assert status == 404


def test_huge_body_half_requests_and_thousands_of_idle_connections_hurt_nobody(
    service_url: str, new_queue: MakeQueue, sqs: Any
) -> None:
    url = new_queue()
    address = ("127.0.0.1", urlsplit(service_url).port or 0)
    idle = [socket.create_connection(address) for _ in range(500)]
    half = socket.create_connection(address)
    half.sendall(b"POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.SendMessage\r\nContent-Length: 100\r\n\r\n{")
    headers = {"X-Amz-Target": "AmazonSQS.SendMessage"}
    status, _, answer = exchange(service_url, b"x" * 100_000_000, headers)
    assert status == 413 and b"content length exceeded" in answer
    nonsense = socket.create_connection(address)
    nonsense.sendall(b"\x00\x01\x02\r\n\r\n")
    assert b"400" in nonsense.recv(1000)
    sqs.send_message(QueueUrl=url, MessageBody="served")
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "served"
    for connection in (*idle, half, nonsense):
        connection.close()


def test_client_killed_in_its_long_poll_takes_no_message_with_it(
    service_url: str, new_queue: MakeQueue, sqs: Any
) -> None:
    url = new_queue()
    body = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}).encode()
    head = f"POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\nContent-Length: {len(body)}\r\n\r\n"
    address = ("127.0.0.1", urlsplit(service_url).port or 0)
    for ending in ("close", "reset"):
        client = socket.create_connection(address)
        client.sendall(head.encode() + body)
        time.sleep(0.1)
        if ending == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        client.close()
        time.sleep(0.1)
        sqs.send_message(QueueUrl=url, MessageBody=ending)
        [message] = sqs.receive_message(QueueUrl=url)["Messages"]
        assert message["Body"] == ending


def test_trace_header_of_the_request_is_that_of_messages_that_have_none(
    service_url: str, new_queue: MakeQueue, sqs: Any
) -> None:
    url = new_queue()
    own = {"AWSTraceHeader": {"DataType": "String", "StringValue": "own"}}
    entries = [{"Id": "1", "MessageBody": "a"}, {"Id": "2", "MessageBody": "b", "MessageSystemAttributes": own}]
    headers = {"X-Amz-Target": "AmazonSQS.SendMessageBatch", "X-Amzn-Trace-Id": "Root=1-x"}
    assert exchange(service_url, json.dumps({"QueueUrl": url, "Entries": entries}).encode(), headers)[0] == 200
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    assert [m["Attributes"]["AWSTraceHeader"] for m in messages] == ["Root=1-x", "own"]


def test_quoted_names_in_a_form_are_one_name(service_url: str) -> None:
    status, _, answer = exchange(f"{service_url}/?Action=GetQueueUrl&QueueName={quote('a&b')}", method="GET")
    assert status == 400 and b"NonExistentQueue" in answer
