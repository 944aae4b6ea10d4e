"""The service as boto3 sees it, over a socket."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

MakeQueue = Callable[..., str]


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    """The code and the message of a refusal."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def attributes(sqs: Any, url: str) -> dict[str, str]:
    found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return found


def receive(sqs: Any, url: str, **arguments: Any) -> list[dict[str, Any]]:
    given: dict[str, Any] = {
        "MaxNumberOfMessages": 10,
        "AttributeNames": ["All"],
        "MessageAttributeNames": ["All"],
        **arguments,
    }
    messages: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, **given).get("Messages", [])
    return messages


# queues


def test_queue_url_arn_and_default_attributes_are_those_of_the_embedded_engine(
    sqs: Any, service_url: str, new_queue: MakeQueue
) -> None:
    url = new_queue()
    name = url.rsplit("/", 1)[1]
    assert url == f"{service_url}/000000000000/{name}"
    found = attributes(sqs, url)
    assert abs(int(found.pop("CreatedTimestamp")) - time.time()) < 60
    assert abs(int(found.pop("LastModifiedTimestamp")) - time.time()) < 60
    assert found == {
        "QueueArn": f"arn:aws:sqs:us-east-1:000000000000:{name}",
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "30",
    }


def test_queue_created_again_is_the_same_unless_an_attribute_differs(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue(DelaySeconds="3", SqsManagedSseEnabled="true")
    name = url.rsplit("/", 1)[1]
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == url
    same = {"DelaySeconds": "3", "SqsManagedSseEnabled": "TRUE"}
    assert sqs.create_queue(QueueName=name, Attributes=same)["QueueUrl"] == url
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    assert sqs.create_queue(QueueName=name, Attributes={"Policy": policy.replace(" ", "")})["QueueUrl"] == url
    code, message = refused(sqs.create_queue, QueueName=name, Attributes={"DelaySeconds": "4"})
    assert code == "QueueAlreadyExists"
    assert message == "A queue already exists with the same name and a different value for attribute DelaySeconds"
    with pytest.raises(sqs.exceptions.QueueNameExists):
        sqs.create_queue(QueueName=name, Attributes={"Policy": "{}"})


@pytest.mark.parametrize("name", ["", "a" * 81, "a b", "a.b", "a/b", "ä", "q.fifo"])
def test_queue_name_that_sqs_does_not_take_is_refused(sqs: Any, name: str) -> None:
    assert refused(sqs.create_queue, QueueName=name)[0] in ("InvalidParameterValue", "MissingParameter")


@pytest.mark.parametrize("name", ["q", ".fifo", "a" * 76 + ".fifo", "a.b.fifo"])
def test_fifo_name_that_sqs_does_not_take_is_refused(sqs: Any, name: str) -> None:
    assert refused(sqs.create_queue, QueueName=name, Attributes={"FifoQueue": "true"})[0] == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("DelaySeconds", "901", "InvalidAttributeValue"),
        ("DelaySeconds", "-1", "InvalidAttributeValue"),
        ("DelaySeconds", "1.5", "InvalidAttributeValue"),
        ("DelaySeconds", "", "InvalidAttributeValue"),
        ("VisibilityTimeout", "43201", "InvalidAttributeValue"),
        ("MessageRetentionPeriod", "59", "InvalidAttributeValue"),
        ("MessageRetentionPeriod", "1209601", "InvalidAttributeValue"),
        ("MaximumMessageSize", "1023", "InvalidAttributeValue"),
        ("MaximumMessageSize", "1048577", "InvalidAttributeValue"),
        ("ReceiveMessageWaitTimeSeconds", "21", "InvalidAttributeValue"),
        ("KmsDataKeyReusePeriodSeconds", "59", "InvalidAttributeValue"),
        ("SqsManagedSseEnabled", "yes", "InvalidAttributeValue"),
        ("Policy", "{", "InvalidAttributeValue"),
        ("FifoQueue", "false", "InvalidAttributeName"),
        ("ContentBasedDeduplication", "true", "InvalidAttributeName"),
        ("DeduplicationScope", "queue", "InvalidAttributeName"),
        ("FifoThroughputLimit", "perQueue", "InvalidAttributeName"),
        ("QueueArn", "x", "InvalidAttributeName"),
        ("ApproximateNumberOfMessages", "0", "InvalidAttributeName"),
        ("Nonsense", "1", "InvalidAttributeName"),
        ("RedrivePolicy", "x", "InvalidParameterValue"),
        ("RedrivePolicy", "[]", "InvalidParameterValue"),
        ("RedrivePolicy", "{}", "InvalidParameterValue"),
        ("RedrivePolicy", '{"deadLetterTargetArn":"x","maxReceiveCount":3}', "InvalidParameterValue"),
        ("RedriveAllowPolicy", '{"redrivePermission":"maybe"}', "InvalidParameterValue"),
        ("RedriveAllowPolicy", '{"redrivePermission":"byQueue"}', "InvalidParameterValue"),
        ("RedriveAllowPolicy", '{"redrivePermission":"allowAll","sourceQueueArns":["a"]}', "InvalidParameterValue"),
    ],
)
def test_attribute_that_sqs_does_not_take_is_refused_when_creating_and_when_setting(
    sqs: Any, new_queue: MakeQueue, name: str, value: str, code: str
) -> None:
    found = refused(sqs.create_queue, QueueName="never", Attributes={name: value})
    assert found[0] == code and name in found[1]
    url = new_queue()
    before = attributes(sqs, url)
    assert refused(sqs.set_queue_attributes, QueueUrl=url, Attributes={name: value})[0] == code
    assert attributes(sqs, url) == before


