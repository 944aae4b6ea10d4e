"""Turns the resolved Lambda half of a template into what the Lambda service runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.engines.templates.intrinsics import Resolver
from harness.engines.templates.properties import check_properties
from harness.engines.templates.split import Context, Split, function_arn
from harness.engines.templates.text import as_text
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
from harness.lambda_service.system_logs import APPLICATION_LEVELS, DEFAULT_LEVEL, SYSTEM_LEVELS
from harness.lambda_service.variables import check as check_variables

FetchCode = Callable[[str, Mapping[str, Any]], Path]
"""Given a function's logical id and its resolved Code property, returns the folder of the unpacked package."""

QueueUrl = Callable[[str], str]
"""Given a queue's ARN, returns its URL."""

RUNTIMES = tuple(f"python3.{minor}" for minor in range(9, 15))
ARCHITECTURES = ("x86_64", "arm64")
MAX_CONCURRENCY = 1_000_000
"""More than any account has; the service compares reservations with its own account limit."""

_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_HANDLER = re.compile(r"(?=.{1,128}$)[^\s.]+(\.[^\s.]+)+")
_LOG_GROUP = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")


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
        check_properties(logical_id, resource["Type"], properties)
        _check_dynamic_references(logical_id, properties)
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
    _check_called({f.name for f in functions}, routes)
    return StackConfig(
        name=context.stack_name,
        functions=tuple(functions),
        async_configs=tuple(_async_configs(by_type.get("AWS::Lambda::EventInvokeConfig", []), functions)),
        sqs_mappings=queues,
        stream_mappings=streams,
        notification_queues=(NotificationQueue(notification_queue_url, tuple(routes)),) if routes else (),
    )


def _function(
    logical_id: str, name: str, properties: Mapping[str, Any], context: Context, fetch_code: FetchCode
) -> Function:
    if not _FUNCTION_NAME.fullmatch(name):
        raise TemplateError(
            f"{logical_id}: FunctionName is {name!r}", hint="at most 64 letters, digits, hyphens and underscores"
        )
    needed = [key for key in ("Code", "Role", "Handler", "Runtime") if not properties.get(key)]
    if needed:
        raise TemplateError(f"{logical_id}: {', '.join(needed)} is missing, which a function with a zip file needs")
    runtime = _choice(logical_id, properties, "Runtime", RUNTIMES, "")
    handler = as_text(properties["Handler"])
    if not _HANDLER.fullmatch(handler):
        raise TemplateError(f"{logical_id}: Handler is {handler!r}", hint="say module.function, in 128 characters")
    architectures = properties.get("Architectures", ["x86_64"])
    if not isinstance(architectures, list) or len(architectures) != 1 or architectures[0] not in ARCHITECTURES:
        raise TemplateError(f"{logical_id}: Architectures is {architectures}, allowed is one of x86_64 and arm64")
    integer(logical_id, properties.get("EphemeralStorage", {}), "Size", 512, 10_240, 512)
    reserved = properties.get("ReservedConcurrentExecutions")
    given = properties.get("Environment", {}).get("Variables", {})
    if not isinstance(given, Mapping):
        raise TemplateError(f"{logical_id}: Environment.Variables is {given!r}, an object is needed")
    variables = {k: _variable(logical_id, k, v) for k, v in given.items()}
    check_variables(logical_id, variables)
    return Function(
        name=name,
        arn=function_arn(name, context),
        handler=handler,
        code_dir=str(fetch_code(logical_id, properties["Code"])),
        runtime=runtime,
        timeout=integer(logical_id, properties, "Timeout", 1, MAX_TIMEOUT_SECONDS, 3),
        memory_mb=integer(logical_id, properties, "MemorySize", 128, 10_240, 128),
        environment=variables,
        reserved_concurrency=(
            None
            if reserved is None
            else integer(logical_id, properties, "ReservedConcurrentExecutions", 0, MAX_CONCURRENCY, 0)
        ),
        dead_letter_arn=queue_arn(
            f"{logical_id}: DeadLetterConfig.TargetArn", properties.get("DeadLetterConfig", {}).get("TargetArn", "")
        ),
        **_logging(logical_id, name, properties.get("LoggingConfig", {})),
    )


def _logging(logical_id: str, name: str, given: Mapping[str, Any]) -> dict[str, str]:
    where = f"{logical_id}: LoggingConfig"
    log_format = _choice(where, given, "LogFormat", ("Text", "JSON"), "Text")
    levels = [key for key in ("ApplicationLogLevel", "SystemLogLevel") if key in given]
    if levels and log_format != "JSON":
        raise TemplateError(f"{where} sets {', '.join(levels)}, which counts with LogFormat JSON only")
    group = as_text(given.get("LogGroup") or f"/aws/lambda/{name}")
    if not _LOG_GROUP.fullmatch(group):
        raise TemplateError(
            f"{where}.LogGroup is {group!r}", hint="at most 512 letters, digits and characters of . - _ / #"
        )
    return {
        "log_format": log_format,
        "log_group": group,
        "application_log_level": _choice(where, given, "ApplicationLogLevel", APPLICATION_LEVELS, DEFAULT_LEVEL),
        "system_log_level": _choice(where, given, "SystemLogLevel", SYSTEM_LEVELS, DEFAULT_LEVEL),
    }


