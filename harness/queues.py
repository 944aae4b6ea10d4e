"""Queue depths, and reading messages without taking them away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from harness.engines.base import Deployment, Engine
from harness.stages import STAGES

_READ_VISIBILITY = 600
_LONG_POLL_SECONDS = 3
_STALE_ANSWERS = 3
"""Answers in a row with nothing but messages that were seen: a standard queue may deliver twice, and this must end."""

_NOT_HIDDEN = ("MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValue")
"""How SQS refuses a receipt handle that has run out, or whose message is visible or deleted (SQS API reference,
ChangeMessageVisibility); the JSON and the query protocol write the codes with different prefixes."""


@dataclass(frozen=True)
class Depth:
    """Messages of one queue: to be received, being processed, and not yet due."""

    visible: int = 0
    in_flight: int = 0
    delayed: int = 0

    @property
    def total(self) -> int:
        """All messages."""
        return self.visible + self.in_flight + self.delayed


@dataclass(frozen=True)
class QueueDepths:
    """Depths by stage name: of the queues that feed stages, and of their dead-letter queues."""

    queues: dict[str, Depth]
    dlqs: dict[str, Depth]

    def since(self, before: QueueDepths) -> QueueDepths:
        """Return the same without the dead letters that were there `before`; they are not this run's."""
        fresh = {
            name: Depth(max(0, depth.visible - before.dlqs[name].visible), depth.in_flight, depth.delayed)
            for name, depth in self.dlqs.items()
        }
        return QueueDepths(self.queues, fresh)


def read_depths(engine: Engine, deployment: Deployment) -> QueueDepths:
    """Read the depth of every queue of the pipeline."""
    sqs = engine.client("sqs")
    return QueueDepths(
        {s.name: depth(sqs, deployment.output(s.queue)) for s in STAGES if s.queue},
        {s.name: depth(sqs, deployment.output(s.dlq)) for s in STAGES},
    )


def depth(sqs: Any, url: str) -> Depth:
    """Read one queue's depth."""
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return Depth(*(int(found.get(name, 0)) for name in names))


def peek(sqs: Any, url: str, *, live: bool = True) -> Iterator[dict[str, Any]]:
    """Yield every message of a queue that nobody consumes, each once, and leave all of them there.

    Where the queue is not `live` (see `Engine.live_counts`) an answer without messages means something only after a
    long poll, which asks all of its servers. Messages are hidden while they are read and made visible again at the end;
    their receive counts grow.
    """
    handles: dict[str, str] = {}
    stale = 0
    try:
        while stale < _STALE_ANSWERS:
            answer = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=_READ_VISIBILITY,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
                WaitTimeSeconds=0 if live else _LONG_POLL_SECONDS,
            )
            messages = answer.get("Messages") or []
            if not messages:
                return
            fresh = [message for message in messages if message["MessageId"] not in handles]
            stale = 0 if fresh else stale + 1
            # Only the newest receipt of a message that came twice is sure to change its visibility.
            handles |= {message["MessageId"]: message["ReceiptHandle"] for message in messages}
            yield from {message["MessageId"]: message for message in fresh}.values()
    finally:
        for handle in handles.values():
            show(sqs, url, handle)


def show(sqs: Any, url: str, receipt_handle: str) -> None:
    """Make a message that was received visible again; one that is so already, or gone, needs nothing."""
    try:
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt_handle, VisibilityTimeout=0)
    except ClientError as error:
        if not error.response.get("Error", {}).get("Code", "").endswith(_NOT_HIDDEN):
            raise
