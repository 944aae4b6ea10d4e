"""Queue attributes: which there are, which values they may have, what they mean for messages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from harness.data_plane.queues import limits
from harness.data_plane.queues.errors import SqsError, invalid, invalid_value
from harness.data_plane.queues.queue import QueueConfig, Redrive

FIFO_SUFFIX = ".fifo"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_RANGES = {
    "DelaySeconds": (0, limits.DELAY_SECONDS),
    "MaximumMessageSize": (1024, limits.MESSAGE_BYTES),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, limits.WAIT_SECONDS),
    "VisibilityTimeout": (0, limits.VISIBILITY_SECONDS),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
_BOOLEANS = {"FifoQueue", "ContentBasedDeduplication", "SqsManagedSseEnabled"}
_CHOICES = {
    "DeduplicationScope": ("messageGroup", "queue"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
}
_DOCUMENTS = {"Policy", "RedrivePolicy", "RedriveAllowPolicy"}
_FREE = {"KmsMasterKeyId"}
SETTABLE = frozenset({*_RANGES, *_BOOLEANS, *_CHOICES, *_DOCUMENTS, *_FREE})
COUNTED = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
COMPUTED = frozenset({*COUNTED, "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn"})
READABLE = SETTABLE | COMPUTED | {"All"}
_FIFO_ONLY = {"ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"}
_GONE_WHEN = {
    "KmsMasterKeyId": "",
    "KmsDataKeyReusePeriodSeconds": "300",
    "Policy": "",
    "RedrivePolicy": "",
    "RedriveAllowPolicy": "",
}
"""Set to these values an attribute is removed, and no longer listed."""
DEFAULTS = {
    "DelaySeconds": "0",
    "MaximumMessageSize": str(limits.MESSAGE_BYTES),
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
    "SqsManagedSseEnabled": "true",
}
FIFO_DEFAULTS = {"ContentBasedDeduplication": "false", "DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"}


def check_name(name: str, *, fifo: bool) -> None:
    """Raise SqsError for a queue name that SQS does not take."""
    stem = name.removesuffix(FIFO_SUFFIX) if fifo else name
    if fifo and not (name.endswith(FIFO_SUFFIX) and len(name) <= 80 and _NAME.fullmatch(stem)):
        raise invalid(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
            "must end with .fifo suffix and be 1 to 80 in length."
        )
    if not _NAME.fullmatch(stem):
        raise invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")


def initial(given: Mapping[str, str], *, fifo: bool) -> dict[str, str]:
    """Return the attributes of a new queue; raises SqsError."""
    attributes = {**DEFAULTS, **({**FIFO_DEFAULTS, "FifoQueue": "true"} if fifo else {})}
    return merged(attributes, given, fifo=fifo, creating=True)


def merged(
    present: Mapping[str, str], given: Mapping[str, str], *, fifo: bool, creating: bool = False
) -> dict[str, str]:
    """Return a queue's attributes after `given` were set; raises SqsError naming the first that is wrong."""
    attributes = dict(present)
    for name, value in given.items():
        _check(name, value, fifo=fifo, creating=creating)
        if _GONE_WHEN.get(name) == value:
            attributes.pop(name, None)
        elif name in _BOOLEANS:
            attributes[name] = value.lower()
        elif name in _RANGES:
            attributes[name] = str(int(value))
        else:
            attributes[name] = value
    _check_encryption(attributes, given)
    if (
        attributes.get("FifoThroughputLimit") == "perMessageGroupId"
        and attributes["DeduplicationScope"] != "messageGroup"
    ):
        raise SqsError(
            "InvalidAttributeValue",
            "The DeduplicationScope must be set to messageGroup when FifoThroughputLimit is set to perMessageGroupId.",
        )
    return attributes


def config_of(attributes: Mapping[str, str]) -> QueueConfig:
    """Return what checked attributes mean for a queue's messages."""
    redrive = None
    if "RedrivePolicy" in attributes:
        policy = json.loads(attributes["RedrivePolicy"])
        redrive = Redrive(str(policy["deadLetterTargetArn"]), int(policy["maxReceiveCount"]))
    return QueueConfig(
        visibility=int(attributes["VisibilityTimeout"]) * 1000,
        delay=int(attributes["DelaySeconds"]) * 1000,
        retention=int(attributes["MessageRetentionPeriod"]) * 1000,
        wait=int(attributes["ReceiveMessageWaitTimeSeconds"]) * 1000,
        max_bytes=int(attributes["MaximumMessageSize"]),
        redrive=redrive,
        fifo=attributes.get("FifoQueue") == "true",
        content_deduplication=attributes.get("ContentBasedDeduplication") == "true",
        group_deduplication=attributes.get("DeduplicationScope") == "messageGroup",
    )


def may_redrive(target: Mapping[str, str], source_arn: str) -> bool:
    """Return whether a dead-letter queue with attributes `target` lets a queue use it (its RedriveAllowPolicy)."""
    if "RedriveAllowPolicy" not in target:
        return True
    policy = json.loads(target["RedriveAllowPolicy"])
    permission = policy["redrivePermission"]
    return permission == "allowAll" or (permission == "byQueue" and source_arn in policy["sourceQueueArns"])


