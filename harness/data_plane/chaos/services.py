"""What rules may name: services, their operations, and the errors that clients know."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import botocore.session
from botocore.model import ServiceModel

from harness.data_plane.queues.errors import SqsError

TARGETS = {b"AmazonSQS": "sqs", b"DynamoDB_20120810": "dynamodb", b"DynamoDBStreams_20120810": "dynamodbstreams"}
"""Services by the first part of the X-Amz-Target header."""
SERVICES = tuple(TARGETS.values())
NAMESPACES = {
    "sqs": "com.amazonaws.sqs",
    "dynamodb": "com.amazonaws.dynamodb.v20120810",
    "dynamodbstreams": "com.amazonaws.dynamodb.v20120810",
}
"""What the services put before an error's name in the JSON protocol."""
ELSEWHERE = {
    "s3": "S3 is MiniStack's, which no rule reaches",
    "logs": "CloudWatch Logs are MiniStack's, which no rule reaches",
    "lambda": "functions fail by themselves: a time-out, an exception or a killed process needs no rule",
}
"""Services of the engine that rules cannot name, and why."""
PARTIAL = {
    "dynamodb": frozenset({"BatchGetItem", "BatchWriteItem"}),
    "dynamodbstreams": frozenset[str](),
    "sqs": frozenset({"ChangeMessageVisibilityBatch", "DeleteMessageBatch", "SendMessageBatch"}),
}
"""The operations that can fail in part, by service."""
NAMING = {
    "sqs": frozenset({"QueueUrl", "QueueName", "SourceArn"}),
    "dynamodb": frozenset({"TableName", "TableArn", "RequestItems", "TransactItems", "ResourceArn"}),
    "dynamodbstreams": frozenset({"TableName", "StreamArn", "ShardIterator"}),
}
"""The members of requests that name a queue or a table, by service."""

_COMMON = {
    "AccessDeniedException": 400,
    "InternalFailure": 500,
    "InternalError": 500,
    "InternalServerError": 500,
    "OverLimit": 403,
    "RequestThrottled": 403,
    "ServiceUnavailable": 503,
    "SlowDown": 503,
    "Throttling": 400,
    "ThrottlingException": 400,
    "UnrecognizedClientException": 400,
}
"""HTTP status by code of errors that the models lack or give none for. Sources: "Common errors" of the API references
of DynamoDB and SQS, and DynamoDB's developer guide, "Error handling"."""


@dataclass(frozen=True)
class KnownError:
    """An error: its name in the JSON protocol, the code by which clients know it, its HTTP status."""

    shape: str
    code: str
    status: int


@cache
def _model(service: str) -> ServiceModel:
    model: ServiceModel = botocore.session.get_session().get_service_model(service)
    return model


def operations(service: str) -> frozenset[str]:
    """Return the names of a service's operations."""
    return frozenset(_model(service).operation_names)


def names_resource(service: str, operation: str) -> bool:
    """Return whether a request of an operation can name a queue or a table."""
    shape = _model(service).operation_model(operation).input_shape
    return shape is not None and not NAMING[service].isdisjoint(shape.members)


def known_error(service: str, name: str) -> KnownError | None:
    """Return the error that a service's model or the common errors know by a shape's name or a code, or None."""
    for shape in _model(service).error_shapes:
        sqs = SqsError(shape.name, "") if service == "sqs" else None
        if name not in (shape.name, sqs.code if sqs else ""):
            continue
        usual = sqs.status if sqs else 500 if shape.metadata.get("fault") else 400
        return KnownError(shape.name, sqs.code if sqs else shape.name, _COMMON.get(shape.name, usual))
    return KnownError(name, name, _COMMON[name]) if name in _COMMON else None
