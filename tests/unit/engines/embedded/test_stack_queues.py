"""A stack's queues on the service, and what passes notifications on: against two services of our own as both sides."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from harness.engines.embedded.stack_queues import PROPERTIES, QUEUE, StackQueues, check_queues
from harness.errors import EngineError, TemplateError
from tests.unit.data_plane.queues.conftest import new_queue, service_url, sqs  # noqa: F401


class CloudFormation:
    def __init__(self) -> None:
        self.physical: dict[str, str] = {}

    def describe_stack_resources(self, StackName: str) -> dict[str, Any]:
        return {"StackResources": [{"LogicalResourceId": k, "PhysicalResourceId": v} for k, v in self.physical.items()]}


class Buckets:
    def __init__(self) -> None:
        self.arns: list[str] = []

    def get_bucket_notification_configuration(self, Bucket: str) -> dict[str, Any]:
        return {"QueueConfigurations": [{"QueueArn": arn} for arn in self.arns]} if self.arns else {}


class Renamed:
    """The service with other names, so that one service can be both sides."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self.exceptions = client.exceptions

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            if "QueueUrl" in arguments:
                head, slash, name = arguments["QueueUrl"].rpartition("/")
                given = name if name.startswith(self._prefix) else self._prefix + name
                arguments["QueueUrl"] = head + slash + given
            if "QueueName" in arguments:
                arguments["QueueName"] = self._prefix + arguments["QueueName"]
            if "Attributes" in arguments:
                text = json.dumps(arguments["Attributes"]).replace("000000:", f"000000:{self._prefix}")
                arguments["Attributes"] = json.loads(text)
            return getattr(self._client, operation)(**arguments)

        return call


@pytest.fixture
def sides(sqs: Any) -> Iterator[tuple[StackQueues, CloudFormation, Buckets, Any, Any]]:  # noqa: F811
    cloudformation, buckets, service = CloudFormation(), Buckets(), Renamed(sqs, "ours-")
    queues = StackQueues(cloudformation, buckets, sqs, service)
    yield queues, cloudformation, buckets, sqs, service
    queues.stop()
    queues.delete("stack")
    for url in cloudformation.physical.values():
        if "/" in url:
            sqs.delete_queue(QueueUrl=url)


Sides = tuple[StackQueues, CloudFormation, Buckets, Any, Any]


def test_queues_have_what_the_template_says_and_the_services_own_defaults(sides: Sides) -> None:
    queues, cloudformation, _, twins, service = sides
    dlq = twins.create_queue(QueueName="twin-dlq", Attributes={"MaximumMessageSize": "2048"})["QueueUrl"]
    policy = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:twin-dlq", "maxReceiveCount": 3}
    attributes = {
        "VisibilityTimeout": "7",
        "MaximumMessageSize": "4096",
        "RedrivePolicy": json.dumps(policy),
        "Policy": '{"Statement": []}',
    }
    source = twins.create_queue(QueueName="twin", Attributes=attributes, tags={"a": "b"})["QueueUrl"]
    cloudformation.physical = {"Source": source, "Dlq": dlq}
    resources = {
        # The source comes first, and needs the other.
        "Source": {"Type": QUEUE, "Properties": {"VisibilityTimeout": 7, "RedrivePolicy": policy, "Tags": []}},
        "Dlq": {"Type": QUEUE},
        "Dropped": {"Type": QUEUE, "Condition": "Never"},
    }
    outputs = queues.create("stack", resources, {"Url": source, "Both": f"{source},{dlq}", "Other": "x"})
    ours = source.replace("/twin", "/ours-twin")
    assert outputs == {"Url": ours, "Both": f"{ours},{dlq.replace('/twin', '/ours-twin')}", "Other": "x"}
    found = twins.get_queue_attributes(QueueUrl=ours, AttributeNames=["All"])["Attributes"]
    assert (found["VisibilityTimeout"], found["MaximumMessageSize"]) == ("7", "1048576")
    assert json.loads(found["RedrivePolicy"])["deadLetterTargetArn"].endswith(":ours-twin-dlq")
    assert found["Policy"] == '{"Statement": []}'
    assert twins.list_queue_tags(QueueUrl=ours)["Tags"] == {"a": "b"}
    queues.delete("stack")
    for name in ("ours-twin", "ours-twin-dlq"):
        with pytest.raises(twins.exceptions.QueueDoesNotExist):
            twins.get_queue_url(QueueName=name)
    assert service is not None


