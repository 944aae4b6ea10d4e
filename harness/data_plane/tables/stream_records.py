"""Stream records: frames of a shard's log, written as the JSON that GetRecords answers with."""

from __future__ import annotations

import hashlib

import orjson

from harness.data_plane.tables.catalog import HeldTable
from harness.data_plane.tables.frames import (
    EXPIRE,
    HEADER,
    HEADER_SIZE,
    INSERT,
    MODIFY,
    Frame,
    decode,
    length_at,
)
from harness.data_plane.tables.keys import key_json
from harness.data_plane.tables.log import Log
from harness.data_plane.tables.shards import Shard, Stream

MAX_BYTES = 1024 * 1024
"""GetRecords returns up to 1,000 records or 1 MB, whichever comes first."""
_FIRST_READ = 256 * 1024
_NAMES = {INSERT: b"INSERT", MODIFY: b"MODIFY"}
_SERVICE = b',"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"}'


class RecordWriter:
    """Writes the frames of one shard as stream records."""

    def __init__(self, held: HeldTable, stream: Stream, shard: Shard, region: str) -> None:
        self._store = held.store
        self._schema = held.schema
        self._shard = shard
        self._new = stream.view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
        self._old = stream.view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES")
        stream_name = hashlib.blake2b(stream.label.encode(), digest_size=6).hexdigest()
        self._event_id = f"{shard.number:08x}{stream_name}".encode()
        self._middle = f'","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"{region}"'.encode()
        self._end = f',"StreamViewType":"{stream.view}"}}'.encode()
        names = len(self._schema.pk.encode()) + len((self._schema.sk or "").encode())
        self._names = names
        self._key_name = orjson.dumps(self._schema.pk)
        # What most streams hold: new images of items whose key is one string.
        common = stream.view == "NEW_IMAGE" and self._schema.sk is None and self._schema.pk_type == "S"
        self._beginnings = {kind: self._beginning(kind) for kind in (INSERT, MODIFY)} if common else {}

    def _beginning(self, kind: int) -> bytes:
        return b'","eventName":"%b%b,"dynamodb":{"ApproximateCreationDateTime":' % (_NAMES[kind], self._middle)

    def read(self, log: Log, position: int, end: int, limit: int) -> tuple[list[bytes], int]:
        """Return the records from `position`, which starts a frame, to `end`: at most `limit`, and MAX_BYTES unless one
        alone is longer; and the position behind the last of them."""
        records: list[bytes] = []
        left, chunk = MAX_BYTES, _FIRST_READ
        while position < end and len(records) < limit:
            data, at = log.read(position, chunk), 0
            while position + at < end and len(records) < limit:
                found = self._at(data, at, position + at)
                if found is None:
                    break
                record, length = found
                if len(record) > left and records:
                    return records, position + at
                records.append(record)
                left -= len(record)
                at += length
            if at == 0:
                chunk = max(chunk, length_at(data))
            position += at
        return records, position

    def _at(self, data: bytes, at: int, offset: int) -> tuple[bytes, int] | None:
        """Return the record of the frame at `at` of `data` and `offset` of the log, and the frame's length; None where
        `data` ends before the frame does.

        The common ones are written from the header's fields at once, which takes half as long: 3.4 instead of 6.1
        microseconds a record of 19 attributes (AMD EPYC, Python 3.11).
        """
        if len(data) - at < HEADER_SIZE:
            return None
        _, length, kind, pk_length, sk_length, size, time_ms, _ = HEADER.unpack_from(data, at)
        beginning = self._beginnings.get(kind)
        if beginning is None:
            frame = decode(data, at)
            return None if frame is None else (self.record(offset, frame), length)
        stop = at + length
        if stop > len(data):
            return None
        key = at + HEADER_SIZE
        image = key + pk_length
        return b'{"eventID":"%b%012x%b%d,"Keys":{%b:{"S":%b}},"NewImage":%b,"SequenceNumber":"%b","SizeBytes":%d%b}' % (
            self._event_id,
            offset,
            beginning,
            time_ms // 1000,
            self._key_name,
            orjson.dumps(data[key:image].decode()),
            data[image:stop],
            self._shard.sequence_number(offset).encode(),
            self._names + pk_length + sk_length + size,
            self._end,
        ), length

    def record(self, offset: int, frame: Frame) -> bytes:
        """Return the record of the frame at `offset` as JSON."""
        # The key's own bytes stand for its size: exact for strings and binary values, within a few for numbers.
        size = self._names + len(frame.pk) + len(frame.sk)
        images = b""
        if self._new and frame.image:
            images = b',"NewImage":' + frame.image
            size += frame.size
        if self._old and frame.previous:
            old = self._store.version_at(frame.previous)
            images += b',"OldImage":' + old.image
            size += old.size
        return (
            b'{"eventID":"%b%012x","eventName":"%b%b%b,"dynamodb":{"ApproximateCreationDateTime":%d,"Keys":%b%b,'
            b'"SequenceNumber":"%b","SizeBytes":%d%b}'
        ) % (
            self._event_id,
            offset,
            _NAMES.get(frame.kind, b"REMOVE"),
            self._middle,
            _SERVICE if frame.kind == EXPIRE else b"",
            frame.time_ms // 1000,
            key_json(self._schema, frame.pk, frame.sk),
            images,
            self._shard.sequence_number(offset).encode(),
            size,
            self._end,
        )
