"""Small stacks for contract tests: a function, its sources, and a queue that tells what the function saw."""

from __future__ import annotations

import json
import textwrap
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.engines.base import Deployment, Engine

PRELUDE = """
import json, os, time
import boto3

_sqs = boto3.client("sqs")


def note(**facts):
    _sqs.send_message(QueueUrl=os.environ["SEEN_URL"], MessageBody=json.dumps(facts))


"""

ROLE: dict[str, Any] = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    },
}


def arn(logical_id: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [logical_id, "Arn"]}


def queue(*, visibility: int = 30, dlq: str = "", receives: int = 3, retention: int = 86_400) -> dict[str, Any]:
    properties: dict[str, Any] = {"VisibilityTimeout": visibility, "MessageRetentionPeriod": retention}
    if dlq:
        properties["RedrivePolicy"] = {"deadLetterTargetArn": arn(dlq), "maxReceiveCount": receives}
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def table() -> dict[str, Any]:
    """A table with a stream. `Stack.put` gives all items one partition key, and so one shard: across shards no order is
    promised."""
    keys = {"shard": "HASH", "record_id": "RANGE"}
    return {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in keys],
            "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
        },
    }


def mapping(source: Any, **properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {"FunctionName": {"Ref": "Fn"}, "EventSourceArn": source, **properties},
    }


def filters(*patterns: Mapping[str, Any]) -> dict[str, Any]:
    return {"Filters": [{"Pattern": json.dumps(p)} for p in patterns]}


def eventually(what: str, probe: Callable[[], Any], *, seconds: float = 90.0) -> Any:
    """Return the first truthy answer of `probe`; fails the test when none came in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = probe()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


def most_at_once(notes: list[dict[str, Any]]) -> int:
    """Return the most invocations that ran at the same time, from notes of their start and end."""
    running = most = 0
    for note in sorted(notes, key=lambda n: float(n["t"])):
        running += 1 if note["at"] == "start" else -1
        most = max(most, running)
    return most


class Stack:
    """A deployed test stack: one function `Fn`, a queue `Seen` it reports to, and whatever was added."""

    def __init__(self, engine: Engine, deployment: Deployment) -> None:
        self.engine = engine
        self.name = deployment.stack_name
        self.outputs = deployment.outputs

    @property
    def function(self) -> str:
        return self.outputs["FnName"]

    def invoke(self, event: Any = None) -> tuple[Any, str]:
        """Return the decoded answer and the function error, empty when there was none."""
        answer = self.engine.client("lambda").invoke(
            FunctionName=self.function, Payload=json.dumps(event or {}).encode()
        )
        return json.loads(answer["Payload"].read() or b"null"), answer.get("FunctionError", "")

    def send(self, *bodies: str, to: str = "Queue") -> None:
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies[start : start + 10])]
            self.engine.client("sqs").send_message_batch(QueueUrl=self.outputs[f"{to}Url"], Entries=entries)

    def put(self, *items: Mapping[str, str]) -> None:
        for item in items:
            self.engine.client("dynamodb").put_item(
                TableName=self.outputs["TableName"],
                Item={k: {"S": v} for k, v in {"shard": "one", **item}.items()},
            )

    def take(self, source: str) -> list[dict[str, Any]]:
        """Receive and delete what a queue holds now."""
        sqs, url = self.engine.client("sqs"), self.outputs[f"{source}Url"]
        taken = []
        while messages := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken += messages
        return taken

    def collect(self, source: str, count: int, *, seconds: float = 120.0) -> list[Any]:
        """Return the decoded bodies of at least `count` messages of a queue, in order of arrival."""
        got: list[dict[str, Any]] = []

        def enough() -> bool:
            got.extend(self.take(source))
            return len(got) >= count

        eventually(f"{count} messages in {source} (have {len(got)})", enough, seconds=seconds)
        return [_decode(m["Body"]) for m in sorted(got, key=lambda m: int(m["Attributes"]["SentTimestamp"]))]

    def seen(self, count: int, *, seconds: float = 120.0) -> list[Any]:
        return self.collect("Seen", count, seconds=seconds)

    def waiting(self, source: str = "Queue") -> int:
        """Messages of a queue that are visible or in flight."""
        attributes = self.engine.client("sqs").get_queue_attributes(
            QueueUrl=self.outputs[f"{source}Url"], AttributeNames=["All"]
        )["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"]) + int(attributes["ApproximateNumberOfMessagesNotVisible"])

    def drained(self, source: str = "Queue", *, seconds: float = 40.0) -> None:
        eventually(f"{source} drained", lambda: self.waiting(source) == 0, seconds=seconds)


def _decode(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


def deploy(
    engine: Engine,
    folder: Path,
    code: str,
    resources: Mapping[str, Any] | None = None,
    **function: Any,
) -> Stack:
    """Deploy a stack whose function `Fn` runs `code` (after `PRELUDE`) with the given properties."""
    template: dict[str, Any] = {
        "Resources": {
            "Seen": queue(),
            "Role": ROLE,
            "Fn": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Handler": "index.handler",
                    "Runtime": "python3.13",
                    "Role": arn("Role"),
                    "Timeout": 10,
                    "MemorySize": 256,
                    "Environment": {"Variables": {"SEEN_URL": {"Ref": "Seen"}}},
                    "Code": {"ZipFile": PRELUDE + textwrap.dedent(code)},
                    **function,
                },
            },
            **(resources or {}),
        },
        "Outputs": {"FnName": {"Value": {"Ref": "Fn"}}},
    }
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == "AWS::SQS::Queue":
            template["Outputs"][f"{logical_id}Url"] = {"Value": {"Ref": logical_id}}
        if resource["Type"] == "AWS::DynamoDB::Table":
            template["Outputs"][f"{logical_id}Name"] = {"Value": {"Ref": logical_id}}
    path = folder / "template.json"
    path.write_text(json.dumps(template))
    return Stack(engine, engine.deploy(path, {}, stack_name=f"ct-{uuid.uuid4().hex[:8]}"))
