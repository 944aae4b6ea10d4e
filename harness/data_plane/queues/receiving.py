"""ReceiveMessage: what it asks for, and messages as it gives them."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from harness.data_plane.queues import limits, message_attributes
from harness.data_plane.queues.attributes import READABLE
from harness.data_plane.queues.errors import SqsError, invalid_value
from harness.data_plane.queues.fifo import FifoQueue
from harness.data_plane.queues.message import Extra, Message, all_receives, body_of, id_of, md5_of
from harness.data_plane.queues.queue import Queue
from harness.data_plane.queues.requests import Request, integer, optional_text, texts

_SYSTEM = frozenset(
    {
        "All",
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
        "SequenceNumber",
        "MessageDeduplicationId",
        "MessageGroupId",
        "AWSTraceHeader",
        "DeadLetterQueueSourceArn",
    }
)
_KNOWN = _SYSTEM | READABLE
EMPTY = b"{}"
_PLAIN = (
    b'{"MessageId":"%b","ReceiptHandle":"%b.%d.%d","MD5OfBody":"%b","Body":%b,"Attributes":{"SenderId":"%b",'
    b'"SentTimestamp":"%d","ApproximateReceiveCount":"%d","ApproximateFirstReceiveTimestamp":"%d"}}'
)
"""A message of which every system attribute is asked for and which has only those that all have."""


@dataclass(frozen=True, slots=True)
class Receive:
    """A checked request. Times in ms; `visibility` and `wait` are None for the queue's own."""

    count: int
    visibility: int | None
    wait: int | None
    system: frozenset[str]
    attributes: tuple[str, ...]
    attempt: str | None


def parse(queue: Queue, request: Request) -> Receive:
    """Check a request; raises SqsError."""
    count = integer(request, "MaxNumberOfMessages")
    if count is None:
        count = 1
    elif not 1 <= count <= limits.BATCH_ENTRIES:
        raise invalid_value(count, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
    wait = integer(request, "WaitTimeSeconds")
    if wait is not None and not 0 <= wait <= limits.WAIT_SECONDS:
        raise invalid_value(wait, "WaitTimeSeconds", f"Must be >= 0 and <= {limits.WAIT_SECONDS}, if provided.")
    visibility = checked_visibility(integer(request, "VisibilityTimeout"))
    system = frozenset((*texts(request, "AttributeNames"), *texts(request, "MessageSystemAttributeNames")))
    if not system <= _KNOWN:
        raise SqsError("InvalidAttributeName", f"Unknown Attribute {sorted(system - _KNOWN)[0]}.")
    attempt = optional_text(request, "ReceiveRequestAttemptId")
    if attempt is not None and not queue.config.fifo:
        raise invalid_value(
            attempt,
            "ReceiveRequestAttemptId",
            "The request includes a parameter that is not valid for this queue type.",
        )
    return Receive(
        count,
        visibility,
        None if wait is None else wait * 1000,
        system,
        tuple(texts(request, "MessageAttributeNames")),
        attempt,
    )


def checked_visibility(seconds: int | None) -> int | None:
    """Return a visibility timeout in ms; raises SqsError for one that is out of range."""
    if seconds is None:
        return None
    if not 0 <= seconds <= limits.VISIBILITY_SECONDS:
        raise invalid_value(
            seconds, "VisibilityTimeout", f"VisibilityTimeout must be between 0 and {limits.VISIBILITY_SECONDS}."
        )
    return seconds * 1000


def receive(queue: Queue, now: int, asked: Receive) -> list[Message]:
    """Receive at once."""
    if asked.attempt is not None and isinstance(queue, FifoQueue):
        return queue.receive_attempt(now, asked.attempt, asked.count, asked.visibility)
    return queue.receive(now, asked.count, asked.visibility)


def render(queue: Queue, messages: list[Message], asked: Receive, sender: bytes) -> bytes:
    """Return the answer with these messages; `sender` is the SenderId that all of them have."""
    if not messages:
        return EMPTY
    parts = []
    token = queue.token.encode()
    everything = "All" in asked.system
    contents = queue.journal.contents(messages)
    queue.meter.received([content for content, _ in contents])
    for message, (content, extra) in zip(messages, contents, strict=True):
        if everything and extra is None:
            # What nearly all messages are.
            parts.append(
                _PLAIN
                % (
                    id_of(content),
                    token,
                    message.number,
                    message.receives,
                    md5_of(content),
                    body_of(content),
                    sender,
                    message.sent,
                    message.receives,
                    message.first_received,
                )
            )
            continue
        head = b'{"MessageId":"%b","ReceiptHandle":"%b","MD5OfBody":"%b","Body":%b' % (
            id_of(content),
            queue.handle(message).encode(),
            md5_of(content),
            body_of(content),
        )
        tail = b"}"
        if asked.system:
            tail = _system(message, extra, asked.system, sender) + tail
        if asked.attributes and extra is not None and extra.attributes:
            tail = _attributes(extra.attributes, extra.md5, asked.attributes) + tail
        parts.append(head + tail)
    return b'{"Messages":[%b]}' % b",".join(parts)


def _system(message: Message, extra: Extra | None, names: frozenset[str], sender: bytes) -> bytes:
    values: dict[str, str] = {
        "SenderId": sender.decode(),
        "SentTimestamp": str(message.sent),
        "ApproximateReceiveCount": str(all_receives(message, extra)),
        "ApproximateFirstReceiveTimestamp": str(message.first_received),
    }
    if extra is not None:
        optional = {
            "MessageGroupId": extra.group,
            "MessageDeduplicationId": extra.deduplication_id,
            "SequenceNumber": None if extra.sequence is None else str(extra.sequence),
            "AWSTraceHeader": extra.trace_header or None,
            "DeadLetterQueueSourceArn": extra.source_arn or None,
        }
        values.update({name: value for name, value in optional.items() if value is not None})
    found = values if "All" in names else {name: value for name, value in values.items() if name in names}
    return b',"Attributes":' + orjson.dumps(found) if found else b""


def _attributes(kept: bytes, md5: str, names: tuple[str, ...]) -> bytes:
    attributes = orjson.loads(kept)
    found = message_attributes.wanted(attributes, names)
    if not found:
        return b""
    # The checksum covers what is given back, not what was sent.
    checksum = md5 if len(found) == len(attributes) else message_attributes.md5(found)
    return b',"MD5OfMessageAttributes":"%b","MessageAttributes":%b' % (checksum.encode(), orjson.dumps(found))
