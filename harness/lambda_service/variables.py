"""A function's environment variables: what Lambda defines, what a template may set, and what it may not.

Source: AWS Lambda developer guide, "Working with Lambda environment variables".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from harness.errors import TemplateError
from harness.lambda_service.model import Function, ServiceSettings

RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
"""Names that belong to Lambda: a template that sets one is refused by AWS."""

SIZE_LIMIT = 4 * 1024
"""Bytes of all variables of a function together (AWS Lambda quotas)."""

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "test"}
"""What emulators take for credentials. A role's are always three, and code may rely on the third."""


def check(logical_id: str, variables: Mapping[str, str]) -> None:
    """Raise TemplateError where AWS would refuse a function's variables: reserved and malformed names, and size."""
    reserved = sorted(RESERVED & set(variables))
    if reserved:
        raise TemplateError(
            f"{logical_id}: Environment sets {', '.join(reserved)}, reserved keys that AWS Lambda does not let a "
            "function's configuration modify",
            hint="Lambda sets them itself; choose other names",
        )
    if "AWS_LAMBDA_EXEC_WRAPPER" in variables:
        raise TemplateError(
            f"{logical_id}: Environment sets AWS_LAMBDA_EXEC_WRAPPER, and wrapper scripts are not run here",
            hint="leave it out; the runtime client starts as it is",
        )
    malformed = sorted(name for name in variables if not _NAME.fullmatch(name))
    if malformed:
        raise TemplateError(
            f"{logical_id}: Environment sets {', '.join(map(repr, malformed))}",
            hint="names begin with a letter and have two or more letters, digits and underscores",
        )
    # AWS measures the variables as one JSON object.
    size = len(json.dumps(dict(variables), ensure_ascii=False, separators=(",", ":")).encode())
    if size > SIZE_LIMIT:
        raise TemplateError(f"{logical_id}: Environment has {size} bytes as JSON, allowed are {SIZE_LIMIT} (4 KB)")
    broken = sorted(name for name, value in variables.items() if "\0" in value)
    if broken:
        raise TemplateError(f"{logical_id}: Environment variable {', '.join(broken)} holds a NUL character")


def environment(
    function: Function, settings: ServiceSettings, *, log_stream: str, runtime_api: str, temporary: str
) -> dict[str, str]:
    """Return exactly what a function's process sees: Lambda's variables, the SDK's endpoints, the template's own.

    `log_stream` is that of the execution environment, `runtime_api` the address of its Runtime API, `temporary` the
    folder that stands in for /tmp. _X_AMZN_TRACE_ID is set by the runtime client at every invocation.
    """
    endpoints = {
        f"AWS_ENDPOINT_URL_{_endpoint_suffix(service)}": url
        for service, url in settings.endpoints.items()
        if service != "default"
    }
    logging = {"AWS_LAMBDA_LOG_FORMAT": function.log_format}
    if function.log_format == "JSON":
        logging["AWS_LAMBDA_LOG_LEVEL"] = function.application_log_level
    return {
        # Lambda's own, which a template may set as well:
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": settings.runtime_dir,
        "LD_LIBRARY_PATH": f"{function.code_dir}:{function.code_dir}/lib",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        "TMPDIR": temporary,
        "AWS_ENDPOINT_URL": settings.endpoints["default"],
        **endpoints,
        **logging,
        **function.environment,
        # Lambda's own, which it may not:
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        **CREDENTIALS,
        "LAMBDA_TASK_ROOT": function.code_dir,
        "LAMBDA_RUNTIME_DIR": settings.runtime_dir,
        "_HANDLER": function.handler,
    }


def _endpoint_suffix(service: str) -> str:
    # The SDKs derive the variable from the service id, which has a space where boto3's name has none.
    return {"dynamodbstreams": "DYNAMODB_STREAMS", "logs": "CLOUDWATCH_LOGS"}.get(service, service.upper())
