"""The queues' changes on their way to the log: those of a request are written together, before it is answered.

Disk use is bounded: the oldest segment goes when no message lies in it any more, and when the log is more than twice
as large as what is alive and SLACK, what is alive in the oldest segment is copied to the end, some with every write.
Only the oldest goes, so an entry that says a message is gone never goes before the entry that has the message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.data_plane.queues import records
from harness.data_plane.queues.errors import SqsError
from harness.data_plane.queues.log import FRAME, SEGMENT_BITS, Log, Segment
from harness.data_plane.queues.message import READY, Extra, Message
from harness.data_plane.queues.records import LENGTH_BITS, LENGTH_MASK, NO_EXTRA

_log = logging.getLogger(__name__)

SLACK_SEGMENTS = 4
"""Segments that the log may have beyond twice what is alive."""
_CLEANED_PER_BYTE = 4
_CLEANED_AT_LEAST = 65_536
_PLAIN = len(NO_EXTRA)
_PUT_HEAD = records.PUT_HEAD.size
_SPAN = 32_768
"""Records of one receive with no more than this many other bytes between them are read in one call."""


class Kept(Protocol):
    """What the journal asks of a queue when it copies what is alive."""

    @property
    def messages(self) -> dict[int, Message]:
        """All messages, by number."""

    def seen_document(self, extra: Extra, message_id: str, /) -> dict[str, Any] | None:
        """Return what is to be kept of a message's deduplication id, None when it is forgotten."""

    def remembers(self, members: dict[str, Any], /) -> bool:
        """Return whether what `seen_document` gave is still remembered."""


