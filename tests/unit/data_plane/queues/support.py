"""Queues on a clock that the test holds."""

from __future__ import annotations

import json
from typing import Any

from harness.data_plane.queues.journal import Journal
from harness.data_plane.queues.message import Extra, Message, content
from harness.data_plane.queues.message import body_of as body_in
from harness.data_plane.queues.queue import Queue, QueueConfig, Redrive

ARN = "arn:aws:sqs:us-east-1:000000000000:q"


def body_of(queue: Queue, message: Message) -> str:
    [(kept, _)] = queue.journal.contents([message])
    text: str = json.loads(body_in(kept))
    return text


def kept(body: str, message_id: str = "") -> bytes:
    return content("0" * 32, (message_id or body).rjust(36, "x")[:36], json.dumps(body).encode())


class Held:
    """A queue with its clock and a list as its dead-letter queue."""

    def __init__(self, kind: type[Queue] = Queue, limit: int = 120_000, **config: Any) -> None:
        self.now = 1_000_000
        self.dead: list[str] = []
        self.accepts_dead = True
        receives = config.pop("receives", None)
        redrive = None if receives is None else Redrive("arn:dlq", receives)
        self.queue = kind(ARN, QueueConfig(redrive=redrive, **config), self._exhausted, limit, Journal())

    def _exhausted(self, queue: Queue, message: Message, now: int) -> bool:
        if self.accepts_dead:
            self.dead.append(body_of(queue, message))
        return self.accepts_dead

    def send(self, *bodies: str, delay: int | None = None, sent: int | None = None) -> None:
        for body in bodies:
            given = self.queue.config.delay if delay is None else delay
            self.queue.put(self.now, kept(body), self.now if sent is None else sent, given, None)
        self.queue.journal.commit()

    def receive(self, count: int = 10, visibility: int | None = None) -> dict[str, str]:
        """Bodies and receipt handles, in order."""
        return {body_of(self.queue, m): self.queue.handle(m) for m in self.queue.receive(self.now, count, visibility)}

    def delete(self, handle: str) -> None:
        self.queue.delete(self.now, handle)

    def hide(self, handle: str, visibility: int) -> None:
        self.queue.change_visibility(self.now, handle, visibility)

    def counts(self) -> tuple[int, int, int]:
        found = self.queue.counts(self.now)
        return found.visible, found.in_flight, found.delayed


def extra(**members: Any) -> Extra:
    return Extra(**members)
