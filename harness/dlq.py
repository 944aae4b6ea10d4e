"""Dead-letter queues: how many messages, what is in them and why, and back to work with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from handlers.record_batch import RecordBatchError, decode
from harness.engines.base import Deployment
from harness.errors import EngineError, UsageError
from harness.queues import depth, peek
from harness.stages import STAGES, Stage


@dataclass(frozen=True)
class Letter:
    """One dead letter, decoded as far as it can be. `rows` are row numbers, empty where it names none."""

    stage: str
    message_id: str
    receives: int
    source_id: str
    rows: tuple[int, ...]
    reason: str
    detail: str


def stage_named(name: str) -> Stage:
    """Return a stage; raises UsageError naming the ones there are."""
    for stage in STAGES:
        if stage.name == name:
            return stage
    raise UsageError(f"there is no stage {name!r}", hint=f"stages: {', '.join(s.name for s in STAGES)}")


def counts(sqs: Any, deployment: Deployment) -> dict[str, int]:
    """Return the number of dead letters by stage."""
    return {s.name: depth(sqs, deployment.output(s.dlq)).total for s in STAGES}


def letters(sqs: Any, deployment: Deployment, stage: Stage) -> Iterator[Letter]:
    """Yield a stage's dead letters without taking them away."""
    for message in peek(sqs, deployment.output(stage.dlq)):
        yield read_letter(stage.name, message)


def read_letter(stage: str, message: dict[str, Any]) -> Letter:
    """Decode one message of a dead-letter queue."""
    receives = int(message.get("Attributes", {}).get("ApproximateReceiveCount", 0))
    identity = message["MessageId"]
    body = message["Body"]
    if stage in ("clean", "capture"):
        return _destination_letter(stage, identity, receives, body)
    try:
        batch = decode(body)
    except RecordBatchError as error:
        return Letter(stage, identity, receives, "", (), "undecodable", str(error)[:200])
    rows = tuple(row[0] for row in batch.rows)
    if batch.error is None:
        return Letter(stage, identity, receives, batch.source_id, rows, "whole message", "see the function's log")
    return Letter(stage, identity, receives, batch.source_id, rows, batch.error.reason, batch.error.detail)


def redrive(sqs: Any, deployment: Deployment, stage: Stage) -> int:
    """Move a stage's dead letters back to its queue; returns how many.

    A letter is deleted only after its copy was accepted, so an interruption may double one and loses none.
    Raises UsageError for stages whose letters are records of failures and not messages of a queue.
    """
    if not stage.queue:
        what = "upload the object again" if stage.name == "clean" else "put the items again"
        raise UsageError(f"the letters of {stage.name} name what failed and cannot be sent back", hint=what)
    source, target = deployment.output(stage.dlq), deployment.output(stage.queue)
    moved = 0
    # Letters that fail again come back to this queue: only those that are here now are moved.
    for _ in range(depth(sqs, source).total):
        answer = sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=1, WaitTimeSeconds=0)
        for message in answer.get("Messages") or []:
            sent = sqs.send_message(QueueUrl=target, MessageBody=message["Body"])
            if not sent.get("MessageId"):
                raise EngineError(f"{target} did not take message {message['MessageId']}")
            sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
    return moved


def _destination_letter(stage: str, identity: str, receives: int, body: str) -> Letter:
    record = json.loads(body)
    condition = str(record.get("requestContext", {}).get("condition", "unknown"))
    if stage == "capture":
        info = record["DDBStreamBatchInfo"]
        detail = f"{info['batchSize']} stream records from {info['startSequenceNumber']}"
        return Letter(stage, identity, receives, "", (), condition, detail)
    names = [r["s3"]["object"]["key"] for r in record["requestPayload"]["Records"]]
    payload = record.get("responsePayload") or {}
    detail = f"{', '.join(names)}: {payload.get('errorType', '')} {payload.get('errorMessage', '')}".strip()
    return Letter(stage, identity, receives, "", (), condition, detail[:300])
