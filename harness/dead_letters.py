"""What a message of a dead-letter queue holds, whatever it holds. Pure, and refuses nothing.

AWS puts four kinds of message there: one that SQS moved after its last receive (here a record batch), the record of an
asynchronous invocation that failed (the on-failure destination), the event alone (a function's DeadLetterConfig), and
the position of a batch of stream records (the mapping's on-failure destination). Anything else was sent by hand or by
other software; it is described as what it is, and names no row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_plus

from handlers.record_batch import RecordBatch, RecordBatchError, decode

DETAIL_CHARACTERS = 300
NOT_A_BATCH = "not a record batch"
LONGEST_POSITION = 64
"""Digits of a sequence number. DynamoDB's have 21 to 40 (API reference, StreamRecord); the rest is for emulators."""

_PREVIEW_CHARACTERS = 80
_JSON_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}


class Shape(StrEnum):
    """Kinds of dead-letter message."""

    BATCH = "record batch"
    INVOCATION = "failed invocation"
    EVENT = "undelivered event"
    STREAM = "failed stream batch"
    OTHER = NOT_A_BATCH


@dataclass(frozen=True)
class NamedObject:
    """An object version that a failed event names; `bucket` and `version` are empty where it does not say."""

    bucket: str
    key: str
    version: str


@dataclass(frozen=True)
class StreamBatch:
    """Positions of stream records that were given up: from `start` to `end`, both included."""

    stream_arn: str
    shard_id: str
    start: str
    end: str


@dataclass(frozen=True)
class DeadLetter:
    """One dead-letter message. What its shape does not have is empty or None.

    `reason` and `detail` can be shown on a terminal as they are. `problem` says why it names no row, or not all; it is
    empty where the message accounts for rows.
    """

    shape: Shape
    reason: str
    detail: str
    problem: str = ""
    batch: RecordBatch | None = None
    objects: tuple[NamedObject, ...] = ()
    stream: StreamBatch | None = None


