"""Dead-letter queues: how many messages, what is in them and why, and back to work with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from harness.dead_letters import printable, read_dead_letter
from harness.engines.base import Deployment
from harness.errors import EngineError, UsageError
from harness.queues import depth, peek, show
from harness.stages import STAGES, Stage


@dataclass(frozen=True)
class DeadLetterMessage:
    """One dead-letter message, decoded as far as it can be, in text that a terminal can show as it is.

    `rows` are row numbers, empty where it names none; `source_id` is then empty too.
    """

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
    """Return the number of dead-letter messages by stage."""
    return {s.name: depth(sqs, deployment.output(s.dlq)).total for s in STAGES}


def messages(sqs: Any, deployment: Deployment, stage: Stage, limit: int | None = None) -> Iterator[DeadLetterMessage]:
    """Yield a stage's dead-letter messages, at most `limit`, without taking them away."""
    for message in islice(peek(sqs, deployment.output(stage.dlq)), limit):
        yield read_message(stage.name, message)


def read_message(stage: str, message: dict[str, Any]) -> DeadLetterMessage:
    """Decode one message of a dead-letter queue; whatever it holds, this returns what it is."""
    receives = int(message.get("Attributes", {}).get("ApproximateReceiveCount", 0))
    found = read_dead_letter(message.get("Body", ""), message.get("MessageAttributes"))
    identity = printable(message["MessageId"])
    if found.batch is None:
        return DeadLetterMessage(stage, identity, receives, "", (), found.reason, found.detail)
    rows = tuple(row[0] for row in found.batch.rows)
    return DeadLetterMessage(
        stage, identity, receives, printable(found.batch.source_id, 40), rows, found.reason, found.detail
    )


@dataclass(frozen=True)
class Redriven:
    """Messages that were sent back, and how many of them are no record batch: they will fail again and come back."""

    moved: int
    not_batches: int


def redrive(sqs: Any, deployment: Deployment, stage: Stage) -> Redriven:
    """Move a stage's dead-letter messages back to its queue, with their attributes, and say how many.

    A message is deleted only after its copy was accepted, so an interruption may double one and loses none. What is no
    record batch goes back like the others, as in AWS's own redrive: the functions behind may know more by now.
    Raises UsageError for stages whose messages are records of failures and not messages of a queue, EngineError where a
    copy is not accepted.
    """
    if not stage.queue:
        what = "upload the object again" if stage.name == "clean" else "put the items again"
        raise UsageError(
            f"the dead-letter messages of {stage.name} name what failed and cannot be sent back", hint=what
        )
    source, target = deployment.output(stage.dlq), deployment.output(stage.queue)
    moved = not_batches = 0
    # Messages that fail again come back to this queue: only those that are here now are moved.
    for _ in range(depth(sqs, source).total):
        answer = sqs.receive_message(
            QueueUrl=source, MaxNumberOfMessages=1, MessageAttributeNames=["All"], WaitTimeSeconds=0
        )
        for message in answer.get("Messages") or []:
            try:
                _send(sqs, target, message)
            except BaseException:
                show(sqs, source, message["ReceiptHandle"])
                raise
            sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
            not_batches += read_dead_letter(message["Body"]).batch is None
    return Redriven(moved, not_batches)


def _send(sqs: Any, target: str, message: dict[str, Any]) -> None:
    attributes = {
        name: {key: value for key, value in given.items() if key in ("DataType", "StringValue", "BinaryValue")}
        for name, given in (message.get("MessageAttributes") or {}).items()
    }
    extra = {"MessageAttributes": attributes} if attributes else {}
    sent = sqs.send_message(QueueUrl=target, MessageBody=message["Body"], **extra)
    if not sent.get("MessageId"):
        raise EngineError(f"{target} did not take message {message['MessageId']}")


@contextmanager
def refusals(endpoint: str) -> Iterator[None]:
    """Turn what a client raises about the engine at `endpoint` into EngineError."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise EngineError(
            f"the engine at {endpoint} does not answer as it should: {error}",
            hint="is it still up, in the terminal of `harness deploy` or `harness run --keep`?",
        ) from error
