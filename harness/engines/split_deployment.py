"""Deploys one template in two halves: data to an engine's CloudFormation, functions to our Lambda service.

The template is split by `harness.engines.templates.split`; the engine's own Lambda service, if it has one, never sees
a function, because two consumers on one queue would be a silent lie. Works with any endpoint that has CloudFormation.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from harness.engines.base import Deployment
from harness.engines.clients import Clients
from harness.engines.templates.intrinsics import Resolver, load_template
from harness.engines.templates.lambda_stack import build_stack
from harness.engines.templates.split import NOTIFICATION_QUEUE, Context, Split, resolver, split
from harness.engines.templates.text import as_text
from harness.errors import EngineError, TemplateError
from harness.lambda_service.control import LambdaControl


@dataclass(frozen=True)
class Halves:
    """A template split for one stack, with what its deployment needs."""

    body: dict[str, Any]
    split: Split
    context: Context

    @property
    def notification_queue(self) -> str:
        """Name of the internal queue of S3 events."""
        return f"{self.context.stack_name}-s3-events"

    def data_template(self) -> str:
        """Return the data half as CloudFormation's JSON."""
        data = self.split.data
        if self.split.notifications:
            data["Resources"][NOTIFICATION_QUEUE]["Properties"]["QueueName"] = self.notification_queue
        return json.dumps(data)

    def with_tables(self, values: Mapping[tuple[str, str | None], str]) -> Halves:
        """Return the same with its tables made: `values` are what Ref and GetAtt give of them."""
        return replace(self, split=self.split.with_tables(values))

    def data_parameters(self) -> dict[str, str]:
        """Return the parameters that the data half declares."""
        declared = self.split.data.get("Parameters", {})
        return {k: v for k, v in self.split.parameters.items() if k in declared}


def halve(template: str, parameters: Mapping[str, str], context: Context, *, take_tables: bool = False) -> Halves:
    """Split a template's text; raises TemplateError for what it or its parameters get wrong.

    With `take_tables` the tables are in neither half, for an engine that makes them itself.
    """
    body = load_template(template)
    return Halves(body, split(body, parameters, context, take=take_tables), context)


def put_functions(halves: Halves, outputs: Mapping[str, str], clients: Clients, control: LambdaControl) -> Deployment:
    """Give the Lambda half to the service, given the outputs of the deployed data half; returns the deployment."""
    context = halves.context
    resolve = resolver(halves.body, halves.split, outputs, context)
    url = ""
    if halves.split.notifications:
        url = str(clients.get("sqs").get_queue_url(QueueName=halves.notification_queue)["QueueUrl"])
    stored: dict[str, Path] = {}

    def fetch_code(logical_id: str, spec: Mapping[str, Any]) -> Path:
        # The functions of a stack share one package as a rule: it travels once.
        named = json.dumps(dict(spec), sort_keys=True)
        if named not in stored:
            stored[named] = control.put_package(_package(clients, logical_id, spec))
        return stored[named]

    stack = build_stack(
        halves.split,
        resolve,
        context,
        fetch_code=fetch_code,
        queue_url=lambda arn: str(clients.get("sqs").get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]),
        notification_queue_url=url,
    )
    control.put_stack(stack)
    return deployment(halves, outputs, resolve)


def deployment(halves: Halves, outputs: Mapping[str, str], resolve: Resolver | None = None) -> Deployment:
    """Return what a deployed stack looks like from above: the template's own outputs, of both halves."""
    resolve = resolve or resolver(halves.body, halves.split, outputs, halves.context)
    visible = {k: v for k, v in outputs.items() if k not in halves.split.outputs}
    for key, output in halves.split.own_outputs.items():
        if "Condition" not in output or resolve.condition(output["Condition"]):
            visible[key] = as_text(resolve.resolve(output["Value"]))
    return Deployment(halves.context.stack_name, visible, halves.split.parameters)


def _package(clients: Clients, logical_id: str, spec: Mapping[str, Any]) -> bytes:
    if "ZipFile" in spec:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            info = zipfile.ZipInfo("index.py")
            info.external_attr = 0o644 << 16
            archive.writestr(info, as_text(spec["ZipFile"]))
        return target.getvalue()
    if "S3Bucket" not in spec or "S3Key" not in spec:
        raise TemplateError(f"{logical_id}: Code needs S3Bucket and S3Key, or ZipFile")
    version = {"VersionId": str(spec["S3ObjectVersion"])} if spec.get("S3ObjectVersion") else {}
    try:
        answer = clients.get("s3").get_object(Bucket=spec["S3Bucket"], Key=spec["S3Key"], **version)
        body: bytes = answer["Body"].read()
    except (BotoCoreError, ClientError) as error:
        place = f"s3://{spec['S3Bucket']}/{spec['S3Key']}"
        raise EngineError(f"{logical_id}: its package {place} could not be read: {error}") from error
    return body
