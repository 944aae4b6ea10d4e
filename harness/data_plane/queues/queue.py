"""A standard queue: every method is given the time, nothing waits, nothing is sent. Changes are noted in a journal.

Ready messages stand in order of arrival, those that come back (their visibility timeout ended) before all others;
delayed and in-flight ones lie in `Deadlines`. No operation walks the queue: each costs O(log n) or less, amortized.
"""

from __future__ import annotations

import heapq
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.data_plane.queues import limits
from harness.data_plane.queues.deadlines import Deadlines
from harness.data_plane.queues.errors import SqsError, invalid_value, not_a_handle
from harness.data_plane.queues.journal import Journal
from harness.data_plane.queues.message import DELAYED, GONE, IN_FLIGHT, READY, Extra, Message
from harness.data_plane.queues.meter import RequestMeter
from harness.data_plane.queues.records import NOT_SEEN

_HANDLE_PREFIX = "AQEB"
_LONGEST_HANDLE = 64
Exhausted = Callable[["Queue", Message, int], bool]
"""Given a queue, a message that was received as often as its policy allows, and the time: move it to the dead-letter
queue and return True, or return False when there is none, so that it is received once more."""


@dataclass(frozen=True)
class Redrive:
    """A redrive policy."""

    target_arn: str
    max_receives: int


@dataclass(frozen=True)
class QueueConfig:
    """What a queue's attributes mean for its messages; times in ms, sizes in bytes."""

    visibility: int = 30_000
    delay: int = 0
    retention: int = 345_600_000
    wait: int = 0
    max_bytes: int = limits.MESSAGE_BYTES
    redrive: Redrive | None = None
    fifo: bool = False
    content_deduplication: bool = False
    group_deduplication: bool = False


@dataclass(frozen=True)
class Counts:
    """Messages that are visible, in flight and delayed."""

    visible: int
    in_flight: int
    delayed: int