def differing(present: Mapping[str, str], given: Mapping[str, str]) -> str | None:
    """Return the name of an attribute in `given` that an existing queue has otherwise; None when there is none."""
    for name, value in given.items():
        ours = present.get(name, _GONE_WHEN.get(name))
        if ours is None or _meaning(name, ours) != _meaning(name, value):
            return name
    return None


def _meaning(name: str, value: str) -> object:
    """Return what a checked value means, whatever its spelling."""
    if name in _DOCUMENTS and value:
        return json.loads(value)
    if name in _RANGES:
        return int(value)
    return value.lower() if name in _BOOLEANS else value


def _check(name: str, value: str, *, fifo: bool, creating: bool) -> None:
    if name not in SETTABLE or (name == "FifoQueue" and not creating and not fifo):
        raise SqsError("InvalidAttributeName", f"Unknown Attribute {name}.")
    if name == "FifoQueue":
        if value.lower() != "true":
            if creating:
                raise SqsError("InvalidAttributeName", f"Unknown Attribute {name}.")
            reason = "Modifying queue type is not supported."
            raise SqsError("InvalidAttributeValue", f"Invalid value for the parameter {name}. Reason: {reason}")
        return
    if name in _FIFO_ONLY and not fifo:
        if name == "ContentBasedDeduplication":
            raise SqsError("InvalidAttributeName", f"Unknown Attribute {name}.")
        raise SqsError("InvalidAttributeName", f"You can specify the {name} only when FifoQueue is set to true.")
    if name in _RANGES:
        low, high = _RANGES[name]
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise _bad_value(name)
    elif (name in _BOOLEANS and value.lower() not in ("true", "false")) or (
        name in _CHOICES and value not in _CHOICES[name]
    ):
        raise _bad_value(name)
    elif name in _DOCUMENTS and value:
        _check_document(name, value)


def _check_document(name: str, value: str) -> None:
    try:
        document = json.loads(value)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        if name == "Policy":
            raise _bad_value(name)
        raise invalid_value(value, name, "Redrive policy is not a valid JSON map.")
    if name == "RedrivePolicy":
        _check_redrive(value, document)
    elif name == "RedriveAllowPolicy":
        _check_allow(value, document)


def _check_redrive(value: str, policy: Mapping[str, Any]) -> None:
    unknown = sorted(set(policy) - {"deadLetterTargetArn", "maxReceiveCount"})
    if unknown:
        raise invalid_value(value, "RedrivePolicy", f"Unknown field {unknown[0]}.")
    for needed in ("deadLetterTargetArn", "maxReceiveCount"):
        if needed not in policy:
            raise invalid_value(
                value, "RedrivePolicy", f"Redrive policy does not contain mandatory attribute: {needed}."
            )
    arn = policy["deadLetterTargetArn"]
    if not isinstance(arn, str) or not re.fullmatch(r"arn:[^:]+:sqs:[^:]+:[^:]+:[^:]+", arn):
        raise invalid_value(value, "RedrivePolicy", "Invalid value for deadLetterTargetArn.")
    count = policy["maxReceiveCount"]
    if isinstance(count, bool) or not re.fullmatch(r"[0-9]{1,4}", str(count)) or not 1 <= int(count) <= 1000:
        raise invalid_value(
            value,
            "RedrivePolicy",
            f"Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both inclusive.",
        )


def _check_allow(value: str, policy: Mapping[str, Any]) -> None:
    permission = policy.get("redrivePermission")
    if permission not in ("allowAll", "denyAll", "byQueue"):
        raise invalid_value(value, "RedriveAllowPolicy", "Invalid value for redrivePermission.")
    arns = policy.get("sourceQueueArns")
    if permission == "byQueue":
        if not isinstance(arns, list) or not 1 <= len(arns) <= 10 or not all(isinstance(a, str) for a in arns):
            raise invalid_value(value, "RedriveAllowPolicy", "sourceQueueArns must be a list of 1 to 10 queue ARNs.")
    elif arns:
        raise invalid_value(value, "RedriveAllowPolicy", f"sourceQueueArns is not allowed with {permission}.")


def _check_encryption(attributes: dict[str, str], given: Mapping[str, str]) -> None:
    """A queue is encrypted by KMS or by SQS, not by both; setting one ends the other."""
    if "KmsMasterKeyId" not in attributes:
        return
    if given.get("SqsManagedSseEnabled", "").lower() == "true":
        if given.get("KmsMasterKeyId"):
            raise SqsError(
                "InvalidAttributeName",
                "You can use one type of server-side encryption (SSE) at one time. "
                "You can either enable KMS SSE or SQS SSE.",
            )
        attributes.pop("KmsMasterKeyId")
        attributes.pop("KmsDataKeyReusePeriodSeconds", None)
    else:
        attributes["SqsManagedSseEnabled"] = "false"


def _bad_value(name: str) -> SqsError:
    return SqsError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
