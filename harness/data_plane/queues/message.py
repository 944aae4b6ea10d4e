"""A message as it is kept: one small object and one string of bytes."""

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
    """

    __slots__ = ("content", "due", "extra", "first_received", "listed", "number", "receives", "sent", "state")

    def __init__(self, content: bytes, number: int, sent: int, extra: Extra | None = None) -> None:
        self.content = content
        self.number = number
        self.sent = sent
        self.extra = extra
        self.receives = 0
        self.first_received = 0
        self.due = 0
        self.state = READY
        self.listed = False

    @property
    def md5(self) -> bytes:
        """The MD5 of the body, 32 hexadecimal digits."""
        return self.content[:_MD5]

    @property
    def message_id(self) -> bytes:
        """The message id, a UUID's 36 characters."""
        return self.content[_MD5 : _MD5 + _ID]

    @property
    def body(self) -> bytes:
        """The body as a JSON string, quotes included, ready to be put into an answer."""
        return self.content[_MD5 + _ID :]

    @property
    def all_receives(self) -> int:
        """How often it was received, here and in the queue that it was moved from."""
        return self.receives + (self.extra.receives_before if self.extra is not None else 0)


def content(md5: str, message_id: str, body: bytes) -> bytes:
    """Return the bytes that a message keeps: one object instead of three saves 130 bytes a message."""
    return md5.encode() + message_id.encode() + body
