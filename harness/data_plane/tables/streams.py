"""DynamoDB Streams on the logs: a shard's records are its frames, joined to JSON without decoding an image."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any

import orjson

from harness.data_plane.tables.capacity import Ledger
from harness.data_plane.tables.catalog import Catalog, HeldTable
from harness.data_plane.tables.shards import Shard, Stream
from harness.data_plane.tables.store import Clock
from harness.data_plane.tables.stream_records import RecordWriter

ITERATOR_MS = 15 * 60 * 1000
"""An iterator expires 15 minutes after it was returned."""
MAX_RECORDS = 1000
MAX_PAGE = 100
"""Streams, or shards, of one answer."""
_CONSTRAINT = "failed to satisfy constraint"
_TYPES = ("TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")

Scope = tuple[str, str]


class StreamError(Exception):
    """A refusal: the API's error code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def _invalid(message: str) -> StreamError:
    return StreamError("ValidationException", message)


def _text(request: dict[str, Any], name: str, member: str) -> str:
    value = request.get(name)
    if value is None:
        raise _invalid(f"1 validation error detected: Value null at '{member}' {_CONSTRAINT}: Member must not be null")
    if not isinstance(value, str):
        raise StreamError("SerializationException", f"{name} must be a string")
    return value


def _limit(request: dict[str, Any], largest: int) -> int:
    value = request.get("Limit")
    if value is None:
        return largest
    if isinstance(value, bool) or not isinstance(value, int):
        raise StreamError("SerializationException", "Limit must be an integer")
    if value < 1:
        raise _invalid(
            f"1 validation error detected: Value '{value}' at 'limit' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1"
        )
    if value > largest:
        raise _invalid(
            f"1 validation error detected: Value '{value}' at 'limit' failed to satisfy constraint: "
            f"Member must have value less than or equal to {largest}"
        )
    return value


