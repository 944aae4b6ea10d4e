"""SendMessage and SendMessageBatch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from harness.data_plane.queues import limits, message_attributes
from harness.data_plane.queues.batches import answer, entries_of, failure
from harness.data_plane.queues.bodies import INVALID_CHARACTERS, encoded, literal
from harness.data_plane.queues.errors import SqsError, invalid, invalid_value, missing
from harness.data_plane.queues.fifo import FifoQueue
from harness.data_plane.queues.ids import message_ids
from harness.data_plane.queues.message import Extra, content
from harness.data_plane.queues.queue import Queue
from harness.data_plane.queues.requests import Request, integer, optional_text, wrong_type

_md5 = hashlib.md5
_TRACE_HEADER = "AWSTraceHeader"
_FIFO_ID = re.compile(r"[!-~]{1,128}", re.ASCII)


@dataclass(slots=True)
class _More:
    """What a message has besides its body."""

    extra: Extra
    delay: int | None = None
    attributes_md5: str = ""
    trace_md5: str = ""


_Accepted = tuple[str, str, bytes, int, _More | None]
"""A message that was found to be in order: its entry's id, its body as text and as bytes, its size, and what more it
has, None where that is nothing."""


def send(queue: Queue, now: int, request: Request, trace: str = "") -> bytes:
    """Send one message and return the answer; raises SqsError. `trace` is its trace header unless it has one."""
    _check_fifo_members(queue, [request], alone=True)
    accepted = _accept(queue, request, trace)
    if accepted[3] > queue.config.max_bytes:
        raise invalid(
            f"One or more parameters are invalid. Reason: Message must be shorter than {queue.config.max_bytes} bytes."
        )
    queue.meter.sent(accepted[3])
    return f"{{{_put(queue, now, accepted, message_ids(1)[0])}}}".encode()


def send_batch(queue: Queue, now: int, request: Request, trace: str = "") -> bytes:
    """Send a batch and return the answer: entries with a message that is refused fail alone. Raises SqsError for what
    is wrong with the whole."""
    entries = entries_of(request, "SendMessageBatchRequestEntry")
    _check_fifo_members(queue, entries, alone=False)
    failed: list[str] = []
    messages: list[_Accepted] = []
    total = 0
    largest = queue.config.max_bytes
    plain = True
    for entry in entries:
        try:
            accepted = _accept(queue, entry, trace)
            total += accepted[3]
            if accepted[3] > largest:
                raise invalid(
                    f"One or more parameters cannot be validated. Reason: Message must be shorter than {largest} bytes."
                )
        except SqsError as error:
            failed.append(failure(entry["Id"], error))
        else:
            messages.append(accepted)
            plain = plain and accepted[4] is None
    if total > limits.MESSAGE_BYTES:
        raise SqsError(
            "BatchRequestTooLong",
            f"Batch requests cannot be longer than {limits.MESSAGE_BYTES} bytes. You have sent {total} bytes.",
        )
    queue.meter.sent(total)
    ids = message_ids(len(messages))
    if plain and not queue.config.fifo:
        return answer(_put_plain(queue, now, messages, ids), failed)
    done = [
        f'{{"Id":"{accepted[0]}",{_put(queue, now, accepted, message_id)}}}'
        for accepted, message_id in zip(messages, ids, strict=True)
    ]
    return answer(done, failed)


def _put_plain(queue: Queue, now: int, messages: list[_Accepted], ids: list[str]) -> list[str]:
    """Put messages that are bodies and no more, which nearly all are; returns their results."""
    contents: list[bytes] = []
    results: list[str] = []
    for (entry_id, body, data, _, _), message_id in zip(messages, ids, strict=True):
        md5 = _md5(data, usedforsecurity=False).hexdigest()
        contents.append(f"{md5}{message_id}".encode() + literal(body, data))
        results.append(f'{{"Id":"{entry_id}","MessageId":"{message_id}","MD5OfMessageBody":"{md5}"}}')
    queue.put_plain(now, contents)
    return results


def _put(queue: Queue, now: int, accepted: _Accepted, message_id: str) -> str:
    """Put an accepted message into its queue, unless it is a duplicate; returns the members of its result."""
    _, body, data, _, more = accepted
    md5 = _md5(data, usedforsecurity=False).hexdigest()
    if isinstance(queue, FifoQueue) and more is not None:
        message_id, sequence = _put_in_group(queue, now, accepted, more.extra, md5, message_id)
        suffix = f',"SequenceNumber":"{sequence}"'
    else:
        delay = queue.config.delay if more is None or more.delay is None else more.delay
        queue.put(now, content(md5, message_id, literal(body, data)), now, delay, None if more is None else more.extra)
        suffix = ""
    if more is not None and more.attributes_md5:
        suffix = f',"MD5OfMessageAttributes":"{more.attributes_md5}"{suffix}'
    if more is not None and more.trace_md5:
        suffix = f',"MD5OfMessageSystemAttributes":"{more.trace_md5}"{suffix}'
    return f'"MessageId":"{message_id}","MD5OfMessageBody":"{md5}"{suffix}'


def _put_in_group(
    queue: FifoQueue, now: int, accepted: _Accepted, extra: Extra, md5: str, message_id: str
) -> tuple[str, int | None]:
    """Put a message into a FIFO queue unless it is a duplicate; returns message id and sequence number of the one that
    is there."""
    group = extra.group or ""
    deduplication_id = extra.deduplication_id or hashlib.sha256(accepted[2]).hexdigest()
    earlier = queue.earlier(now, group, deduplication_id)
    if earlier is not None:
        return earlier
    kept = content(md5, message_id, literal(accepted[1], accepted[2]))
    queue.send_in_group(now, kept, message_id, group, deduplication_id, extra)
    return message_id, extra.sequence


def _accept(queue: Queue, entry: Mapping[str, Any], trace: str) -> _Accepted:
    """Check one message; raises SqsError."""
    body = entry.get("MessageBody")
    if body is None or body == "":
        raise missing("MessageBody")
    if not isinstance(body, str):
        raise wrong_type("MessageBody", "a string")
    data = encoded(body)
    if data is None:
        raise SqsError("InvalidMessageContents", INVALID_CHARACTERS)
    size = len(data)
    more = None
    # A plain message has two members: its id, or its queue's URL, and its body.
    if len(entry) > 2 or trace or queue.config.fifo:
        attributes_size, more = _accept_more(queue, entry)
        size += attributes_size
        if trace and not more.extra.trace_header:
            more.extra.trace_header = trace
    return entry.get("Id", ""), body, data, size, more


def _accept_more(queue: Queue, entry: Mapping[str, Any]) -> tuple[int, _More]:
    """Check what a message has besides its body; returns its size and what it is. Raises SqsError."""
    extra = Extra()
    more = _More(extra)
    size = 0
    delay = integer(entry, "DelaySeconds")
    if delay is not None:
        if not 0 <= delay <= limits.DELAY_SECONDS:
            raise invalid_value(delay, "DelaySeconds", f"DelaySeconds must be >= 0 and <= {limits.DELAY_SECONDS}.")
        if queue.config.fifo and delay:
            raise invalid_value(
                delay,
                "DelaySeconds",
                "The request include parameter that is not valid for this queue type.",
            )
        more.delay = delay * 1000
    extra.group = _fifo_id(entry, "MessageGroupId")
    extra.deduplication_id = _fifo_id(entry, "MessageDeduplicationId")
    if extra.deduplication_id is not None and not queue.config.fifo:
        raise invalid_value(
            extra.deduplication_id,
            "MessageDeduplicationId",
            "The request include parameter that is not valid for this queue type.",
        )
    attributes = _attribute_map(entry, "MessageAttributes")
    if attributes:
        size = message_attributes.check(attributes)
        more.attributes_md5 = extra.md5 = message_attributes.md5(attributes)
        extra.attributes = orjson.dumps(message_attributes.kept(attributes))
    system = _attribute_map(entry, "MessageSystemAttributes")
    if system:
        extra.trace_header = _trace_header(system)
        more.trace_md5 = message_attributes.md5(system)
    return size, more


def _trace_header(system: Mapping[str, Any]) -> str:
    unknown = sorted(set(system) - {_TRACE_HEADER})
    if unknown:
        raise invalid(
            f"Message system attribute name '{unknown[0]}' is invalid. The only one that exists is {_TRACE_HEADER}."
        )
    value = system[_TRACE_HEADER]
    message_attributes.check(system)
    if value.get("DataType") != "String":
        raise invalid(f"The message system attribute '{_TRACE_HEADER}' must be of type String.")
    return str(value["StringValue"])


def _attribute_map(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = entry.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type(name, "a map")
    return value


def _fifo_id(entry: Mapping[str, Any], name: str) -> str | None:
    value = optional_text(entry, name)
    if value is not None and not _FIFO_ID.fullmatch(value):
        raise invalid_value(
            value, name, f"{name} can only include alphanumeric and punctuation characters. 1 to 128 in length."
        )
    return value


def _check_fifo_members(queue: Queue, entries: list[Any], *, alone: bool) -> None:
    """Raise SqsError where a FIFO queue's message lacks what it must have; in a batch this refuses the whole."""
    config = queue.config
    if not config.fifo:
        return
    for entry in entries:
        if entry.get("MessageGroupId") is None:
            raise missing("MessageGroupId") if alone else invalid(missing("MessageGroupId").message)
        if entry.get("MessageDeduplicationId") is None and not config.content_deduplication:
            raise invalid(
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
                "explicitly"
            )