def test_notifications_are_passed_on_until_the_stack_goes(sides: Sides) -> None:
    queues, cloudformation, buckets, twins, _ = sides
    url = twins.create_queue(QueueName="notified")["QueueUrl"]
    cloudformation.physical = {"Queue": url, "Bucket": "bucket"}
    buckets.arns = ["arn:aws:sqs:us-east-1:000000000000:notified"]
    queues.create("stack", {"Queue": {"Type": QUEUE}, "Bucket": {"Type": "AWS::S3::Bucket"}}, {})
    for number in range(12):
        twins.send_message(QueueUrl=url, MessageBody=f"event {number}")
    got: list[str] = []
    deadline = time.monotonic() + 20
    while len(got) < 12 and time.monotonic() < deadline:
        answer = twins.receive_message(
            QueueUrl=url.replace("/notified", "/ours-notified"), MaxNumberOfMessages=10, WaitTimeSeconds=1
        )
        got += [m["Body"] for m in answer.get("Messages", [])]
    assert sorted(got) == sorted(f"event {number}" for number in range(12))


def test_queues_that_the_service_refuses_leave_nothing_behind(sides: Sides) -> None:
    queues, cloudformation, _, twins, service = sides
    service.create_queue(QueueName="taken", Attributes={"DelaySeconds": "5"})
    free = twins.create_queue(QueueName="free")["QueueUrl"]
    taken = twins.create_queue(QueueName="taken", Attributes={"DelaySeconds": "1"})["QueueUrl"]
    cloudformation.physical = {"Free": free, "Taken": taken}
    resources = {"Free": {"Type": QUEUE}, "Taken": {"Type": QUEUE, "Properties": {"DelaySeconds": 1}}}
    with pytest.raises(EngineError, match="different value for attribute DelaySeconds"):
        queues.create("stack", resources, {})
    with pytest.raises(twins.exceptions.QueueDoesNotExist):
        twins.get_queue_url(QueueName="ours-free")
    service.delete_queue(QueueUrl=taken)


def test_properties_are_those_of_cloudformations_schema() -> None:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", QUEUE).schema
    readonly = {p.removeprefix("/properties/") for p in schema["readOnlyProperties"]}
    assert set(schema["properties"]) - readonly == PROPERTIES


def test_property_that_cloudformation_does_not_have_is_refused_by_name() -> None:
    check_queues({"Q": {"Type": QUEUE, "Properties": {"QueueName": "q", "Tags": []}}, "Other": {"Type": "X"}})
    with pytest.raises(TemplateError, match="Q: AWS::SQS::Queue has no property VisibilityTimeOut"):
        check_queues({"Q": {"Type": QUEUE, "Properties": {"VisibilityTimeOut": 1}}})


def test_queues_that_were_kept_are_found_with_their_messages_and_spared_by_a_rollback(sides: Sides) -> None:
    queues, cloudformation, _, twins, service = sides
    url = twins.create_queue(QueueName="kept", Attributes={"DelaySeconds": "0"})["QueueUrl"]
    other = twins.create_queue(QueueName="other")["QueueUrl"]
    cloudformation.physical = {"Kept": url, "Other": other}
    resources: dict[str, Any] = {"Kept": {"Type": QUEUE}}
    ours = queues.create("stack", resources, {"Url": url})["Url"]
    twins.send_message(QueueUrl=ours, MessageBody="still here")

    again = StackQueues(cloudformation, Buckets(), twins, service)
    assert again.create("stack", {**resources, "Other": {"Type": QUEUE}}, {"Url": url}) == {"Url": ours}
    again.roll_back("stack")
    assert twins.receive_message(QueueUrl=ours)["Messages"][0]["Body"] == "still here"
    with pytest.raises(twins.exceptions.QueueDoesNotExist):
        twins.get_queue_url(QueueName="ours-other")


def test_queue_that_was_kept_with_other_attributes_is_refused_and_left_alone(sides: Sides) -> None:
    queues, cloudformation, _, twins, service = sides
    url = twins.create_queue(QueueName="kept", Attributes={"DelaySeconds": "1"})["QueueUrl"]
    cloudformation.physical = {"Kept": url}
    resources = {"Kept": {"Type": QUEUE, "Properties": {"DelaySeconds": 1}}}
    service.create_queue(QueueName="kept", Attributes={"DelaySeconds": "5"})
    with pytest.raises(EngineError, match="a different value for attribute DelaySeconds"):
        queues.create("stack", resources, {})
    assert twins.get_queue_url(QueueName="ours-kept")
    service.delete_queue(QueueUrl=url)
