"""A FIFO queue: order within message groups, deduplication, receive attempts.

A group's messages are received in order, up to the first one that is in flight: it blocks all that came after it, but
not those before it (observed on AWS: of three messages received together, the two before the one whose visibility was
extended come back, the ones after it do not).
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Any

from harness.data_plane.queues import limits
from harness.data_plane.queues.errors import invalid_value
from harness.data_plane.queues.journal import Journal
from harness.data_plane.queues.message import DELAYED, IN_FLIGHT, READY, Extra, Message
from harness.data_plane.queues.queue import Exhausted, Queue, QueueConfig
from harness.data_plane.queues.records import SEEN_IN_GROUP, SEEN_IN_QUEUE

_FIRST_SEQUENCE = 18_897_385_164_275_957_760
_SEQUENCE_STEP = 256
"""Sequence numbers have 20 digits and need not be consecutive."""
_NEVER = 1 << 62

DeduplicationKey = str | tuple[str, str]


class _Group:
    """A message group: what waits for its first receive, what came back, and the numbers of what is in flight."""

    __slots__ = ("flying", "name", "open", "returned", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: deque[Message] = deque()
        self.returned: list[tuple[int, Message]] = []
        self.flying: list[int] = []
        self.open = False

    def head(self) -> Message | None:
        """Return the oldest message that is not in flight."""
        if self.returned:
            return self.returned[0][1]
        return self.waiting[0] if self.waiting else None

    def drop_head(self) -> None:
        """Take out what `head` returned."""
        if self.returned:
            heapq.heappop(self.returned)
        else:
            self.waiting.popleft()


class FifoQueue(Queue):
    """A FIFO queue. Send with `send_in_group`."""

    def __init__(
        self,
        arn: str,
        config: QueueConfig,
        exhausted: Exhausted,
        in_flight_limit: int,
        journal: Journal,
        identity: int = 0,
    ) -> None:
        super().__init__(arn, config, exhausted, in_flight_limit, journal, identity)
        # Message id, sequence number, until when.
        self._seen: dict[DeduplicationKey, tuple[str, int, int]] = {}
        self._seen_until: deque[tuple[int, DeduplicationKey]] = deque()
        self._attempts: dict[str, list[tuple[Message, int]]] = {}
        self._attempts_until: deque[tuple[int, str]] = deque()

    def purge(self) -> None:
        """Drop every message, and the memory of deduplication ids (observed on AWS)."""
        super().purge()
        self._seen.clear()
        self._seen_until.clear()

    def _empty(self) -> None:
        super()._empty()
        self._groups: dict[str, _Group] = {}
        # Groups that had a message to receive when they were put here, in that order.
        self._open: deque[_Group] = deque()
        self._current: _Group | None = None
        self._bound = 0

    # sending

    def earlier(self, now: int, group: str, deduplication_id: str) -> tuple[str, int] | None:
        """Return message id and sequence number of the message that was sent with this deduplication id less than five
        minutes ago; None when there is none."""
        until = self._seen_until
        while until and until[0][0] <= now:
            self._seen.pop(until.popleft()[1], None)
        found = self._seen.get(deduplication_id) or self._seen.get((group, deduplication_id))
        return None if found is None else found[:2]

    def send_in_group(
        self, now: int, content: bytes, message_id: str, group: str, deduplication_id: str, extra: Extra
    ) -> Message:
        """Add a message that is no duplicate (see `earlier`), with the queue's delay. Returns it."""
        sequence = _FIRST_SEQUENCE + (self.numbers + 1) * _SEQUENCE_STEP
        extra.group, extra.deduplication_id, extra.sequence = group, deduplication_id, sequence
        key: DeduplicationKey = (group, deduplication_id) if self.config.group_deduplication else deduplication_id
        self._see(key, message_id, sequence, now + limits.DEDUPLICATION_MS)
        seen = SEEN_IN_GROUP if self.config.group_deduplication else SEEN_IN_QUEUE
        return self.put(now, content, now, self.config.delay, extra, seen)

    # receiving

    def receive_attempt(self, now: int, attempt: str, count: int, visibility: int | None = None) -> list[Message]:
        """Receive, or receive again what the same attempt id received less than five minutes ago, with the same
        receipt handles, if all of that is still in flight."""
        until = self._attempts_until
        while until and until[0][0] <= now:
            self._attempts.pop(until.popleft()[1], None)
        self._advance(now)
        before = self._attempts.get(attempt)
        if before is not None and all(m.state == IN_FLIGHT and m.receives == receives for m, receives in before):
            for message, _ in before:
                self.redeliver(now, message, visibility)
            return [message for message, _ in before]
        messages = self.receive(now, count, visibility)
        if messages:
            if attempt not in self._attempts:
                self._attempts_until.append((now + limits.DEDUPLICATION_MS, attempt))
            self._attempts[attempt] = [(m, m.receives) for m in messages]
        return messages

    def _deliver(self, now: int, message: Message, hidden: int) -> None:
        super()._deliver(now, message, hidden)
        heapq.heappush(self._group(message).flying, message.number)

    def _find(self, now: int, handle: str) -> Message | None:
        """As in a standard queue, but a handle ends with its visibility timeout, and using it then is an error."""
        self._advance(now)
        number, receives = self._parse(handle)
        message = self.messages.get(number)
        if message is None or not message.receives:
            return None
        if message.receives != receives or message.state != IN_FLIGHT:
            raise invalid_value(handle, "ReceiptHandle", "The receipt handle has expired.")
        return message

    # groups

    def _group(self, message: Message) -> _Group:
        name = message.group or ""
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = _Group(name)
        return group

    def _put_ready(self, message: Message) -> None:
        group = self._group(message)
        group.waiting.append(message)
        self._offer(group)

    def _put_due(self, message: Message) -> None:
        self._put_ready(message)

    def _put_back(self, message: Message) -> None:
        group = self._group(message)
        heapq.heappush(group.returned, (message.number, message))
        self._offer(group)

    def _first_in_flight(self, group: _Group) -> int:
        flying = group.flying
        while flying:
            message = self.messages.get(flying[0])
            if message is not None and message.state == IN_FLIGHT:
                return flying[0]
            heapq.heappop(flying)
        return _NEVER

    def _offer(self, group: _Group) -> None:
        """Put a group among the open ones if it has something to receive; forget it if it has nothing at all."""
        if group.open or group is self._current:
            return
        head = group.head()
        first = self._first_in_flight(group)
        if head is None:
            if first == _NEVER:
                self._groups.pop(group.name, None)
        elif head.number < first:
            group.open = True
            self._open.append(group)

    def _take(self, now: int) -> Message | None:
        oldest = now - self.config.retention
        while True:
            group = self._current
            if group is None:
                if not self._open:
                    return None
                group = self._current = self._open.popleft()
                group.open = False
                # What this receive takes from the group does not block what it takes next.
                self._bound = self._first_in_flight(group)
            head = group.head()
            if head is None or head.number > self._bound:
                self._settle()
                continue
            group.drop_head()
            self._ready -= 1
            if head.sent > oldest:
                return head
            self._expire(head)

    def _settle(self) -> None:
        group, self._current = self._current, None
        if group is not None:
            self._offer(group)

    def _removed(self, message: Message) -> None:
        self._offer(self._group(message))

    def _drop_expired(self, now: int) -> None:
        """Leave it to `_take`: a group's messages go when their turn comes, as on SQS counts are approximate."""

    def reconfigure(self, now: int, config: QueueConfig) -> None:
        """Take on changed attributes. Unlike in a standard queue a changed delay holds for messages already sent."""
        changed = config.delay != self.config.delay
        super().reconfigure(now, config)
        if not changed:
            return
        for message in sorted(self._delayed.values(), key=lambda m: m.number):
            self._delayed.discard(message.due, message.number)
            message.due = message.sent + config.delay
            if message.due > now:
                message.state = DELAYED
                self._delayed.add(message.due, message.number, message)
            else:
                message.state = READY
                self._ready += 1
                self._put_ready(message)
            self.journal.state(self.identity, message)

    # after a restart

    def _restore_in_flight(self, message: Message) -> None:
        super()._restore_in_flight(message)
        heapq.heappush(self._group(message).flying, message.number)

    def restore_seen(self, members: dict[str, Any]) -> None:
        """Take on a deduplication id as `seen_document` gave it; those that are forgotten later come later."""
        key: DeduplicationKey = members["id"] if members["group"] is None else (members["group"], members["id"])
        self._see(key, members["message"], int(members["sequence"]), members["until"])

    def _see(self, key: DeduplicationKey, message_id: str, sequence: int, until: int) -> None:
        self._seen[key] = (message_id, sequence, until)
        self._seen_until.append((until, key))

    def seen_document(self, extra: Extra, message_id: str, /) -> dict[str, Any] | None:
        """Return what is to be kept of a message's deduplication id, None when it is forgotten."""
        group, name = extra.group or "", extra.deduplication_id or ""
        keys: tuple[DeduplicationKey, ...] = (name, (group, name))
        for key in keys:
            found = self._seen.get(key)
            if found is not None and found[0] == message_id:
                return {
                    "seen": self.identity,
                    "group": None if key == name else group,
                    "id": name,
                    "message": message_id,
                    "sequence": str(found[1]),
                    "until": found[2],
                }
        return None

    def remembers(self, members: dict[str, Any], /) -> bool:
        """Return whether a deduplication id as `seen_document` gave it is still remembered."""
        key: DeduplicationKey = members["id"] if members["group"] is None else (members["group"], members["id"])
        found = self._seen.get(key)
        return found is not None and found[0] == members["message"]
