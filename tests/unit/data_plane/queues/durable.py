"""Queues on a directory, with a clock that the test holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.data_plane.queues import attributes
from harness.data_plane.queues.broker import Broker, Hosted
from harness.data_plane.queues.fifo import FifoQueue
from harness.data_plane.queues.journal import Journal
from harness.data_plane.queues.message import Extra
from tests.unit.data_plane.queues.support import body_of, kept

BITS = 12
"""Segments of 4 KiB, so that there are many."""


class Service:
    """A broker on a directory, with a clock, that can be opened anew."""

    def __init__(self, directory: Path, now: int = 1_000_000, bits: int = BITS) -> None:
        self.directory, self.now, self.bits = directory, now, bits
        self.open()

    def open(self) -> None:
        self.journal = Journal(self.directory, self.bits)
        self.broker = Broker("000000000000", "us-east-1", lambda _queue: None, journal=self.journal)
        self.broker.recover()

    def reopen(self) -> None:
        """As after a kill: nothing is closed in an orderly way but the files."""
        self.journal.close()
        self.open()

    def create(self, name: str, tags: dict[str, str] | None = None, **given_: str) -> Hosted:
        fifo = name.endswith(".fifo")
        if fifo:
            given_ = {"FifoQueue": "true", **given_}
        hosted = self.broker.create(self.now, name, attributes.initial(given_, fifo=fifo), tags or {})
        self.journal.commit()
        return hosted

    def send(self, name: str, *bodies: str, delay: int = 0, extra: Extra | None = None) -> None:
        queue = self.broker.get(name).queue
        for body in bodies:
            queue.put(self.now, kept(body), self.now, delay, extra)
        self.journal.commit()

    def send_fifo(self, name: str, group: str, body: str) -> bool:
        """Whether it was new."""
        queue = self.broker.get(name).queue
        assert isinstance(queue, FifoQueue)
        new = queue.earlier(self.now, group, body) is None
        if new:
            queue.send_in_group(self.now, kept(body), body.rjust(36, "x"), group, body, Extra())
        self.journal.commit()
        return new

    def receive(self, name: str, count: int = 10, visibility: int | None = None) -> dict[str, str]:
        queue = self.broker.get(name).queue
        found = {body_of(queue, m): queue.handle(m) for m in queue.receive(self.now, count, visibility)}
        self.journal.commit()
        return found

    def delete(self, name: str, *handles: str) -> None:
        for handle in handles:
            self.broker.get(name).queue.delete(self.now, handle)
        self.journal.commit()


def state(service: Service) -> dict[str, Any]:
    """Everything that a client could find out, by queue."""
    found: dict[str, Any] = {}
    for name, hosted in service.broker.queues.items():
        queue = hosted.queue
        # What came back by itself is in no log: it is found by whoever looks.
        queue.counts(service.now)
        messages = [
            (m.number, m.state, m.due if m.state else 0, m.receives, m.first_received, m.sent, m.group,
             service.journal.contents([m])[0])
            for m in sorted(queue.messages.values(), key=lambda m: m.number)
        ]  # fmt: skip
        found[name] = (queue.token, hosted.attributes, dict(hosted.tags), hosted.created, hosted.purged, messages)
    return found
