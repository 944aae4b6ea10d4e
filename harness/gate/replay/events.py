"""Events as the Lambda service makes them, of what handlers sent when they were recorded. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from harness.gate.replay.functions import ACCOUNT, REGION
from harness.gate.replay.stub import VERSION_ID
from harness.lambda_service.event_sources.events import encode_event
from harness.lambda_service.event_sources.sqs import message_record
from harness.lambda_service.event_sources.wire import ChangeEncoder

Kept = Sequence[tuple[str, str]]
"""Operation and body of every request that was recorded, in order."""

_NOON_MS = 1_767_268_800_000
"""When everything happens: 1 January 2026, noon, in Unix milliseconds."""


class UnknownTraffic(ValueError):
    """What a handler sent cannot be made into events; the message says what."""


def object_created(bucket: str, key: str, size: int) -> bytes:
    """Return S3's notification of an object."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": "2026-01-01T12:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": key, "size": size, "eTag": "replay", "versionId": VERSION_ID, "sequencer": "1"},
        },
    }
    return orjson.dumps({"Records": [record]})


def sent_bodies(kept: Kept, queue_url: str) -> list[str]:
    """Return the bodies of all messages sent to a queue."""
    bodies: list[str] = []
    for operation, body in kept:
        if operation not in ("SendMessage", "SendMessageBatch"):
            continue
        request = json.loads(body)
        if request["QueueUrl"] == queue_url:
            entries = request.get("Entries") or [request]
            bodies += [entry["MessageBody"] for entry in entries]
    return bodies


def written_items(kept: Kept) -> list[dict[str, Any]]:
    """Return the items that were written; raises UnknownTraffic for a batch that deletes."""
    items: list[dict[str, Any]] = []
    for operation, body in kept:
        if operation == "PutItem":
            items.append(json.loads(body)["Item"])
        if operation != "BatchWriteItem":
            continue
        for requests in json.loads(body)["RequestItems"].values():
            for request in requests:
                if "PutRequest" not in request:
                    raise UnknownTraffic(f"a batch of {operation} does more than put items")
                items.append(request["PutRequest"]["Item"])
    return items


def queue_events(bodies: Sequence[str], queue_arn: str, batch_size: int) -> list[bytes]:
    """Return the events of a queue's messages, `batch_size` each."""
    messages = [message_record(_received(number, body), queue_arn, REGION) for number, body in enumerate(bodies)]
    return [encode_event(map(orjson.dumps, batch)) for batch in _batches(messages, batch_size)]


def _received(number: int, body: str) -> dict[str, Any]:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return {
        "MessageId": f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}",
        "ReceiptHandle": digest * 3,
        "Body": body,
        "MD5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "Attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": str(_NOON_MS),
            "SenderId": ACCOUNT,
            "ApproximateFirstReceiveTimestamp": str(_NOON_MS + 1),
        },
    }


def stream_events(items: Sequence[Mapping[str, Any]], key: str, stream_arn: str, batch_size: int) -> list[bytes]:
    """Return the events of a stream of new images, for items whose key is the attribute `key`."""
    encoder = ChangeEncoder(stream_arn, REGION)
    records = [encoder.encode(msgspec.Raw(orjson.dumps(_change(n, item, key))))[1] for n, item in enumerate(items)]
    return [encode_event(batch) for batch in _batches(records, batch_size)]


def _change(number: int, item: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {
        "eventID": hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest(),
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": {
            "ApproximateCreationDateTime": _NOON_MS / 1000,
            "Keys": {key: item[key]},
            "NewImage": dict(item),
            "SequenceNumber": str(100_000_000_000_000_000_000 + number),
            "SizeBytes": sum(len(name) + len(str(value)) for name, value in item.items()),
            "StreamViewType": "NEW_IMAGE",
        },
    }


def _batches(records: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]