def read_dead_letter(body: str, attributes: Mapping[str, Any] | None = None) -> DeadLetter:
    """Return what a message holds; `attributes` are its message attributes, where DeadLetterConfig puts the error."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return _other("no JSON", body)
    if not isinstance(data, dict):
        return _other(_json_name(data), body)
    if "DDBStreamBatchInfo" in data:
        return _stream_batch(data)
    if "requestContext" in data or "requestPayload" in data:
        return _invocation(data)
    if "Records" in data or data.get("Event") == "s3:TestEvent":
        return _event(data, body, attributes or {})
    try:
        return _batch(decode(body))
    except RecordBatchError as error:
        return _other(str(error) if {"v", "rows"} & data.keys() else "a JSON object", body)


def printable(text: str, limit: int = DETAIL_CHARACTERS) -> str:
    """Return at most `limit` characters of a text that a terminal shows and does not obey.

    Control characters, marks of direction and halves of surrogate pairs become escapes as in Python's string literals.
    """
    parts: list[str] = []
    length = 0
    for character in text:
        part = character if character.isprintable() else ascii(character)[1:-1]
        if length + len(part) > limit:
            # Room for the ellipsis.
            while length > limit - 1:
                length -= len(parts.pop())
            return "".join(parts) + "…"
        parts.append(part)
        length += len(part)
    return "".join(parts)


def _other(what: str, body: str) -> DeadLetter:
    size = len(body.encode("utf-8", "surrogatepass"))
    described = printable(what, 100)
    start = printable(body, _PREVIEW_CHARACTERS)
    return DeadLetter(Shape.OTHER, NOT_A_BATCH, f"{described}, {size:,} bytes: {start}", described)


def _batch(batch: RecordBatch) -> DeadLetter:
    problem = "" if batch.rows else "a record batch without rows"
    if batch.error is None:
        return DeadLetter(Shape.BATCH, "whole message", "see the function's log", problem, batch)
    return DeadLetter(Shape.BATCH, printable(batch.error.reason, 80), printable(batch.error.detail), problem, batch)


def _invocation(record: dict[str, Any]) -> DeadLetter:
    context = record.get("requestContext")
    condition = context.get("condition") if isinstance(context, dict) else None
    reason = printable(condition, 80) if isinstance(condition, str) and condition else "unknown"
    if "requestPayload" in record:
        objects, problem = _objects_of(record["requestPayload"])
        preview = _preview(record["requestPayload"])
    else:
        objects, problem, preview = (), "a failed invocation without its event", ""
    detail = _about(objects, problem, preview, _error_of(record.get("responsePayload")))
    return DeadLetter(Shape.INVOCATION, reason, detail, problem, objects=objects)


def _event(event: dict[str, Any], body: str, attributes: Mapping[str, Any]) -> DeadLetter:
    objects, problem = _objects_of(event)
    if not objects and not attributes:
        return _other(problem, body)
    error = " ".join(filter(None, (_attribute(attributes, name) for name in ("ErrorCode", "ErrorMessage"))))
    detail = _about(objects, problem, printable(body, _PREVIEW_CHARACTERS), error)
    return DeadLetter(Shape.EVENT, Shape.EVENT.value, detail, problem, objects=objects)


def _stream_batch(record: dict[str, Any]) -> DeadLetter:
    context, info = record.get("requestContext"), record["DDBStreamBatchInfo"]
    condition = context.get("condition") if isinstance(context, dict) else None
    reason = printable(condition, 80) if isinstance(condition, str) and condition else "unknown"
    if not isinstance(info, dict):
        problem = "a failed stream batch without positions"
        return DeadLetter(Shape.STREAM, reason, f"{problem}: {_preview(info)}", problem)
    size, first = info.get("batchSize", "some"), info.get("startSequenceNumber", "an unknown position")
    detail = printable(f"{size} stream records from {first}")
    names = ("streamArn", "shardId", "startSequenceNumber", "endSequenceNumber")
    found = [info.get(name) for name in names]
    missing = [name for name, value in zip(names, found, strict=True) if not isinstance(value, str) or not value]
    missing += [name for name, value in zip(names[2:], found[2:], strict=True) if not _is_position(value)]
    if missing:
        problem = f"a failed stream batch without {', '.join(dict.fromkeys(missing))}"
        return DeadLetter(Shape.STREAM, reason, detail, problem)
    return DeadLetter(Shape.STREAM, reason, detail, stream=StreamBatch(*map(str, found)))


def _is_position(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= LONGEST_POSITION


def _objects_of(event: object) -> tuple[tuple[NamedObject, ...], str]:
    """Return the objects that an S3 event names, and what is wrong with it."""
    if not isinstance(event, dict):
        return (), f"its event is {_json_name(event)}"
    if event.get("Event") == "s3:TestEvent":
        return (), "an Amazon S3 test event"
    records = event.get("Records")
    if not isinstance(records, list) or not records:
        return (), "an event without Records"
    objects = tuple(found for record in records if (found := _object_of(record)) is not None)
    unnamed = len(records) - len(objects)
    return objects, f"{unnamed} of {len(records)} records of its event name no object" if unnamed else ""


def _object_of(record: object) -> NamedObject | None:
    try:
        found = record["s3"]["object"]  # type: ignore[index]
        bucket = record["s3"].get("bucket", {}).get("name", "")  # type: ignore[index]
        version = found.get("versionId") or found.get("eTag") or ""
        key = found["key"]
    except (TypeError, KeyError, AttributeError):
        return None
    if not (isinstance(key, str) and isinstance(bucket, str) and isinstance(version, str)):
        return None
    return NamedObject(bucket, unquote_plus(key), version)


def _about(objects: tuple[NamedObject, ...], problem: str, preview: str, error: str) -> str:
    """Return a line about a failed event: its objects, else what it is, and the error."""
    parts = [", ".join(printable(one.key, 120) for one in objects)] if objects else []
    if problem:
        parts.append(f"{problem} {preview}".rstrip())
    about = "; ".join(parts)
    return printable(about if problem and not error else f"{about}: {error}".strip())


def _error_of(payload: object) -> str:
    if isinstance(payload, dict):
        return " ".join(str(payload.get(name) or "") for name in ("errorType", "errorMessage")).strip()
    return "" if payload is None else _preview(payload)


def _attribute(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes.get(name)
    text = value.get("StringValue") if isinstance(value, Mapping) else None
    return text if isinstance(text, str) else ""


def _preview(value: object) -> str:
    try:
        text = json.dumps(value)
    except RecursionError:
        return "(deeply nested)"
    return printable(text, _PREVIEW_CHARACTERS)


def _json_name(value: object) -> str:
    if value is None:
        return "JSON null"
    return f"a JSON {_JSON_NAMES[type(value)]}"
