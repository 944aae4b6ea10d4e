"""Stream records: written at once from a frame's header, they are what is written of the decoded frame."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data_plane.tables import stream_records
from harness.data_plane.tables.catalog import HeldTable
from harness.data_plane.tables.frames import EXPIRE, FILE_HEADER, INSERT, MODIFY, REMOVE, encode
from harness.data_plane.tables.keys import KeySchema, key_bytes
from harness.data_plane.tables.log import Log
from harness.data_plane.tables.shards import Shard, Stream
from harness.data_plane.tables.store import Version
from harness.data_plane.tables.stream_records import RecordWriter

SHARD = Shard(7, 0, 1 << 32, 1234, 1_700_000_000_000)
SCHEMAS = {
    "S": KeySchema("id", "S"),
    "quoted": KeySchema('i"d', "S"),
    "N": KeySchema("id", "N"),
    "S and S": KeySchema("id", "S", "sort", "S"),
}


def writer(schema: KeySchema, view: str = "NEW_IMAGE") -> RecordWriter:
    store = SimpleNamespace(version_at=lambda location: Version(b'{"old":{"S":"%d"}}' % location, 9))
    held = cast(HeldTable, SimpleNamespace(store=store, schema=schema))
    return RecordWriter(held, Stream("2026-01-01T00:00:00.000", view, 0), SHARD, "us-east-1")


def log_of(*frames: bytes) -> Log:
    log = Log(None)
    for frame in frames:
        log.append(frame)
    log.flush()
    return log


def change(schema: KeySchema, text: str, kind: int = INSERT, note: str = "") -> bytes:
    pk = key_bytes(schema.pk_type, text)
    sk = b"s" if schema.sk is not None else b""
    image = orjson.dumps({schema.pk: {schema.pk_type: text}, "note": {"S": note}}) if kind <= MODIFY else b""
    return encode(kind, 1_700_000_000_123, 40 + len(note), 16 if kind != INSERT else 0, pk, sk, image)


changes = st.lists(
    st.tuples(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), st.integers(1, 4), st.text()),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("view", ["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"])
@pytest.mark.parametrize("name", ["S", "quoted", "S and S"])
@given(made=changes, read_bytes=st.integers(60, 400))
def test_read_gives_what_is_written_of_each_decoded_frame(name: str, view: str, made: Any, read_bytes: int) -> None:
    schema, write = SCHEMAS[name], writer(SCHEMAS[name], view)
    log = log_of(*(change(schema, text, kind, note) for text, kind, note in made))
    try:
        with pytest.MonkeyPatch.context() as patch:
            # Frames that end behind what is read at a time.
            patch.setattr(stream_records, "_FIRST_READ", read_bytes)
            records, position = write.read(log, len(FILE_HEADER), log.end, 1000)
        expected = [write.record(at, frame) for at, frame in log.frames_from(len(FILE_HEADER))]
    finally:
        log.close()
    assert records == expected and position == log.end
    for record, (text, kind, _) in zip(map(json.loads, records), made, strict=True):
        assert record["dynamodb"]["Keys"][schema.pk] == {"S": text}
        assert record["eventName"] == {INSERT: "INSERT", MODIFY: "MODIFY", REMOVE: "REMOVE", EXPIRE: "REMOVE"}[kind]
        assert ("NewImage" in record["dynamodb"]) == (view.startswith("NEW") and kind in (INSERT, MODIFY))
        assert ("userIdentity" in record) == (kind == EXPIRE)


def test_read_of_number_keys_takes_the_long_way() -> None:
    log = log_of(change(SCHEMAS["N"], "12.5"))
    (record,), _ = writer(SCHEMAS["N"]).read(log, len(FILE_HEADER), log.end, 10)
    log.close()
    assert json.loads(record)["dynamodb"]["Keys"] == {"id": {"N": "12.5"}}


def test_read_ends_at_the_limit_and_goes_on_where_it_ended() -> None:
    log = log_of(*(change(SCHEMAS["S"], str(n)) for n in range(10)))
    write, position, found = writer(SCHEMAS["S"]), len(FILE_HEADER), []
    while position < log.end:
        records, position = write.read(log, position, log.end, 3)
        assert 0 < len(records) <= 3
        found += [json.loads(record)["dynamodb"]["Keys"]["id"]["S"] for record in records]
    log.close()
    assert found == [str(n) for n in range(10)]


def test_read_ends_before_the_end_of_a_shard_that_was_closed() -> None:
    frames = [change(SCHEMAS["S"], str(n)) for n in range(4)]
    log, end = log_of(*frames), len(FILE_HEADER) + len(frames[0]) + len(frames[1])
    records, position = writer(SCHEMAS["S"]).read(log, len(FILE_HEADER), end, 100)
    log.close()
    assert (len(records), position) == (2, end)


def test_read_gives_a_megabyte_at_most_but_one_record_always() -> None:
    log = log_of(*(change(SCHEMAS["S"], str(n), note="x" * 390_000) for n in range(4)))
    write = writer(SCHEMAS["S"])
    records, position = write.read(log, len(FILE_HEADER), log.end, 100)
    assert len(records) == 2
    assert len(write.read(log, position, log.end, 100)[0]) == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_records, "MAX_BYTES", 10)
        assert len(write.read(log, len(FILE_HEADER), log.end, 100)[0]) == 1
    log.close()
