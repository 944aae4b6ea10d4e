"""What a frame of the log is made of: entries, each a change of one queue's messages, or a JSON document.

A message's record is the length of its extra, the extra as JSON (empty when it has none) and its content; its place,
position and length in one integer, is all that memory keeps of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from harness.data_plane.queues.message import Extra, Message

PUT, TAKEN, STATE, GONE, DOCUMENT = 1, 2, 3, 4, 5
NOT_SEEN, SEEN_IN_QUEUE, SEEN_IN_GROUP = 0, 1, 2
"""Whether a put is one that later messages with its deduplication id are duplicates of, and in which scope."""

PUT_HEAD = struct.Struct("<BBBxIIIQQQQ")
"""Kind, state, seen, queue, receives, length of the record, number, sent, due, first received."""
PLAIN_HEAD = struct.Struct("<BBBxIIIQQQQI")
"""The same and the length of an extra, which is 0."""
TAKEN_HEAD = struct.Struct("<BxHIQQ")
"""Kind, messages, queue, when, due; then number and receives of each, 8 bytes each."""
STATE_ENTRY = struct.Struct("<BBxxIQQ")
"""Kind, state, queue, number, due."""
GONE_HEAD = struct.Struct("<BxxxII")
"""Kind, queue, messages; then their numbers, 8 bytes each."""
DOCUMENT_HEAD = struct.Struct("<BxxxI")
"""Kind, length of the JSON."""
_EXTRA_LENGTH = struct.Struct("<I")
NO_EXTRA = _EXTRA_LENGTH.pack(0)
LENGTH_BITS = 24
LENGTH_MASK = (1 << LENGTH_BITS) - 1
"""A record has at most 6 MiB and some: 1 MiB of text, of which JSON may escape every byte, and its attributes."""
_NUMBERS = tuple(struct.Struct(f"<{count}Q") for count in range(21))


class Put(NamedTuple):
    """A message with its whole state; `place` is where its record is, `offset` the record's in the frame."""

    queue: int
    message: Message
    seen: int
    offset: int


class Taken(NamedTuple):
    """Messages, as (number, receives), that were received at `now`; visible again at `due`, 0: at once."""

    queue: int
    now: int
    due: int
    messages: list[tuple[int, int]]


class State(NamedTuple):
    """A message that was hidden until `due` or made visible (`state` says which)."""

    queue: int
    state: int
    number: int
    due: int


class Gone(NamedTuple):
    """Messages that left their queue."""

    queue: int
    numbers: tuple[int, ...]


Entry = Put | Taken | State | Gone | dict[str, Any]


def numbers(values: list[int]) -> bytes:
    """Return numbers as bytes."""
    packer = _NUMBERS[len(values)] if len(values) < len(_NUMBERS) else struct.Struct(f"<{len(values)}Q")
    return packer.pack(*values)


def record(content: bytes, extra: Extra | None) -> bytes:
    """Return what is kept of a message beside its state."""
    if extra is None:
        return NO_EXTRA + content
    members = {
        "a": extra.attributes.decode(),
        "m": extra.md5,
        "t": extra.trace_header,
        "g": extra.group,
        "d": extra.deduplication_id,
        "s": None if extra.sequence is None else str(extra.sequence),
        "f": extra.source_arn,
        "r": extra.receives_before,
    }
    kept = orjson.dumps({name: value for name, value in members.items() if value})
    return _EXTRA_LENGTH.pack(len(kept)) + kept + content


def content_of(kept: bytes) -> tuple[bytes, Extra | None]:
    """Return content and extra of a record."""
    length = int.from_bytes(kept[:4], "little")
    if not length:
        return kept[4:], None
    members = orjson.loads(kept[4 : 4 + length])
    get = members.get
    extra = Extra(
        get("a", "").encode(),
        get("m", ""),
        get("t", ""),
        get("g"),
        get("d"),
        int(members["s"]) if "s" in members else None,
        get("f", ""),
        get("r", 0),
    )
    return kept[4 + length :], extra


def put(queue: int, message: Message, length: int, seen: int) -> bytes:
    """Return the head of a put; the record, of `length` bytes, comes after it."""
    m = message
    return PUT_HEAD.pack(PUT, m.state, seen, queue, m.receives, length, m.number, m.sent, m.due, m.first_received)


def document(members: dict[str, Any]) -> bytes:
    """Return a document's entry."""
    data = orjson.dumps(members)
    return DOCUMENT_HEAD.pack(DOCUMENT, len(data)) + data


def entries(payload: bytes) -> Iterator[Entry]:
    """Yield the entries of a frame."""
    at = 0
    while at < len(payload):
        kind = payload[at]
        if kind == PUT:
            _, state, seen, queue, receives, length, number, sent, due, first = PUT_HEAD.unpack_from(payload, at)
            at += PUT_HEAD.size
            message = Message(number, sent)
            message.state, message.receives, message.due, message.first_received = state, receives, due, first
            message.place = length
            yield Put(queue, message, seen, at)
            at += length
        elif kind == TAKEN:
            _, count, queue, now, due = TAKEN_HEAD.unpack_from(payload, at)
            at += TAKEN_HEAD.size
            flat = struct.unpack_from(f"<{2 * count}Q", payload, at)
            at += 16 * count
            yield Taken(queue, now, due, list(zip(flat[::2], flat[1::2], strict=True)))
        elif kind == STATE:
            _, state, queue, number, due = STATE_ENTRY.unpack_from(payload, at)
            at += STATE_ENTRY.size
            yield State(queue, state, number, due)
        elif kind == GONE:
            _, queue, count = GONE_HEAD.unpack_from(payload, at)
            at += GONE_HEAD.size
            yield Gone(queue, struct.unpack_from(f"<{count}Q", payload, at))
            at += 8 * count
        elif kind == DOCUMENT:
            length = DOCUMENT_HEAD.unpack_from(payload, at)[1]
            at += DOCUMENT_HEAD.size
            yield orjson.loads(payload[at : at + length])
            at += length
        else:
            raise OSError(f"the log has an entry of kind {kind}, which this version does not know")
