"""Requests to queues that SQS would bill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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


@dataclass(frozen=True)
class BilledRequests:
    """Requests of all queues of an engine, by the queue's name.

    `starts` says how often whoever counts was started: another number means that it began anew at nothing. A figure
    that lacks what came before is not `complete`.
    """

    queues: Mapping[str, QueueRequests]
    starts: int = 1
    complete: bool = True

    def since(self, before: BilledRequests) -> BilledRequests:
        """Return what has come on top of `before`."""
        if before.starts != self.starts:
            return BilledRequests(self.queues, self.starts, complete=False)
        nothing = QueueRequests()
        queues = {}
        for name, now in self.queues.items():
            past = before.queues.get(name, nothing)
            queues[name] = QueueRequests(now.requests - past.requests, now.empty_receives - past.empty_receives)
        return BilledRequests(queues, self.starts, self.complete and before.complete)
