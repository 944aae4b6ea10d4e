"""Queues as boto3 sees them: names, attributes, tags, permissions."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.unit.data_plane.queues.api import MakeQueue, attributes, receive, refused


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
