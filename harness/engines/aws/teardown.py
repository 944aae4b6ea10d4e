"""Takes a stack down with all that CloudFormation leaves: retained buckets and tables, log groups, the package."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from harness.engines.clients import Clients
from harness.engines.stacks import describe_stack, empty_bucket
from harness.errors import EngineError

DELETE_SECONDS = 900.0
"""A stack with functions takes a minute or two; a bucket of many versions longer."""

_POLL_SECONDS = 2.0

_GONE = (
    "NoSuchBucket",
    "NoSuchKey",
    "ResourceNotFoundException",
    "ResourceNotFound",
    "TableNotFoundException",
    "QueueDoesNotExist",
    "NonExistentQueue",
    "NoSuchEntity",
    "404",
)
"""Codes, or their ends, by which services say that something does not exist."""


@dataclass(frozen=True)
class Resource:
    """Something that a deployment made: what it is, as CloudFormation's types say, and its physical name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.removeprefix('AWS::')} {self.name}"


class Teardown:
    """Removes stacks and resources; every step is tried, whatever became of those before.

    `left` are the resources that could not be removed, and why; empty when all are gone.
    """

    def __init__(self, clients: Clients, *, seconds: float = DELETE_SECONDS, pause: float = _POLL_SECONDS) -> None:
        self._clients = clients
        self._seconds, self._pause = seconds, pause
        self.left: dict[Resource, str] = {}

    def stack(self, name: str, tag: Mapping[str, str] | None = None) -> None:
        """Remove a stack and everything that it made or is left of it; a stack that is not there is none to remove.

        With a `tag` (Key and Value) only where the stack carries it: another may have its name by now.
        """
        stack = Resource("AWS::CloudFormation::Stack", name)
        if tag is not None:
            there = self._attempt(stack, lambda: describe_stack(self._clients, name))
            if there is None or tag not in there.get("Tags", []):
                return
        made = self._attempt(stack, lambda: list(self._resources(name))) or []
        self._attempt(stack, lambda: self._delete_stack(name))
        self.resources([r for r in made if r.kind in _REMOVERS])

    def resources(self, resources: Sequence[Resource]) -> None:
        """Remove resources that no stack has any more."""
        for resource in resources:
            self._attempt(resource, lambda r=resource: _REMOVERS[r.kind](self, r.name))  # type: ignore[misc]

    def _attempt(self, resource: Resource, step: Callable[[], Any]) -> Any:
        try:
            done = step()
        except (BotoCoreError, ClientError, EngineError) as error:
            if isinstance(error, ClientError) and _is_gone(error):
                self.left.pop(resource, None)
                return None
            self.left[resource] = str(error)
            return None
        return done

    def _resources(self, stack: str) -> Iterator[Resource]:
        cloudformation = self._clients.get("cloudformation")
        try:
            for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
                for one in page["StackResourceSummaries"]:
                    if one.get("PhysicalResourceId"):
                        yield Resource(one["ResourceType"], one["PhysicalResourceId"])
        except ClientError as error:
            if "does not exist" not in str(error):
                raise

    def _delete_stack(self, name: str) -> None:
        cloudformation = self._clients.get("cloudformation")
        cloudformation.delete_stack(StackName=name)

        def gone() -> bool:
            stack = describe_stack(self._clients, name)
            if stack is None:
                return True
            if stack["StackStatus"] == "DELETE_FAILED":
                raise EngineError(f"CloudFormation cannot delete it: {stack.get('StackStatusReason', '')}")
            return bool(stack["StackStatus"] == "DELETE_COMPLETE")

        self._wait(gone, "its deletion")

    def _bucket(self, name: str) -> None:
        empty_bucket(self._clients, name)
        self._clients.get("s3").delete_bucket(Bucket=name)

    def _table(self, name: str) -> None:
        dynamodb = self._clients.get("dynamodb")
        self._wait(lambda: self._table_is_gone(dynamodb, name), "its deletion")

    def _table_is_gone(self, dynamodb: Any, name: str) -> bool:
        try:
            status = dynamodb.describe_table(TableName=name)["Table"]["TableStatus"]
            if status != "DELETING":
                dynamodb.delete_table(TableName=name)
        except ClientError as error:
            if _is_gone(error):
                return True
            # In the midst of being made or changed it cannot be deleted yet (API reference, DeleteTable).
            if _code(error) != "ResourceInUseException":
                raise
        return False

    def _log_group(self, name: str) -> None:
        self._clients.get("logs").delete_log_group(logGroupName=name)

    def _queue(self, url: str) -> None:
        self._clients.get("sqs").delete_queue(QueueUrl=url)

    def _function(self, name: str) -> None:
        self._clients.get("lambda").delete_function(FunctionName=name)

    def _wait(self, over: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._seconds
        while not over():
            if time.monotonic() > deadline:
                raise EngineError(f"{what} took longer than {self._seconds:g} s")
            time.sleep(self._pause)


_REMOVERS: dict[str, Callable[[Teardown, str], None]] = {
    "AWS::CloudFormation::Stack": Teardown._delete_stack,
    "AWS::S3::Bucket": Teardown._bucket,
    "AWS::DynamoDB::Table": Teardown._table,
    "AWS::Logs::LogGroup": Teardown._log_group,
    "AWS::SQS::Queue": Teardown._queue,
    "AWS::Lambda::Function": Teardown._function,
}
"""What is removed by itself: what the template retains, and what a stack that failed to be deleted may have left."""

REMOVABLE = tuple(_REMOVERS)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _is_gone(error: ClientError) -> bool:
    return _code(error).endswith(_GONE)
