"""Deployment packages into S3 and stacks into CloudFormation, on any engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from harness.engines import packaging
from harness.engines.base import Deployment
from harness.engines.clients import Clients
from harness.errors import EngineError

CODE_PARAMETERS = ("CodeBucket", "CodeKey")
"""Template parameters that say where the deployment package lies, filled in by `deploy`."""

DELETED_KEYS = 1000
"""Most keys of one DeleteObjects (S3 API reference)."""

HANDLERS = Path(__file__).resolve().parents[2] / "handlers"
"""The pipeline's functions."""


def build_package(code: Path | None, target: Path) -> Path:
    """Write the deployment package of folder `code` (default: the pipeline's handlers) to `target`; returns it."""
    packages = packaging.FUNCTION_PACKAGES if code in (None, HANDLERS) else ()
    return packaging.build_code_zip(code or HANDLERS, target, packages=packages)


def upload_package(clients: Clients, package: Path, bucket: str, key: str = "package.zip") -> dict[str, str]:
    """Put a package into a bucket that is made if need be; returns the template parameters that name it."""
    s3 = clients.get("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=package.read_bytes())
    return dict(zip(CODE_PARAMETERS, (bucket, key), strict=True))


def create_stack(
    clients: Clients,
    name: str,
    body: str,
    parameters: Mapping[str, str],
    *,
    tags: Mapping[str, str] | None = None,
    poll_seconds: float = 0.1,
    timeout_seconds: float = 60,
) -> dict[str, str]:
    """Create a stack, wait for it and return its outputs; raises EngineError with CloudFormation's reasons."""
    cloudformation = clients.get("cloudformation")
    try:
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=body,
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            Tags=[{"Key": k, "Value": v} for k, v in (tags or {}).items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=name,
            WaiterConfig={"Delay": poll_seconds, "MaxAttempts": int(timeout_seconds / poll_seconds)},
        )
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except (ClientError, BotoCoreError) as error:
        raise EngineError(f"stack {name} was not created: {error}", hint=_why(cloudformation, name)) from error
    return outputs_of(stack)


def describe_stack(clients: Clients, name: str) -> dict[str, Any] | None:
    """Return a stack as CloudFormation describes it, None where there is none; raises botocore's errors."""
    try:
        return dict(clients.get("cloudformation").describe_stacks(StackName=name)["Stacks"][0])
    except ClientError as error:
        # CloudFormation has no code of its own for it (API reference, DescribeStacks: ValidationError).
        if "does not exist" in str(error):
            return None
        raise


def deployment_of(stack: Mapping[str, Any], name: str) -> Deployment:
    """Return a described stack as a deployment."""
    parameters = {p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", [])}
    return Deployment(name, outputs_of(stack), parameters)


def empty_bucket(clients: Clients, bucket: str) -> None:
    """Delete every object of a bucket, with all versions and markers; raises EngineError for one that is refused, and
    botocore's errors."""
    s3 = clients.get("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        keys = [{"Key": o["Key"], "VersionId": o["VersionId"]} for o in found]
        for start in range(0, len(keys), DELETED_KEYS):
            some = keys[start : start + DELETED_KEYS]
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})
            for refused in answer.get("Errors", []):
                # An HTTP 200 may hold them.
                raise EngineError(f"object {refused.get('Key')}: {refused.get('Code')} {refused.get('Message')}")


def outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """Return a described stack's outputs by key."""
    return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}


def _why(cloudformation: Any, name: str) -> str:
    try:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    except (ClientError, BotoCoreError):
        return ""
    reasons = [
        f"{e['LogicalResourceId']}: {e['ResourceStatusReason']}"
        for e in events
        if "FAILED" in e["ResourceStatus"] and e.get("ResourceStatusReason")
    ]
    return "; ".join(reasons)
