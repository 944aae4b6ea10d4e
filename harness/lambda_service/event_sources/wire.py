"""Records of DynamoDB Streams, decoded as far as the service must know them; the rest passes through as JSON.

A record stays the bytes that came (`msgspec.Raw`), and only gets the fields that an event has besides. Escapes are
written anew: events are UTF-8 and their size in bytes counts, while a server may write every character beyond ASCII
as six bytes.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
import orjson

from harness.lambda_service.aws import AwsCallError

T = TypeVar("T")
_ABSENT = msgspec.Raw()


class Change(msgspec.Struct):
    """The `dynamodb` part of a stream record; the time is in Unix seconds."""

    SequenceNumber: str
    ApproximateCreationDateTime: float | None = None
    Keys: msgspec.Raw = _ABSENT


class ChangeRecord(msgspec.Struct):
    """A record of GetRecords; of the last three fields the presence counts alone."""

    dynamodb: Change
    eventSourceARN: msgspec.Raw = _ABSENT
    awsRegion: msgspec.Raw = _ABSENT
    eventSource: msgspec.Raw = _ABSENT


class ChangePage(msgspec.Struct):
    """GetRecords' answer."""

    Records: list[msgspec.Raw] | None = None
    NextShardIterator: str | None = None


_page = msgspec.json.Decoder(ChangePage)
_record = msgspec.json.Decoder(ChangeRecord)


def read_page(answer: bytes) -> ChangePage:
    """Return a GetRecords' answer; raises AwsCallError for what is none."""
    return _decode(_page, answer, "GetRecords")


def _decode(decoder: msgspec.json.Decoder[T], answer: bytes, operation: str) -> T:
    try:
        return decoder.decode(answer)
    except msgspec.MsgspecError as error:
        raise AwsCallError(operation, "Unparsable", str(error)) from error


class ChangeEncoder:
    """Writes records of one stream as records of its events: as they came, with where they come from."""

    def __init__(self, stream_arn: str, region: str) -> None:
        fields = {"eventSourceARN": stream_arn, "awsRegion": region, "eventSource": "aws:dynamodb"}
        self._arn, self._region, self._source = (
            b"," + orjson.dumps({name: value})[1:-1] for name, value in fields.items()
        )

    def encode(self, raw: msgspec.Raw) -> tuple[Change, bytes]:
        """Return what the service must know of a record, and the record; raises AwsCallError for what is none."""
        data = bytes(raw)
        record = _decode(_record, data, "GetRecords")
        if record.eventSourceARN:
            fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
            del fields["eventSourceARN"]
            data = msgspec.json.encode(fields)
        parts = [_unescaped(data)[:-1], self._arn]
        if not record.awsRegion:
            parts.append(self._region)
        if not record.eventSource:
            parts.append(self._source)
        parts.append(b"}")
        return record.dynamodb, b"".join(parts)


def _unescaped(data: bytes) -> bytes:
    """Return JSON with its escaped characters as UTF-8, where there may be some."""
    return orjson.dumps(orjson.loads(data)) if b"\\u" in data else data
