"""A message as it is kept: one small object in memory, its content and its extra in the log."""

from __future__ import annotations

from dataclasses import dataclass

READY, DELAYED, IN_FLIGHT, GONE = 0, 1, 2, 3
"""Where a message is. GONE: deleted, moved, or past its retention; whoever still holds it drops it."""

_MD5, _ID = 32, 36


@dataclass(slots=True)
class Extra:
    """What most messages do not have.

    `attributes` is the JSON object of the message attributes, `md5` the checksum of all of them. `receives_before`
    counts the receives in the queue that the message was moved from, which is `source_arn`.
    """

    attributes: bytes = b""
    md5: str = ""
    trace_header: str = ""
    group: str | None = None
    deduplication_id: str | None = None
    sequence: int | None = None
    source_arn: str = ""
    receives_before: int = 0


class Message:
    """A message in a queue. Times are milliseconds since 1970.

    `number` counts the queue's messages in order of arrival. `due` is when a delayed or in-flight message becomes
    visible. `first_received` is 0 before the first receive. `listed` says whether it stands among those that came back.
    `place` says where the log has its record (`records.py`), `group` is a FIFO queue's message group.
    """

    __slots__ = ("due", "first_received", "group", "listed", "number", "place", "receives", "sent", "state")

    def __init__(self, number: int, sent: int, group: str | None = None) -> None:
        self.place = 0
        self.number = number
        self.sent = sent
        self.group = group
        self.receives = 0
        self.first_received = 0
        self.due = 0
        self.state = READY
        self.listed = False


def content(md5: str, message_id: str, body: bytes) -> bytes:
    """Return what is kept of a message's text: the MD5 of its body (32 hexadecimal digits), its id (a UUID's 36
    characters), and the body as a JSON string, ready to be put into an answer."""
    return md5.encode() + message_id.encode() + body


def md5_of(content: bytes) -> bytes:
    """Return the MD5 in a content."""
    return content[:_MD5]


def id_of(content: bytes) -> bytes:
    """Return the message id in a content."""
    return content[_MD5 : _MD5 + _ID]


def body_of(content: bytes) -> bytes:
    """Return the body in a content, as a JSON string, quotes included."""
    return content[_MD5 + _ID :]


def all_receives(message: Message, extra: Extra | None) -> int:
    """Return how often a message was received, here and in the queue that it was moved from."""
    return message.receives + (extra.receives_before if extra is not None else 0)