class Streams:
    """The four operations of DynamoDB Streams."""

    def __init__(self, catalog: Catalog, clock: Clock, ledger: Ledger) -> None:
        self._catalog = catalog
        self._clock = clock
        self._ledger = ledger
        self._operations: dict[str, Callable[[Scope, dict[str, Any]], bytes]] = {
            "ListStreams": self.list_streams,
            "DescribeStream": self.describe_stream,
            "GetShardIterator": self.get_shard_iterator,
            "GetRecords": self.get_records,
        }

    def serve(self, operation: str, scope: Scope, request: dict[str, Any]) -> bytes:
        """Return the answer's body; raises StreamError."""
        serve = self._operations.get(operation)
        if serve is None:
            raise StreamError("UnknownOperationException", f"Unknown operation: {operation}")
        return serve(scope, request)

    def _stream(self, scope: Scope, arn: str) -> tuple[HeldTable, Stream]:
        found = self._catalog.stream(*scope, arn)
        if found is None:
            raise StreamError("ResourceNotFoundException", f"Requested resource not found: Stream: {arn} not found")
        return found

    def list_streams(self, scope: Scope, request: dict[str, Any]) -> bytes:
        """Serve ListStreams."""
        table, start = request.get("TableName"), request.get("ExclusiveStartStreamArn")
        limit = _limit(request, MAX_PAGE)
        found = [
            {"StreamArn": held.stream_arn(stream), "TableName": held.name, "StreamLabel": stream.label}
            for held, stream in self._catalog.streams(*scope)
            if table is None or held.name == table
        ]
        if start is not None:
            known = [s["StreamArn"] for s in found]
            if start in known:
                found = found[known.index(start) + 1 :]
        answer: dict[str, Any] = {"Streams": found[:limit]}
        if len(found) > limit:
            answer["LastEvaluatedStreamArn"] = found[limit - 1]["StreamArn"]
        return orjson.dumps(answer)

    def describe_stream(self, scope: Scope, request: dict[str, Any]) -> bytes:
        """Serve DescribeStream; shards without a record left are not listed, unless they are open."""
        arn = _text(request, "StreamArn", "streamArn")
        held, stream = self._stream(scope, arn)
        limit = _limit(request, MAX_PAGE)
        wanted = request.get("ShardFilter") or {}
        shards = [s for s in held.store.map.of_stream(stream.label) if s.end is None or held.store.start(s) < s.end]
        present = {s.number for s in shards}
        if wanted.get("Type") == "CHILD_SHARDS":
            parent = held.store.map.by_id(stream.label, str(wanted.get("ShardId")))
            if parent is None:
                raise _shard_not_found()
            shards = [s for s in shards if s.parent == parent.number]
        start = request.get("ExclusiveStartShardId")
        if start is not None:
            known = [s.shard_id for s in shards]
            shards = shards[known.index(start) + 1 :] if start in known else []
        description: dict[str, Any] = {
            "StreamArn": arn,
            "StreamLabel": stream.label,
            "StreamStatus": "ENABLED" if stream.closed_ms is None else "DISABLED",
            "StreamViewType": stream.view,
            "CreationRequestDateTime": stream.created_ms / 1000,
            "TableName": held.name,
            "KeySchema": held.definition["KeySchema"],
            "Shards": [self._shard(held, shard, present) for shard in shards[:limit]],
        }
        if len(shards) > limit:
            description["LastEvaluatedShardId"] = shards[limit - 1].shard_id
        return orjson.dumps({"StreamDescription": description})

    @staticmethod
    def _shard(held: HeldTable, shard: Shard, present: set[int]) -> dict[str, Any]:
        start = held.store.start(shard)
        numbers = {"StartingSequenceNumber": shard.sequence_number(start)}
        if shard.end is not None:
            numbers["EndingSequenceNumber"] = shard.sequence_number(held.store.last(shard))
        described: dict[str, Any] = {"ShardId": shard.shard_id, "SequenceNumberRange": numbers}
        if shard.parent is not None and shard.parent in present:
            described["ParentShardId"] = held.store.map.shards[shard.parent].shard_id
        return described

    def get_shard_iterator(self, scope: Scope, request: dict[str, Any]) -> bytes:
        """Serve GetShardIterator."""
        arn = _text(request, "StreamArn", "streamArn")
        shard_id = _text(request, "ShardId", "shardId")
        kind = _text(request, "ShardIteratorType", "shardIteratorType")
        if kind not in _TYPES:
            raise _invalid(
                f"1 validation error detected: Value '{kind}' at 'shardIteratorType' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(sorted(_TYPES))}]"
            )
        held, stream = self._stream(scope, arn)
        shard = held.store.map.by_id(stream.label, shard_id)
        if shard is None:
            raise _shard_not_found()
        if kind == "TRIM_HORIZON":
            position = held.store.start(shard)
        elif kind == "LATEST":
            position = held.store.end(shard)
        else:
            position = self._position(held, shard, request.get("SequenceNumber"), kind)
        return orjson.dumps({"ShardIterator": self._iterator(arn, shard, position)})

    @staticmethod
    def _position(held: HeldTable, shard: Shard, sequence_number: Any, kind: str) -> int:
        if not isinstance(sequence_number, str) or not sequence_number:
            raise _invalid(f"SequenceNumber must be given for {kind}")
        offset = shard.offset_of(sequence_number)
        log = held.store.log(shard.number)
        end = held.store.end(shard)
        if offset is not None and offset < held.store.start(shard):
            raise _trimmed()
        # The number of the next record to come is what an empty shard is described with.
        if offset == end:
            return end
        if offset is None or offset > end or not log.starts_frame(offset):
            raise _invalid(f"Invalid SequenceNumber: {sequence_number} is not one of shard {shard.shard_id}")
        return offset if kind == "AT_SEQUENCE_NUMBER" else offset + log.frame(offset).length

    def _iterator(self, arn: str, shard: Shard, position: int) -> str:
        token = f"{position}|{self._clock()}|{shard.number}|{arn}"
        check = hashlib.blake2b(token.encode(), digest_size=6).hexdigest()
        return base64.b64encode(f"{check}|{token}".encode()).decode()

    def _read_iterator(self, scope: Scope, text: str) -> tuple[str, HeldTable, Stream, Shard, int]:
        try:
            check, _, token = base64.b64decode(text, validate=True).decode().partition("|")
            position, issued, number, arn = token.split("|")
            valid = check == hashlib.blake2b(token.encode(), digest_size=6).hexdigest()
            place = (int(position), int(issued), int(number)) if valid else None
        except (binascii.Error, ValueError):
            place = None
        if place is None:
            raise _invalid("Invalid ShardIterator")
        if self._clock() - place[1] > ITERATOR_MS:
            raise StreamError(
                "ExpiredIteratorException",
                "The shard iterator has expired and can no longer be used to retrieve stream records.",
            )
        held, stream = self._stream(scope, arn)
        shard = held.store.map.shards.get(place[2])
        if shard is None or shard.stream != stream.label or not 0 < place[0] <= held.store.end(shard):
            raise _invalid("Invalid ShardIterator")
        return arn, held, stream, shard, place[0]

    def get_records(self, scope: Scope, request: dict[str, Any]) -> bytes:
        """Serve GetRecords."""
        limit = _limit(request, MAX_RECORDS)
        iterator = _text(request, "ShardIterator", "shardIterator")
        arn, held, stream, shard, position = self._read_iterator(scope, iterator)
        if position < held.store.start(shard):
            raise _trimmed()
        end = held.store.end(shard)
        log = held.store.log(shard.number)
        if position < end and not log.starts_frame(position):
            raise _invalid("Invalid ShardIterator")
        self._ledger.count_stream_read(held.key)
        records, position = RecordWriter(held, stream, shard, scope[1]).read(log, position, end, limit)
        answer = b'{"Records":[%b]' % b",".join(records)
        if shard.end is None or position < end:
            answer += b',"NextShardIterator":"%b"' % self._iterator(arn, shard, position).encode()
        return answer + b"}"


def _shard_not_found() -> StreamError:
    return StreamError("ResourceNotFoundException", "Requested resource not found: Shard does not exist")


def _trimmed() -> StreamError:
    return StreamError("TrimmedDataAccessException", "The data you are trying to access has been trimmed")