class Queue:
    """A standard queue."""

    def __init__(
        self,
        arn: str,
        config: QueueConfig,
        exhausted: Exhausted,
        in_flight_limit: int,
        journal: Journal,
        identity: int = 0,
    ) -> None:
        self.arn = arn
        self.config = config
        self.identity = identity
        self.journal = journal
        self.meter = RequestMeter()
        journal.queues[identity] = self
        self._exhausted = exhausted
        self._limit = in_flight_limit
        # Receipt handles of an earlier queue of the same name are none of this one's.
        self.token = f"{_HANDLE_PREFIX}{secrets.token_hex(8)}"
        self.numbers = 0
        self._advanced = -1
        self._empty()

    @property
    def name(self) -> str:
        """The queue's name."""
        return self.arn.rsplit(":", 1)[-1]

    def _empty(self) -> None:
        self._fresh: deque[Message] = deque()
        self._returned: list[tuple[int, Message]] = []
        self._ready = 0
        self._delayed: Deadlines[Message] = Deadlines()
        self._flying: Deadlines[Message] = Deadlines()
        self.messages: dict[int, Message] = {}

    # sending

    def put(
        self,
        now: int,
        content: bytes,
        sent: int,
        delay: int,
        extra: Extra | None,
        seen: int = NOT_SEEN,
        first_received: int = 0,
    ) -> Message:
        """Add a message and return it. `sent` is earlier than `now` when it comes from another queue; `delay` in ms;
        `seen` as in `records`."""
        self.numbers += 1
        message = Message(self.numbers, sent, None if extra is None else extra.group)
        message.first_received = first_received
        self.messages[message.number] = message
        if delay > 0:
            message.state = DELAYED
            message.due = now + delay
            self._delayed.add(message.due, message.number, message)
        else:
            self._ready += 1
            self._put_ready(message)
        self.journal.put(self.identity, message, content, extra, seen)
        return message

    def put_plain(self, now: int, contents: list[bytes]) -> None:
        """Add messages that were sent now, with the queue's delay and nothing but their contents."""
        if self.config.delay:
            for content in contents:
                self.put(now, content, now, self.config.delay, None)
            return
        first = self.numbers + 1
        self.numbers += len(contents)
        self._ready += len(contents)
        added = [Message(number, now) for number in range(first, first + len(contents))]
        self._fresh.extend(added)
        self.messages.update(zip(range(first, first + len(contents)), added, strict=True))
        self.journal.put_plain(self.identity, now, added, contents)

    # receiving

    def receive(self, now: int, count: int, visibility: int | None = None) -> list[Message]:
        """Return up to `count` messages, now in flight for `visibility` ms (None: the queue's own).

        Returns fewer, or none, when the number in flight reaches its limit; `over_limit` tells.
        """
        self._advance(now)
        if not self._ready:
            return []
        count = min(count, self._limit - len(self._flying))
        hidden = self.config.visibility if visibility is None else visibility
        redrive = self.config.redrive
        taken: list[Message] = []
        while len(taken) < count and (message := self._take(now)) is not None:
            if redrive is not None and message.receives >= redrive.max_receives and self._exhausted(self, message, now):
                self._leave(message)
                continue
            taken.append(message)
            self._deliver(now, message, hidden)
        for message in taken:
            if hidden <= 0:
                self._come_back(message)
        self._settle()
        if taken:
            self.journal.taken(self.identity, now, now + hidden if hidden > 0 else 0, taken)
        return taken

    def redeliver(self, now: int, message: Message, visibility: int | None) -> None:
        """Give an in-flight message the visibility timeout anew (a receive that is attempted again)."""
        self._flying.discard(message.due, message.number)
        message.due = now + (self.config.visibility if visibility is None else visibility)
        self._flying.add(message.due, message.number, message)
        self.journal.state(self.identity, message)

    def _deliver(self, now: int, message: Message, hidden: int) -> None:
        message.receives += 1
        if not message.first_received:
            message.first_received = now
        message.state = IN_FLIGHT
        message.due = now + hidden
        if hidden > 0:
            self._flying.add(message.due, message.number, message)

    def over_limit(self, now: int) -> bool:
        """Return whether as many messages are in flight as may be."""
        self._advance(now)
        return len(self._flying) >= self._limit

    def handle(self, message: Message) -> str:
        """Return the receipt handle of a message that was just received."""
        return f"{self.token}.{message.number}.{message.receives}"

    # deleting and hiding

    def delete(self, now: int, handle: str) -> None:
        """Delete the message of a receipt handle; raises SqsError for a handle that is not this queue's.

        As on SQS a message that is gone already is no error. An older handle, from an earlier receive, deletes the
        message too, of which SQS says only that it may not.
        """
        message = self._find(now, handle)
        if message is not None:
            self.remove(message)

    def change_visibility(self, now: int, handle: str, visibility: int) -> None:
        """Make the message of a handle visible `visibility` ms from now; 0 is at once. Raises SqsError.

        An older handle of the message does it, too (observed on AWS).
        """
        message = self._find(now, handle)
        if message is None:
            raise invalid_value(
                handle,
                "ReceiptHandle",
                "Message does not exist or is not available for visibility timeout change.",
            )
        if message.state == IN_FLIGHT:
            self._flying.discard(message.due, message.number)
            if visibility > 0:
                message.due = now + visibility
                self._flying.add(message.due, message.number, message)
            else:
                self._come_back(message)
        elif visibility > 0:
            # It was visible again, but nobody else has received it yet.
            self._unready()
            message.state = IN_FLIGHT
            message.due = now + visibility
            self._flying.add(message.due, message.number, message)
        self.journal.state(self.identity, message)

    def remove(self, message: Message) -> None:
        """Take a received message out, wherever it is."""
        if message.state == IN_FLIGHT:
            self._flying.discard(message.due, message.number)
        elif message.state == READY:
            self._unready()
        self._leave(message)

    def _leave(self, message: Message) -> None:
        message.state = GONE
        del self.messages[message.number]
        self.journal.gone(self.identity, message)
        self._removed(message)

    def _find(self, now: int, handle: str) -> Message | None:
        """Return the message of a receipt handle, None when it is gone."""
        self._advance(now)
        message = self.messages.get(self._parse(handle)[0])
        return message if message is not None and message.receives else None

    def _parse(self, handle: str) -> tuple[int, int]:
        parts = handle.split(".")
        if len(parts) != 3 or len(handle) > _LONGEST_HANDLE or not handle.isascii():
            raise not_a_handle(handle)
        token, number, receives = parts
        if token != self.token or not (number.isdecimal() and receives.isdecimal()):
            raise not_a_handle(handle)
        return int(number), int(receives)

    def purge(self) -> None:
        """Drop every message."""
        self.journal.emptied(self.messages.values())
        self.journal.document({"purge": self.identity})
        self._empty()

    # looking

    def counts(self, now: int) -> Counts:
        """Return how many messages are visible, in flight and delayed."""
        self._advance(now)
        self._drop_expired(now)
        return Counts(self._ready, len(self._flying), len(self._delayed))

    def next_event(self) -> int | None:
        """Return when the next delayed or in-flight message becomes visible; None when there is none."""
        instants = [t for t in (self._delayed.next(), self._flying.next()) if t is not None]
        return min(instants) if instants else None

    def take_for_move(self, now: int) -> Message | None:
        """Take a visible message out of the queue for good; None when there is none."""
        self._advance(now)
        message = self._take(now)
        if message is not None:
            self._leave(message)
        self._settle()
        return message

    # after a restart

    def restore(self, messages: dict[int, Message]) -> None:
        """Take on messages that a log had, by number, each in its state."""
        self.messages = messages
        for number in sorted(messages):
            message = messages[number]
            if message.state == DELAYED:
                self._delayed.add(message.due, number, message)
            elif message.state == IN_FLIGHT:
                self._restore_in_flight(message)
            elif message.receives:
                self._come_back(message)
            else:
                self._ready += 1
                self._put_ready(message)

    def _restore_in_flight(self, message: Message) -> None:
        self._flying.add(message.due, message.number, message)

    def restore_seen(self, members: dict[str, Any]) -> None:
        """Take on a deduplication id; a standard queue has none."""

    def seen_document(self, _extra: Extra, _message_id: str, /) -> dict[str, Any] | None:
        """Return what is to be kept of a message's deduplication id: nothing in a standard queue."""
        return None

    def remembers(self, _members: dict[str, Any], /) -> bool:
        """Return whether a deduplication id is still remembered: none is in a standard queue."""
        return False

    def reconfigure(self, now: int, config: QueueConfig) -> None:
        """Take on changed attributes. A changed delay holds for messages sent from now on."""
        self._advance(now)
        self.config = config

    def _advance(self, now: int) -> None:
        """Make visible what is due. Nothing becomes due at the instant at which it is hidden."""
        if now == self._advanced:
            return
        self._advanced = now
        for message in self._delayed.take_due(now):
            message.state = READY
            self._ready += 1
            self._put_due(message)
        for message in self._flying.take_due(now):
            self._come_back(message)

    def _come_back(self, message: Message) -> None:
        message.state = READY
        self._ready += 1
        self._put_back(message)

    # the order of ready messages: what a FIFO queue does otherwise

    def _put_ready(self, message: Message) -> None:
        self._fresh.append(message)

    def _put_back(self, message: Message) -> None:
        if not message.listed:
            message.listed = True
            heapq.heappush(self._returned, (message.number, message))

    def _put_due(self, message: Message) -> None:
        """Put a message whose delay is over. Its place is among those sent when it was sent."""
        self._put_back(message)

    def _unready(self) -> None:
        """Take a message that had come back out of the ready ones; its entry in the heap is dropped later."""
        self._ready -= 1

    def _take(self, now: int) -> Message | None:
        """Take the next message that is ready and not past its retention."""
        oldest = now - self.config.retention
        while self._ready:
            if self._returned:
                message = heapq.heappop(self._returned)[1]
                message.listed = False
                if message.state != READY:
                    continue
            else:
                message = self._fresh.popleft()
            self._ready -= 1
            if message.sent > oldest:
                return message
            self._expire(message)
        return None

    def _removed(self, message: Message) -> None:
        """Hear of a message that left the queue for good."""

    def _settle(self) -> None:
        """End a receive."""

    def _expire(self, message: Message) -> None:
        self._leave(message)

    def _drop_expired(self, now: int) -> None:
        oldest = now - self.config.retention
        while self._fresh and self._fresh[0].sent <= oldest:
            self._ready -= 1
            self._expire(self._fresh.popleft())
        while self._returned and (self._returned[0][1].state != READY or self._returned[0][1].sent <= oldest):
            message = heapq.heappop(self._returned)[1]
            message.listed = False
            if message.state == READY:
                self._ready -= 1
                self._expire(message)


def over_limit() -> SqsError:
    """Return the error of a short poll while as many messages are in flight as may be."""
    return SqsError("OverLimit", "Too many messages in flight.")
