"""Requests to queues that SQS would bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.engines.counts import CountsByName


@dataclass(frozen=True)
class QueueRequests:
    """Requests of one queue, each 64 KB of payload counted as one; `empty_receives` brought nothing and are not in
    `requests`."""

    requests: int = 0
    empty_receives: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, int]) -> QueueRequests:
        """Return what the queues' service says of a queue."""
        return cls(data["Sends"] + data["Receives"] + data["Others"], data["EmptyReceives"])

    def since(self, before: QueueRequests) -> QueueRequests:
        """Return what has come on top of `before`."""
        return QueueRequests(self.requests - before.requests, self.empty_receives - before.empty_receives)


class BilledRequests(CountsByName[QueueRequests]):
    """Requests of all queues of an engine, by the queue's name."""

    @property
    def queues(self) -> Mapping[str, QueueRequests]:
        """The requests, by the queue's name."""
        return self.by_name
