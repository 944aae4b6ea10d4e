"""Queues of a stack on our own service: CloudFormation says what they are, the service is what they are used on.

MiniStack's CloudFormation creates every `AWS::SQS::Queue` in MiniStack, and so resolves their names and ARNs for the
rest of the template. These twins are used for one thing: bucket notifications can go nowhere else. What arrives in
one is passed on to the queue of the same name on the service; everyone else sees that one only.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from harness.errors import EngineError, TemplateError

_log = logging.getLogger(__name__)

QUEUE, BUCKET = "AWS::SQS::Queue", "AWS::S3::Bucket"
ATTRIBUTES = frozenset(
    {
        "ContentBasedDeduplication",
        "DeduplicationScope",
        "DelaySeconds",
        "FifoQueue",
        "FifoThroughputLimit",
        "KmsDataKeyReusePeriodSeconds",
        "KmsMasterKeyId",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "ReceiveMessageWaitTimeSeconds",
        "RedriveAllowPolicy",
        "RedrivePolicy",
        "SqsManagedSseEnabled",
        "VisibilityTimeout",
    }
)
"""Properties that are attributes of the same name."""
PROPERTIES = ATTRIBUTES | {"QueueName", "Tags"}
"""Every property of AWS::SQS::Queue in the CloudFormation reference; all of them are implemented."""
_LATER = ("RedrivePolicy", "RedriveAllowPolicy", "Policy")
"""Set when all queues of the stack are there, because they name other queues."""
_POLL_SECONDS = 5
_PAUSE_SECONDS = 1.0


def check_queues(resources: Mapping[str, Any]) -> None:
    """Raise TemplateError for a property of a queue that CloudFormation does not have."""
    for logical_id, resource in resources.items():
        if resource["Type"] != QUEUE:
            continue
        unknown = sorted(set(resource.get("Properties") or {}) - PROPERTIES)
        if unknown:
            raise TemplateError(
                f"{logical_id}: {QUEUE} has no property {', '.join(unknown)}",
                hint=f"it has: {', '.join(sorted(PROPERTIES))}",
            )


class StackQueues:
    """The queues of all stacks: `twins` is MiniStack's SQS client, `queues` the service's.

    Queues that are there already, kept by the service from an earlier engine, are found again with their messages.
    """

    def __init__(self, cloudformation: Any, s3: Any, twins: Any, queues: Any) -> None:
        self._cloudformation = cloudformation
        self._s3 = s3
        self._twins = twins
        self._queues = queues
        self._urls: dict[str, dict[str, str]] = {}
        self._found: set[str] = set()
        self._bridges: dict[str, list[NotificationBridge]] = {}

    def create(self, stack_name: str, resources: Mapping[str, Any], outputs: Mapping[str, str]) -> dict[str, str]:
        """Create or find a deployed stack's queues on the service; returns its outputs with their URLs.

        `resources` are the template's. Raises EngineError for what the service refuses, and for a queue that was made
        with other attributes.
        """
        try:
            made = self._cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
            physical = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in made}
            urls: dict[str, str] = {}
            self._urls[stack_name] = urls
            later: dict[str, dict[str, str]] = {}
            for logical_id, resource in resources.items():
                if resource["Type"] == QUEUE and logical_id in physical:
                    twin = physical[logical_id]
                    urls[twin], later[twin] = self._create(twin, resource.get("Properties") or {})
            for twin, rest in later.items():
                if rest:
                    self._queues.set_queue_attributes(QueueUrl=urls[twin], Attributes=rest)
            buckets = [physical[k] for k, r in resources.items() if r["Type"] == BUCKET and k in physical]
            self._bridge(stack_name, buckets)
        except (ClientError, BotoCoreError) as error:
            self.roll_back(stack_name)
            raise EngineError(f"the queues of stack {stack_name} were not created: {error}") from error
        return {key: _with_urls(value, urls) for key, value in outputs.items()}

    def roll_back(self, stack_name: str) -> None:
        """Delete what `create` made of a stack, and no queue that was there before."""
        self._delete(stack_name, self._found)

    def delete(self, stack_name: str) -> None:
        """Delete a stack's queues and end what passes notifications on to them."""
        self._delete(stack_name, frozenset())

    def _delete(self, stack_name: str, spared: Collection[str]) -> None:
        for bridge in self._bridges.pop(stack_name, ()):
            bridge.stop()
        for url in self._urls.pop(stack_name, {}).values():
            if url in spared:
                continue
            self._found.discard(url)
            try:
                self._queues.delete_queue(QueueUrl=url)
            except self._queues.exceptions.QueueDoesNotExist:
                _log.info("queue %s of stack %s was deleted before", url, stack_name)

    def stop(self) -> None:
        """End what passes notifications on."""
        for bridges in self._bridges.values():
            for bridge in bridges:
                bridge.stop()
        self._bridges.clear()

    def _create(self, twin: str, properties: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """Create one queue; returns its URL and the attributes that must wait for the others."""
        found = self._twins.get_queue_attributes(QueueUrl=twin, AttributeNames=["All"])["Attributes"]
        # Only what the template says: the twin's defaults are not the service's.
        given = {k: v for k, v in found.items() if (k in ATTRIBUTES and k in properties) or k == "Policy"}
        later = {k: given.pop(k) for k in _LATER if k in given}
        if given.get("FifoQueue") == "false":
            del given["FifoQueue"]
        tags = self._twins.list_queue_tags(QueueUrl=twin).get("Tags", {})
        name = twin.rsplit("/", 1)[-1]
        try:
            self._found.add(str(self._queues.get_queue_url(QueueName=name)["QueueUrl"]))
        except self._queues.exceptions.QueueDoesNotExist:
            _log.debug("queue %s is new", name)
        url: str = self._queues.create_queue(QueueName=name, Attributes=given, tags=tags)["QueueUrl"]
        return url, later

    def _bridge(self, stack_name: str, buckets: Sequence[str]) -> None:
        arns = {
            configured["QueueArn"]
            for bucket in buckets
            for configured in self._s3.get_bucket_notification_configuration(Bucket=bucket).get(
                "QueueConfigurations", []
            )
        }
        bridges = self._bridges.setdefault(stack_name, [])
        for arn in sorted(arns):
            bridge = NotificationBridge(arn.rsplit(":", 1)[-1], self._twins, self._queues)
            bridge.start()
            bridges.append(bridge)


class NotificationBridge:
    """Passes on what a bucket's notifications put into one twin. At least once, as S3 delivers them."""

    def __init__(self, name: str, twins: Any, queues: Any) -> None:
        self._name = name
        self._twins = twins
        self._queues = queues
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"notifications to {name}", daemon=True)

    def start(self) -> None:
        """Start to pass on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the poll that goes on; does not wait for it."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._pass_on()
            except (ClientError, BotoCoreError) as error:
                if not self._ended.is_set():
                    _log.warning("notifications to %s: %s", self._name, error)
                    self._ended.wait(_PAUSE_SECONDS)

    def _pass_on(self) -> None:
        answer = self._twins.receive_message(QueueUrl=self._name, MaxNumberOfMessages=10, WaitTimeSeconds=_POLL_SECONDS)
        for message in answer.get("Messages", []):
            self._queues.send_message(QueueUrl=self._name, MessageBody=message["Body"])
            self._twins.delete_message(QueueUrl=self._name, ReceiptHandle=message["ReceiptHandle"])


def _with_urls(value: str, urls: Mapping[str, str]) -> str:
    """Return an output's value with the URLs of twins replaced; the longest first, one may begin with another."""
    for twin in sorted(urls, key=len, reverse=True):
        value = value.replace(twin, urls[twin])
    return value