def test_attributes_are_set_removed_and_compared(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    given = {"Policy": policy, "KmsMasterKeyId": "alias/aws/sqs", "VisibilityTimeout": "7"}
    sqs.set_queue_attributes(QueueUrl=url, Attributes=given)
    found = attributes(sqs, url)
    assert {name: found[name] for name in given} == given
    assert found["SqsManagedSseEnabled"] == "false"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": "", "KmsMasterKeyId": ""})
    assert not {"Policy", "KmsMasterKeyId"} & set(attributes(sqs, url))
    both = {"KmsMasterKeyId": "k", "SqsManagedSseEnabled": "true"}
    assert refused(sqs.set_queue_attributes, QueueUrl=url, Attributes=both)[0] == "InvalidAttributeName"
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"] == {
        "VisibilityTimeout": "7"
    }
    assert refused(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Nonsense"])[0] == "InvalidAttributeName"


def test_fifo_attributes(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue(FifoQueue="true")
    found = attributes(sqs, url)
    assert (found["FifoQueue"], found["ContentBasedDeduplication"]) == ("true", "false")
    assert (found["DeduplicationScope"], found["FifoThroughputLimit"]) == ("queue", "perQueue")
    limit = {"FifoThroughputLimit": "perMessageGroupId"}
    assert refused(sqs.set_queue_attributes, QueueUrl=url, Attributes=limit)[0] == "InvalidAttributeValue"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={**limit, "DeduplicationScope": "messageGroup"})
    assert attributes(sqs, url)["FifoThroughputLimit"] == "perMessageGroupId"
    code, message = refused(sqs.set_queue_attributes, QueueUrl=url, Attributes={"FifoQueue": "false"})
    assert (code, message.endswith("Modifying queue type is not supported.")) == ("InvalidAttributeValue", True)


def test_queues_are_listed_by_prefix_and_in_pages(sqs: Any, new_queue: MakeQueue) -> None:
    urls = [new_queue(f"-{i}") for i in range(5)]
    prefix = urls[0].rsplit("/", 1)[1][:30]
    assert sqs.list_queues(QueueNamePrefix=prefix)["QueueUrls"] == urls
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix="no such prefix")
    pages = list(sqs.get_paginator("list_queues").paginate(QueueNamePrefix=prefix, PaginationConfig={"PageSize": 2}))
    assert [page["QueueUrls"] for page in pages] == [urls[:2], urls[2:4], urls[4:]]
    assert refused(sqs.list_queues, MaxResults=1001)[0] == "InvalidParameterValue"
    assert refused(sqs.list_queues, MaxResults=1, NextToken="%")[0] == "InvalidParameterValue"


def test_deleted_queue_is_gone_and_its_receipt_handles_are_none_of_the_next_queue_of_its_name(
    sqs: Any, new_queue: MakeQueue
) -> None:
    url = new_queue()
    name = url.rsplit("/", 1)[1]
    sqs.send_message(QueueUrl=url, MessageBody="a")
    handle = receive(sqs, url)[0]["ReceiptHandle"]
    sqs.delete_queue(QueueUrl=url)
    assert refused(sqs.get_queue_url, QueueName=name)[0] == "AWS.SimpleQueueService.NonExistentQueue"
    for call in (sqs.receive_message, sqs.purge_queue, sqs.delete_queue, sqs.list_queue_tags):
        assert refused(call, QueueUrl=url)[0] == "AWS.SimpleQueueService.NonExistentQueue"
    sqs.create_queue(QueueName=name)
    assert receive(sqs, url) == []
    assert refused(sqs.delete_message, QueueUrl=url, ReceiptHandle=handle)[0] == "ReceiptHandleIsInvalid"


