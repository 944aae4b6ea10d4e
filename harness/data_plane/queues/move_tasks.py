"""StartMessageMoveTask: messages of a dead-letter queue go back, at a rate."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field
from typing import Any

RUNNING, COMPLETED, CANCELLED, FAILED = "RUNNING", "COMPLETED", "CANCELLED", "FAILED"


@dataclass
class MoveTask:
    """One task. `destination_arn` is None where every message goes to the queue that it came from."""

    task_id: str
    source_arn: str
    destination_arn: str | None
    given_rate: int | None
    rate: int
    started: int
    to_move: int
    moved: int = 0
    status: str = RUNNING
    failure: str = ""
    handle: str = field(init=False)

    def __post_init__(self) -> None:
        named = {"taskId": self.task_id, "sourceArn": self.source_arn}
        self.handle = base64.b64encode(json.dumps(named).encode()).decode()

    def to_keep(self) -> dict[str, Any]:
        """Return the task as the log has it."""
        return {name: value for name, value in asdict(self).items() if name != "handle"}

    @classmethod
    def kept(cls, members: dict[str, Any]) -> MoveTask:
        """Return the task that `to_keep` gave."""
        return cls(**members)

    def allowance(self, now: int) -> int:
        """Return how many messages may be moved at this moment."""
        return 1 + (now - self.started) * self.rate // 1000 - self.moved

    def describe(self) -> dict[str, Any]:
        """Return the task as ListMessageMoveTasks gives it."""
        described: dict[str, Any] = {
            "Status": self.status,
            "SourceArn": self.source_arn,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started,
        }
        if self.status == RUNNING:
            described["TaskHandle"] = self.handle
        if self.destination_arn is not None:
            described["DestinationArn"] = self.destination_arn
        if self.given_rate is not None:
            described["MaxNumberOfMessagesPerSecond"] = self.given_rate
        if self.failure:
            described["FailureReason"] = self.failure
        return described


def named_by(handle: str) -> tuple[str, str] | None:
    """Return task id and source ARN of a task handle, None when it is none."""
    try:
        named = json.loads(base64.b64decode(handle, validate=True))
        return str(named["taskId"]), str(named["sourceArn"])
    except (ValueError, KeyError, TypeError):
        return None