def _variable(logical_id: str, name: str, value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise TemplateError(f"{logical_id}: Environment variable {name} is no string", hint="join its parts")
    return as_text(value)


def _async_configs(found: list[tuple[str, dict[str, Any]]], functions: Iterable[Function]) -> Iterator[AsyncConfig]:
    named = {function.name for function in functions}
    seen: dict[str, str] = {}
    for logical_id, properties in found:
        config = _async_config(logical_id, properties)
        if config.function not in named:
            raise TemplateError(f"{logical_id}: FunctionName is {config.function!r}, no function of this template")
        if config.function in seen:
            raise TemplateError(f"{logical_id} and {seen[config.function]} configure the same function; keep one")
        seen[config.function] = logical_id
        yield config


def _async_config(logical_id: str, properties: Mapping[str, Any]) -> AsyncConfig:
    missing = [key for key in ("FunctionName", "Qualifier") if not properties.get(key)]
    if missing:
        raise TemplateError(f"{logical_id}: {', '.join(missing)} is missing")
    destinations = properties.get("DestinationConfig", {})
    arns = {
        outcome: queue_arn(
            f"{logical_id}: DestinationConfig.{outcome}.Destination",
            destinations.get(outcome, {}).get("Destination", ""),
        )
        for outcome in ("OnFailure", "OnSuccess")
    }
    return AsyncConfig(
        function=_name_of(properties["FunctionName"]),
        max_retries=integer(logical_id, properties, "MaximumRetryAttempts", 0, 2, 2),
        max_age_seconds=integer(logical_id, properties, "MaximumEventAgeInSeconds", 60, 21_600, 21_600),
        on_failure_arn=arns["OnFailure"],
        on_success_arn=arns["OnSuccess"],
    )


def _check_called(names: set[str], routes: Iterable[NotificationRoute]) -> None:
    for route in routes:
        if route.function not in names:
            raise TemplateError(f"bucket {route.bucket} calls {route.function!r}, no function of this template")


def _route(bucket_id: str, item: Mapping[str, Any], resolve: Resolver) -> NotificationRoute:
    where = f"{bucket_id}: NotificationConfiguration.LambdaConfigurations"
    unknown = sorted(set(item) - {"Event", "Function", "Filter"})
    missing = sorted({"Event", "Function"} - set(item))
    if unknown or missing:
        raise TemplateError(f"{where}: {', '.join(unknown or missing)} is {'not known' if unknown else 'missing'}")
    rules: dict[str, str] = {}
    for rule in item.get("Filter", {}).get("S3Key", {}).get("Rules", []):
        name = as_text(rule.get("Name", "")).lower()
        if name not in ("prefix", "suffix") or name in rules or "Value" not in rule:
            raise TemplateError(f"{where}: rule {rule} is not one prefix or one suffix with its Value")
        rules[name] = as_text(rule["Value"])
    return NotificationRoute(
        bucket=str(resolve.resolve({"Ref": bucket_id})),
        function=_name_of(item["Function"]),
        events=(item["Event"],),
        prefix=rules.get("prefix", ""),
        suffix=rules.get("suffix", ""),
    )


def _name_of(reference: Any) -> str:
    name, _, qualifier = as_text(reference).rsplit(":function:", maxsplit=1)[-1].partition(":")
    if qualifier not in ("", "$LATEST"):
        raise TemplateError(
            f"{reference} names the version or alias {qualifier}", hint="there are none here; name the function itself"
        )
    return name


def queue_arn(where: str, arn: Any) -> str:
    """Return the ARN of the standard queue that `where` names, empty for none; raises TemplateError for another."""
    if arn in (None, ""):
        return ""
    parts = str(arn).split(":")
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "sqs":
        raise TemplateError(
            f"{where} is {arn}, which is not an SQS queue", hint="the embedded engine sends to queues only"
        )
    if parts[5].endswith(".fifo"):
        raise TemplateError(f"{where} is the FIFO queue {arn}", hint="Lambda sends to standard queues only")
    return str(arn)


def integer(where: str, properties: Mapping[str, Any], name: str, low: int, high: int, default: int) -> int:
    """Return a whole number of `properties`; raises TemplateError naming the value that is none or out of range."""
    value = properties.get(name, default)
    try:
        number = float(value)
        if isinstance(value, bool) or not number.is_integer():
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise TemplateError(f"{where}: {name} is {as_text(value)!r}, a whole number is needed") from None
    if not low <= number <= high:
        raise TemplateError(f"{where}: {name} is {int(number)}, allowed are {low} to {high}")
    return int(number)


def _choice(where: str, properties: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = as_text(properties.get(name, default))
    if value not in allowed:
        raise TemplateError(f"{where}: {name} is {value!r}, allowed are {', '.join(allowed)}")
    return value


def _check_dynamic_references(where: str, value: Any) -> None:
    if isinstance(value, str) and "{{resolve:" in value:
        raise TemplateError(
            f"{where} holds the dynamic reference {value}, which the embedded engine does not resolve",
            hint="give the value itself, or by a parameter",
        )
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_dynamic_references(where, inner)