def test_queue_url_is_understood_whatever_its_host_but_not_with_another_account(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    name = url.rsplit("/", 1)[1]
    forms = [f"{host}/000000000000/{name}" for host in ("http://localhost:4566", "https://sqs.us-east-1.amazonaws.com")]
    for form in (*forms, name):
        sqs.send_message(QueueUrl=form, MessageBody="a")
    assert attributes(sqs, url)["ApproximateNumberOfMessages"] == "3"
    other = url.replace("000000000000", "111111111111")
    assert refused(sqs.send_message, QueueUrl=other, MessageBody="a")[0] == "AWS.SimpleQueueService.NonExistentQueue"
    assert refused(sqs.send_message, QueueUrl=f"{url}/", MessageBody="a")[0] == "InvalidAddress"
    owner = {"QueueName": name, "QueueOwnerAWSAccountId": "111111111111"}
    assert refused(sqs.get_queue_url, **owner)[0] == "AWS.SimpleQueueService.NonExistentQueue"


def test_tags_and_permissions(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    assert "Tags" not in sqs.list_queue_tags(QueueUrl=url)
    sqs.tag_queue(QueueUrl=url, Tags={"a": "1", "b": ""})
    sqs.tag_queue(QueueUrl=url, Tags={"a": "2"})
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "2", "b": ""}
    sqs.untag_queue(QueueUrl=url, TagKeys=["b", "c"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "2"}
    assert refused(sqs.tag_queue, QueueUrl=url, Tags={str(i): "" for i in range(50)})[0] == "InvalidParameterValue"

    given: dict[str, Any] = {
        "QueueUrl": url,
        "Label": "one",
        "AWSAccountIds": ["111111111111"],
        "Actions": ["SendMessage"],
    }
    sqs.add_permission(**given)
    assert refused(sqs.add_permission, **given)[0] == "InvalidParameterValue"
    assert refused(sqs.add_permission, **{**given, "Label": "x", "Actions": ["Nonsense"]})[0] == "InvalidParameterValue"
    statement = json.loads(attributes(sqs, url)["Policy"])["Statement"][0]
    assert statement["Sid"] == "one" and statement["Action"] == "SQS:SendMessage"
    assert statement["Principal"] == {"AWS": "arn:aws:iam::111111111111:root"}
    sqs.remove_permission(QueueUrl=url, Label="one")
    assert "Policy" not in attributes(sqs, url)
    assert refused(sqs.remove_permission, QueueUrl=url, Label="one")[0] == "InvalidParameterValue"


# messages


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


# time


def test_long_poll_wakes_at_once_when_a_message_is_sent_and_when_one_becomes_visible(
    sqs: Any, new_queue: MakeQueue
) -> None:
    url = new_queue()
    timer = threading.Timer(0.3, lambda: sqs.send_message(QueueUrl=url, MessageBody="a", DelaySeconds=1))
    timer.start()
    began = time.monotonic()
    [message] = receive(sqs, url, WaitTimeSeconds=20, VisibilityTimeout=1)
    assert 1.2 < time.monotonic() - began < 5
    [again] = receive(sqs, url, WaitTimeSeconds=20)
    assert again["MessageId"] == message["MessageId"]
    assert 2.2 < time.monotonic() - began < 8
    timer.join()


def test_long_poll_ends_empty_after_its_time(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue(ReceiveMessageWaitTimeSeconds="1")
    began = time.monotonic()
    assert receive(sqs, url) == []
    assert 0.9 < time.monotonic() - began < 5


def test_long_poll_of_a_queue_that_is_deleted_ends(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    timer = threading.Timer(0.3, lambda: sqs.delete_queue(QueueUrl=url))
    timer.start()
    code, _ = refused(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20)
    assert code == "AWS.SimpleQueueService.NonExistentQueue"
    timer.join()


def test_many_long_polls_share_what_is_sent_and_no_message_is_given_twice(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    got: list[str] = []

    def poll() -> None:
        got.extend(m["Body"] for m in receive(sqs, url, WaitTimeSeconds=5, MaxNumberOfMessages=1))

    polls = [threading.Thread(target=poll) for _ in range(8)]
    for thread in polls:
        thread.start()
    time.sleep(0.3)
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": str(i)} for i in range(8)])
    for thread in polls:
        thread.join()
    assert sorted(got) == [str(i) for i in range(8)]


def test_at_the_limit_in_flight_short_polls_are_refused_and_long_polls_wait(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    for _ in range(2):
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": "a"} for i in range(10)])
    handles = [m["ReceiptHandle"] for _ in range(2) for m in receive(sqs, url)]
    assert len(handles) == 12
    with pytest.raises(sqs.exceptions.OverLimit):
        sqs.receive_message(QueueUrl=url)
    assert receive(sqs, url, WaitTimeSeconds=1) == []
    timer = threading.Timer(0.3, lambda: sqs.delete_message(QueueUrl=url, ReceiptHandle=handles[0]))
    timer.start()
    assert len(receive(sqs, url, WaitTimeSeconds=10)) == 1
    timer.join()


def test_at_the_limit_in_flight_a_fifo_queue_gives_nothing_and_no_error(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue(FifoQueue="true", ContentBasedDeduplication="true")
    for i in range(13):
        sqs.send_message(QueueUrl=url, MessageBody=str(i), MessageGroupId=str(i))
    assert [len(receive(sqs, url)) for _ in range(3)] == [10, 2, 0]


# dead letters


def dead_letter_pair(sqs: Any, new_queue: MakeQueue, **attributes_: str) -> tuple[str, str, str]:
    dlq = new_queue("-dlq", **attributes_)
    arn = attributes(sqs, dlq)["QueueArn"]
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": "2"}
    return new_queue("-source", RedrivePolicy=policy, VisibilityTimeout="0", **attributes_), dlq, arn


def test_dead_letter_keeps_id_body_attributes_and_says_where_it_is_from(sqs: Any, new_queue: MakeQueue) -> None:
    source, dlq, _ = dead_letter_pair(sqs, new_queue)
    given = {"A": {"DataType": "String", "StringValue": "x"}}
    sent = sqs.send_message(QueueUrl=source, MessageBody="poison", MessageAttributes=given)
    receive(sqs, source)
    [first] = receive(sqs, source)
    assert receive(sqs, source) == []
    [dead] = receive(sqs, dlq)
    assert (dead["MessageId"], dead["Body"], dead["MessageAttributes"]) == (sent["MessageId"], "poison", given)
    assert dead["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert dead["Attributes"]["SentTimestamp"] == first["Attributes"]["SentTimestamp"]
    assert dead["Attributes"]["ApproximateReceiveCount"] == "3"
    assert dead["Attributes"]["DeadLetterQueueSourceArn"] == attributes(sqs, source)["QueueArn"]
    assert sqs.list_dead_letter_source_queues(QueueUrl=dlq)["queueUrls"] == [source]


def test_dead_letter_wakes_who_waits_at_the_dead_letter_queue(sqs: Any, new_queue: MakeQueue) -> None:
    source, dlq, _ = dead_letter_pair(sqs, new_queue)
    sqs.send_message(QueueUrl=source, MessageBody="poison")
    for _ in range(2):
        receive(sqs, source)
    timer = threading.Timer(0.3, lambda: receive(sqs, source))
    timer.start()
    began = time.monotonic()
    assert len(receive(sqs, dlq, WaitTimeSeconds=20)) == 1
    assert time.monotonic() - began < 5
    timer.join()


def test_redrive_policy_needs_a_dead_letter_queue_that_is_there_of_the_same_type_and_lets_it(
    sqs: Any, new_queue: MakeQueue
) -> None:
    source, fifo = new_queue(), new_queue(FifoQueue="true")
    closed = new_queue(RedriveAllowPolicy={"redrivePermission": "denyAll"})
    named = new_queue(
        RedriveAllowPolicy={
            "redrivePermission": "byQueue",
            "sourceQueueArns": [attributes(sqs, source)["QueueArn"]],
        }
    )
    arns = [attributes(sqs, url)["QueueArn"] for url in (fifo, closed)]
    for arn in ("arn:aws:sqs:us-east-1:000000000000:nowhere", *arns):
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
        code, message = refused(sqs.set_queue_attributes, QueueUrl=source, Attributes={"RedrivePolicy": policy})
        assert code == "InvalidParameterValue" and "RedrivePolicy" in message
    policy = json.dumps({"deadLetterTargetArn": attributes(sqs, named)["QueueArn"], "maxReceiveCount": 1000})
    sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": policy})
    assert attributes(sqs, source)["RedrivePolicy"] == policy
    sqs.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": ""})
    assert "RedrivePolicy" not in attributes(sqs, source)


def wait_for_move(sqs: Any, arn: str, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        [task] = sqs.list_message_move_tasks(SourceArn=arn)["Results"]
        if task["Status"] == status:
            found: dict[str, Any] = task
            return found
        time.sleep(0.05)
    raise AssertionError(f"the task did not become {status}: {task}")


def kill(sqs: Any, source: str, *bodies: str) -> None:
    for body in bodies:
        sqs.send_message(QueueUrl=source, MessageBody=body)
    for _ in range(3):
        receive(sqs, source)


def test_move_task_brings_dead_letters_back_as_new_messages(sqs: Any, new_queue: MakeQueue) -> None:
    source, dlq, arn = dead_letter_pair(sqs, new_queue)
    kill(sqs, source, "a", "b")
    ids = {m["MessageId"] for m in receive(sqs, dlq, VisibilityTimeout=0)}
    sqs.start_message_move_task(SourceArn=arn)
    task = wait_for_move(sqs, arn, "COMPLETED")
    assert (task["ApproximateNumberOfMessagesMoved"], task["ApproximateNumberOfMessagesToMove"]) == (2, 2)
    assert "TaskHandle" not in task and "DestinationArn" not in task
    back = receive(sqs, source)
    assert sorted(m["Body"] for m in back) == ["a", "b"]
    assert not ids & {m["MessageId"] for m in back}
    assert all(m["Attributes"]["ApproximateReceiveCount"] == "1" for m in back)
    assert all("DeadLetterQueueSourceArn" not in m["Attributes"] for m in back)
    assert attributes(sqs, dlq)["ApproximateNumberOfMessages"] == "0"


def test_move_task_runs_at_its_rate_to_its_destination_alone_and_can_be_cancelled(
    sqs: Any, new_queue: MakeQueue
) -> None:
    source, dlq, arn = dead_letter_pair(sqs, new_queue)
    kill(sqs, source, *"abcdef")
    target = new_queue("-target")
    target_arn = attributes(sqs, target)["QueueArn"]
    handle = sqs.start_message_move_task(SourceArn=arn, DestinationArn=target_arn, MaxNumberOfMessagesPerSecond=1)[
        "TaskHandle"
    ]
    assert refused(sqs.start_message_move_task, SourceArn=arn)[0] == "InvalidParameterValue"
    task = wait_for_move(sqs, arn, "RUNNING")
    assert task["TaskHandle"] == handle
    assert (task["MaxNumberOfMessagesPerSecond"], task["DestinationArn"]) == (1, target_arn)
    moved = sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    assert 1 <= moved < 6
    assert wait_for_move(sqs, arn, "CANCELLED")["ApproximateNumberOfMessagesMoved"] == moved
    assert refused(sqs.cancel_message_move_task, TaskHandle=handle)[0] == "InvalidParameterValue"
    assert attributes(sqs, target)["ApproximateNumberOfMessages"] == str(moved)
    assert attributes(sqs, dlq)["ApproximateNumberOfMessages"] == str(6 - moved)


def test_move_task_that_cannot_go_on_fails_and_loses_nothing(sqs: Any, new_queue: MakeQueue) -> None:
    source, dlq, arn = dead_letter_pair(sqs, new_queue)
    sqs.send_message(QueueUrl=dlq, MessageBody="sent here directly")
    sqs.start_message_move_task(SourceArn=arn)
    assert wait_for_move(sqs, arn, "FAILED")["FailureReason"] == "CouldNotDetermineMessageSource"
    assert [m["Body"] for m in receive(sqs, dlq, VisibilityTimeout=0)] == ["sent here directly"]
    target = new_queue("-target")
    target_arn = attributes(sqs, target)["QueueArn"]
    sqs.delete_queue(QueueUrl=target)
    code, _ = refused(sqs.start_message_move_task, SourceArn=arn, DestinationArn=target_arn)
    assert code == "ResourceNotFoundException"
    assert refused(sqs.start_message_move_task, SourceArn=attributes(sqs, source)["QueueArn"]) == (
        "InvalidParameterValue",
        "Source queue must be configured as a Dead Letter Queue.",
    )
    assert refused(sqs.start_message_move_task, SourceArn="nonsense")[0] == "InvalidParameterValue"
    assert refused(sqs.cancel_message_move_task, TaskHandle="nonsense")[0] == "InvalidParameterValue"
    assert attributes(sqs, dlq)["ApproximateNumberOfMessages"] == "1"


def test_purge(sqs: Any, new_queue: MakeQueue) -> None:
    url = new_queue()
    sqs.send_message(QueueUrl=url, MessageBody="a")
    receive(sqs, url)
    sqs.send_message(QueueUrl=url, MessageBody="b")
    for _ in range(2):
        sqs.purge_queue(QueueUrl=url)
    found = attributes(sqs, url)
    assert found["ApproximateNumberOfMessages"] == found["ApproximateNumberOfMessagesNotVisible"] == "0"
