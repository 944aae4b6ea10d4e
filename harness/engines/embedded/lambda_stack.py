"""Turns the resolved Lambda half of a template into what the Lambda service runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.engines.embedded.intrinsics import Resolver
from harness.engines.embedded.template_split import Context, Split, function_arn
from harness.errors import TemplateError
from harness.lambda_service.mapping_properties import RESOURCE_TYPE as MAPPING_TYPE
from harness.lambda_service.mapping_properties import build_mappings
from harness.lambda_service.model import (
    MAX_TIMEOUT_SECONDS,
    AsyncConfig,
    Function,
    NotificationQueue,
    NotificationRoute,
    StackConfig,
)

FetchCode = Callable[[str, Mapping[str, Any]], Path]
"""Given a function's logical id and its resolved Code property, returns the folder of the unpacked package."""

QueueUrl = Callable[[str], str]
"""Given a queue's ARN, returns its URL."""


def build_stack(
    halves: Split,
    resolve: Resolver,
    context: Context,
    *,
    fetch_code: FetchCode,
    queue_url: QueueUrl,
    notification_queue_url: str,
) -> StackConfig:
    """Return the stack's configuration; raises TemplateError for values that AWS would refuse."""
    by_type: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for logical_id, resource in halves.lambda_resources.items():
        properties = resolve.resolve(resource.get("Properties", {}))
        by_type.setdefault(resource["Type"], []).append((logical_id, properties))
    functions = [
        _function(logical_id, halves.names[logical_id], p, context, fetch_code)
        for logical_id, p in by_type.get("AWS::Lambda::Function", [])
    ]
    queues, streams = build_mappings(by_type.get(MAPPING_TYPE, []), [f.name for f in functions], queue_url)
    routes = [
        _route(bucket_id, resolve.resolve(item), resolve)
        for bucket_id, items in halves.notifications.items()
        for item in items
    ]
    return StackConfig(
        name=context.stack_name,
        functions=tuple(functions),
        async_configs=tuple(_async_config(p) for _, p in by_type.get("AWS::Lambda::EventInvokeConfig", [])),
        sqs_mappings=queues,
        stream_mappings=streams,
        notification_queues=(NotificationQueue(notification_queue_url, tuple(routes)),) if routes else (),
    )


def _function(
    logical_id: str, name: str, properties: Mapping[str, Any], context: Context, fetch_code: FetchCode
) -> Function:
    timeout = int(properties.get("Timeout", 3))
    memory = int(properties.get("MemorySize", 128))
    if not 1 <= timeout <= MAX_TIMEOUT_SECONDS:
        raise TemplateError(f"{logical_id}: Timeout is {timeout} s, allowed are 1 to {MAX_TIMEOUT_SECONDS}")
    if not 128 <= memory <= 10_240:
        raise TemplateError(f"{logical_id}: MemorySize is {memory} MB, allowed are 128 to 10240")
    reserved = properties.get("ReservedConcurrentExecutions")
    variables = properties.get("Environment", {}).get("Variables", {})
    return Function(
        name=name,
        arn=function_arn(name, context),
        handler=properties["Handler"],
        code_dir=str(fetch_code(logical_id, properties["Code"])),
        runtime=properties.get("Runtime", "python3.13"),
        timeout=timeout,
        memory_mb=memory,
        environment={str(k): str(v) for k, v in variables.items()},
        log_group=properties.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{name}"),
        reserved_concurrency=None if reserved is None else int(reserved),
    )


def _async_config(properties: Mapping[str, Any]) -> AsyncConfig:
    destinations = properties.get("DestinationConfig", {})
    return AsyncConfig(
        function=_name_of(properties["FunctionName"]),
        max_retries=int(properties.get("MaximumRetryAttempts", 2)),
        max_age_seconds=int(properties.get("MaximumEventAgeInSeconds", 21_600)),
        on_failure_arn=_queue_arn(destinations.get("OnFailure", {}).get("Destination", "")),
        on_success_arn=_queue_arn(destinations.get("OnSuccess", {}).get("Destination", "")),
    )


def _route(bucket_id: str, item: Mapping[str, Any], resolve: Resolver) -> NotificationRoute:
    rules = {rule["Name"].lower(): rule["Value"] for rule in item.get("Filter", {}).get("S3Key", {}).get("Rules", [])}
    return NotificationRoute(
        bucket=str(resolve.resolve({"Ref": bucket_id})),
        function=_name_of(item["Function"]),
        events=(item["Event"],),
        prefix=rules.get("prefix", ""),
        suffix=rules.get("suffix", ""),
    )


def _name_of(reference: str) -> str:
    return reference.rsplit(":function:", maxsplit=1)[-1].split(":", maxsplit=1)[0]


def _queue_arn(arn: str) -> str:
    if arn and ":sqs:" not in arn:
        raise TemplateError(f"destination {arn} is not an SQS queue; the embedded engine sends to queues only")
    return arn
