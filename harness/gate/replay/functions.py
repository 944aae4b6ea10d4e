"""The functions of a version as its own template describes them, with made-up names for what they refer to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.engines.templates.intrinsics import load_template
from harness.engines.templates.lambda_stack import build_stack
from harness.engines.templates.split import Context, resolver, split
from harness.lambda_service.model import Function, ServiceSettings, StackConfig
from harness.lambda_service.variables import environment

ACCOUNT, REGION, STACK = "000000000000", "us-east-1", "ingestion"
ENDPOINT = "http://127.0.0.1:9"
"""Nothing is ever sent there: connections are the replay's own."""

_CODE_PARAMETERS = {"CodeBucket": "code", "CodeKey": "code.zip"}


@dataclass(frozen=True)
class Functions:
    """The functions of one version by stage, and their event source mappings."""

    stack: StackConfig

    def of_stage(self, stage: str) -> Function:
        """Return a stage's function; raises KeyError where the template has none."""
        name = f"{STACK}-{stage}"
        for function in self.stack.functions:
            if function.name == name:
                return function
        raise KeyError(f"the template has no function {name}")

    def variables(self, stage: str) -> dict[str, str]:
        """Return what the function of a stage finds in its environment; raises KeyError."""
        settings = ServiceSettings({"default": ENDPOINT}, REGION, ACCOUNT, "", "", "")
        found = environment(
            self.of_stage(stage),
            settings,
            log_stream="replay",
            runtime_api="",
            temporary="/tmp",  # noqa: S108
        )
        # How the process finds its modules is the worker's affair.
        return {name: value for name, value in found.items() if name not in ("PYTHONPATH", "LD_LIBRARY_PATH")}

    def queue_of(self, stage: str) -> tuple[str, int]:
        """Return ARN and batch size of the queue that feeds a stage; raises KeyError where none does."""
        function = self.of_stage(stage).name
        for mapping in self.stack.sqs_mappings:
            if mapping.function == function:
                return mapping.queue_arn, mapping.batch_size
        raise KeyError(f"no queue feeds {function}")

    def stream_of(self, stage: str) -> tuple[str, int]:
        """Return ARN and batch size of the stream that feeds a stage; raises KeyError where none does."""
        function = self.of_stage(stage).name
        for mapping in self.stack.stream_mappings:
            if mapping.function == function:
                return mapping.stream_arn, mapping.batch_size
        raise KeyError(f"no stream feeds {function}")


def functions_of(tree: Path, parameters: Mapping[str, str]) -> Functions:
    """Return the functions of the version in folder `tree`, deployed with `parameters`.

    Raises TemplateError where its template cannot be deployed by this version's engine, OSError where there is none.
    """
    text = (tree / "handlers" / "template.yaml").read_text("utf-8")
    body, context = load_template(text), Context(STACK, REGION, ACCOUNT)
    declared = body.get("Parameters", {})
    given = {k: v for k, v in _CODE_PARAMETERS.items() if k in declared} | dict(parameters)
    halves = split(body, given, context)
    types = {name: resource["Type"] for name, resource in body["Resources"].items()}
    outputs = {key: _value(types[name], name, attribute) for key, (name, attribute) in halves.outputs.items()}
    stack = build_stack(
        halves,
        resolver(body, halves, outputs, context),
        context,
        fetch_code=lambda _name, _spec: tree,
        queue_url=lambda arn: f"{ENDPOINT}/{ACCOUNT}/{arn.rsplit(':', 1)[-1]}",
        notification_queue_url="",
    )
    return Functions(stack)


def _value(kind: str, name: str, attribute: str | None) -> str:
    """Return what Ref (without attribute) or GetAtt gives of a resource; every name is its logical id."""
    if kind == "AWS::SQS::Queue":
        return f"{ENDPOINT}/{ACCOUNT}/{name}" if attribute is None else f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    if kind == "AWS::DynamoDB::Table" and attribute is not None:
        table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
        return table if attribute == "Arn" else f"{table}/stream/2026-01-01T00:00:00.000"
    return name.lower() if attribute is None else f"arn:aws:any:{REGION}:{ACCOUNT}:{name}"