class StorageError(SqsError):
    """The log cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            "ServiceUnavailable",
            f"The queues' log cannot be written: {error.strerror or error}. Nothing is accepted until it can be.",
        )


class Journal:
    """Collects changes and writes them. `queues` has the queues by id, `snapshot` gives the documents that describe
    them, with which each segment begins."""

    def __init__(self, directory: Path | None = None, segment_bits: int = SEGMENT_BITS) -> None:
        """Open the log, in temporary files without a directory; raises OSError. With one, `recovery.recover` comes
        next."""
        self.log = Log(directory, segment_bits)
        self.queues: dict[int, Kept] = {}
        self.snapshot: Callable[[], Iterable[dict[str, Any]]] = tuple
        self.live_bytes = 0
        self._slack = SLACK_SEGMENTS << segment_bits
        self._shift = segment_bits + LENGTH_BITS
        # What is noted, in parts, and the position after it.
        self._parts: list[bytes] = []
        self._end = 0
        self._gone: dict[int, list[int]] = {}
        # Of what is noted and not yet counted: messages, and the bytes of their records.
        self._put_count = 0
        self._put_bytes = 0
        self._seen = False
        self._cleaned = 0
        self._failing = False
        if directory is None:
            self.roll()

    # what queues say

    def put(self, queue: int, message: Message, content: bytes, extra: Extra | None, seen: int = 0) -> None:
        """Note a new message, and where it lies."""
        self._put(queue, message, records.record(content, extra), seen)

    def _put(self, queue: int, message: Message, kept: bytes, seen: int) -> None:
        self._parts += (records.put(queue, message, len(kept), seen), kept)
        message.place = (self._end + _PUT_HEAD) << LENGTH_BITS | len(kept)
        self._end += _PUT_HEAD + len(kept)
        self._put_count += 1
        self._put_bytes += len(kept)
        if seen:
            self._seen = True

    def put_plain(self, queue: int, now: int, messages: list[Message], contents: list[bytes]) -> None:
        """Note new messages that were sent now and are ready and nothing but their contents, as `put` does each."""
        pack = records.PLAIN_HEAD.pack
        at = self._end + _PUT_HEAD
        parts = self._parts
        total = 0
        for message, content in zip(messages, contents, strict=True):
            length = len(content) + _PLAIN
            parts += (pack(records.PUT, READY, 0, queue, 0, length, message.number, now, 0, 0, 0), content)
            message.place = at << LENGTH_BITS | length
            at += length + _PUT_HEAD
            total += length
        self._end = at - _PUT_HEAD
        self._put_count += len(messages)
        self._put_bytes += total

    def _note(self, entry: bytes) -> None:
        self._parts.append(entry)
        self._end += len(entry)

    def taken(self, queue: int, now: int, due: int, messages: list[Message]) -> None:
        """Note that messages were received, to be visible again at `due`; 0: at once."""
        flat: list[int] = []
        for message in messages:
            flat += (message.number, message.receives)
        self._note(records.TAKEN_HEAD.pack(records.TAKEN, len(messages), queue, now, due) + records.numbers(flat))

    def state(self, queue: int, message: Message) -> None:
        """Note a message's changed state and deadline."""
        self._note(records.STATE_ENTRY.pack(records.STATE, message.state, queue, message.number, message.due))

    def gone(self, queue: int, message: Message) -> None:
        """Note that a message left its queue."""
        self._forget(message)
        numbers = self._gone.get(queue)
        if numbers is None:
            self._gone[queue] = [message.number]
        else:
            numbers.append(message.number)

    def _forget(self, message: Message) -> None:
        place, log = message.place, self.log
        position = place >> LENGTH_BITS
        # A put of this very frame is not yet counted.
        if position < log.end:
            self.live_bytes -= place & LENGTH_MASK
            log.by_index[position >> log.bits].live -= 1
        else:
            self._put_count -= 1
            self._put_bytes -= place & LENGTH_MASK

    def count(self, message: Message) -> None:
        """Count a message that the log had."""
        self.live_bytes += message.place & LENGTH_MASK
        self.log.by_index[message.place >> LENGTH_BITS >> self.log.bits].live += 1

    def emptied(self, messages: Iterable[Message]) -> None:
        """Forget the places of messages whose queue was purged or deleted."""
        for message in messages:
            self._forget(message)

    def document(self, members: dict[str, Any]) -> None:
        """Note a document."""
        self._note(records.document(members))

    # reading

    def contents(self, messages: Sequence[Message]) -> list[tuple[bytes, Extra | None]]:
        """Return content and extra of messages."""
        places = [m.place for m in messages]
        first, last = min(places), max(places)
        begin, end = first >> LENGTH_BITS, (last >> LENGTH_BITS) + (last & LENGTH_MASK)
        near = end - begin <= sum(place & LENGTH_MASK for place in places) + _SPAN
        if near and first >> self._shift == last >> self._shift and end <= self.log.end:
            data = self.log.read(begin, end - begin)
            found: list[tuple[bytes, Extra | None]] = []
            for place in places:
                at = (place >> LENGTH_BITS) - begin
                kept = data[at : at + (place & LENGTH_MASK)]
                found.append((kept[_PLAIN:], None) if kept[:_PLAIN] == NO_EXTRA else records.content_of(kept))
            return found
        return [records.content_of(self._read(place)) for place in places]

    def _read(self, place: int) -> bytes:
        position, length = place >> LENGTH_BITS, place & LENGTH_MASK
        if position >= self.log.end:
            at = position - self.log.end - FRAME.size
            return b"".join(self._parts)[at : at + length]
        return self.log.read(position, length)

    # writing

    def commit(self) -> None:
        """Write what is noted; raises StorageError when that fails. It stays noted then, and is written by the first
        call that succeeds: until then nothing else may be changed, so call this before every change, too."""
        if not self._parts and not self._gone:
            return
        try:
            written = self._write()
        except OSError as error:
            self._say(error)
            raise StorageError(error) from error
        self._failing = False
        log = self.log
        if len(log.segments) == 1 and not log.full:
            return
        try:
            self._tidy(written)
        except OSError as error:
            # What was asked for is written. Copies that are not come before the next change.
            self._say(error)

    def _say(self, error: OSError) -> None:
        if not self._failing:
            _log.error("the queues' log cannot be written: %s", error)
        self._failing = True

    def _write(self) -> int:
        for queue, numbers in self._gone.items():
            self._note(records.GONE_HEAD.pack(records.GONE, queue, len(numbers)) + records.numbers(numbers))
        self._gone.clear()
        payload = b"".join(self._parts)
        self.log.write(payload)
        self._parts.clear()
        self._end = self.log.end + FRAME.size
        segment = self.log.segments[-1]
        segment.live += self._put_count
        self.live_bytes += self._put_bytes
        self._put_count = self._put_bytes = 0
        segment.seen = segment.seen or self._seen
        self._seen = False
        return len(payload)

    def roll(self) -> None:
        """Begin a segment with a description of all queues; raises OSError. Nothing may be noted."""
        self.log.roll()
        try:
            self.log.write(b"".join(records.document(d) for d in self.snapshot()))
        except OSError:
            self.log.drop(self.log.segments[-1])
            raise
        finally:
            self._end = self.log.end + FRAME.size

    def _tidy(self, written: int) -> None:
        log = self.log
        if log.full:
            self.roll()
        budget = max(_CLEANED_AT_LEAST, _CLEANED_PER_BYTE * written)
        while len(log.segments) > 1 and budget > 0:
            oldest = log.segments[0]
            if not oldest.live and not oldest.seen:
                log.drop(oldest)
                self._cleaned = 0
                continue
            if log.size <= 2 * self.live_bytes + self._slack:
                return
            budget -= self._clean(oldest, budget)

    def _clean(self, segment: Segment, budget: int) -> int:
        """Copy what is alive in the next frames of the oldest segment; returns how many bytes were looked at."""
        looked = 0
        for at, payload in segment.frames(self._cleaned):
            self._copy(segment.base + at + FRAME.size, payload)
            looked += FRAME.size + len(payload)
            self._cleaned = at + FRAME.size + len(payload)
            if looked >= budget:
                break
        else:
            self._cleaned = segment.size
        if self._parts:
            self._write()
        if self._cleaned >= segment.size:
            segment.seen = False
            if segment.live:
                raise OSError(f"{segment.path} has {segment.live} messages that are not in it")
        return max(1, looked)

    def _copy(self, position: int, payload: bytes) -> None:
        for entry in records.entries(payload):
            if isinstance(entry, records.Put):
                self._copy_put(position, payload, entry)
            elif isinstance(entry, dict) and "seen" in entry:
                queue = self.queues.get(entry["seen"])
                if queue is not None and queue.remembers(entry):
                    self.seen(entry)

    def _copy_put(self, position: int, payload: bytes, entry: records.Put) -> None:
        queue = self.queues.get(entry.queue)
        if queue is None:
            return
        kept = payload[entry.offset : entry.offset + entry.message.place]
        if entry.seen:
            content, extra = records.content_of(kept)
            found = None if extra is None else queue.seen_document(extra, content[32:68].decode())
            if found is not None:
                self.seen(found)
        message = queue.messages.get(entry.message.number)
        if message is not None and message.place >> LENGTH_BITS == position + entry.offset:
            self._forget(message)
            self._put(entry.queue, message, kept, records.NOT_SEEN)

    def seen(self, members: dict[str, Any]) -> None:
        """Note a deduplication id whose message is copied or gone."""
        self.document(members)
        self._seen = True

    def close(self) -> None:
        """Close the files."""
        self.log.close()
