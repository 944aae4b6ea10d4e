"""What the expression of a shape accepts is read as `read_item` reads it, and it accepts the rows of its shape."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.data_plane.tables import requests
from harness.data_plane.tables.catalog import HeldTable
from harness.data_plane.tables.items import MAX_ITEM, NOT_DECODED, read_item
from harness.data_plane.tables.keys import KeySchema
from harness.data_plane.tables.log import Log
from harness.data_plane.tables.rows import MAX_SHAPES, SIGHTINGS, Row, RowReader, table_name
from tests.depth import examples
from tests.unit.data_plane.tables.conftest import stream, table
from tests.unit.data_plane.tables.test_streams import Clocked

SCHEMA = KeySchema("id", "S")
RANGED = KeySchema("id", "S", "n", "N")
MOST = 25
NAMES = ("id", "n", "a", "é€", "x.y[0]")
texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=8)
keys = st.text(alphabet=st.sampled_from('ab#é😀"\\\n'), max_size=4)
numbers = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["0", "-0", "0.0", "1.50", "-0.5", "01", "1e5", "1200", "9" * 39, "", "x", "0.001", "²", "-120"]),
)
cells = st.one_of(texts.map(lambda s: {"S": s}), st.just({"NULL": True}), st.just({"S": ""}))
number = numbers.map(lambda n: {"N": n})


def items_of(*values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return items with these values of `NAMES`, in that order: Hypothesis' dictionaries have any."""
    return st.tuples(*values).map(lambda drawn: dict(zip(NAMES, drawn, strict=True)))


short_escapes = st.text(
    st.characters(codec="utf-8", min_codepoint=0x20) | st.sampled_from("\b\f\n\r\t"), max_size=8
).map(lambda s: {"S": s}) | st.just({"NULL": True})
"""Without the control characters whose escape has six characters, which the expression leaves to the long way."""
rows = items_of(keys.map(lambda s: {"S": s}), number, cells, cells, number | cells)


def batch(items: list[Any], **style: Any) -> bytes:
    entries = [{"PutRequest": {"Item": item}} for item in items]
    return json.dumps(
        {"RequestItems": {"rows": entries}}, **{"separators": (",", ":"), "ensure_ascii": False, **style}
    ).encode("utf-8", "surrogatepass")


def reader(schema: KeySchema = SCHEMA, number_last: bool = False) -> RowReader:
    """Return a reader that knows the shape of `rows`."""
    learned = RowReader(schema)
    last = {"N": "1"} if number_last else {"S": "x"}
    image = batch([{"id": {"S": "k"}, "n": {"N": "1"}, "a": {"S": ""}, "é€": {"NULL": True}, "x.y[0]": last}])
    for _ in range(SIGHTINGS):
        learned.learn(image[image.index(b'{"id"') : -len(b"}}]}}")])
    return learned


def fast(body: bytes, known: RowReader) -> tuple[str, list[Row]] | None:
    """Return the table's name and the rows; None when the request is not certainly valid."""
    named = table_name(body)
    if named is None:
        return None
    read = known.read(body, named[1], MOST)
    return (named[0], read) if read is not None else None


def slow(body: bytes, schema: KeySchema) -> tuple[str, list[Row]] | None:
    """Read a request of puts into one table item by item; returns as `fast`."""
    try:
        tables = requests.DECODERS["BatchWriteItem"].decode(body).RequestItems
    except NOT_DECODED:
        return None
    if len(tables) != 1:
        return None
    [(name, entries)] = tables.items()
    if any(entry.PutRequest is None or entry.DeleteRequest is not None for entry in entries):
        return None
    read = [read_item(entry.PutRequest.Item, schema) for entry in entries]
    found = [(item.pk, item.sk, item.image, item.size) for item in read if item is not None]
    distinct = {row[:2] for row in found}
    return (name, found) if len(distinct) == len(read) and 0 < len(read) <= MOST else None


READERS = {(schema.sk, last): reader(schema, last) for schema in (SCHEMA, RANGED) for last in (False, True)}


@given(st.lists(rows, min_size=1, max_size=4), st.sampled_from([SCHEMA, RANGED]), st.booleans())
@settings(max_examples=examples(300))
def test_what_is_accepted_is_what_reading_item_by_item_gives(
    items: list[Any], schema: KeySchema, number_last: bool
) -> None:
    body = batch(items)
    read = fast(body, READERS[schema.sk, number_last])
    if read is not None:
        assert read == slow(body, schema)


damages = st.one_of(
    st.tuples(st.just("cut"), st.integers(0, 400), st.just(b"")),
    st.tuples(st.just("put"), st.integers(0, 400), st.sampled_from([bytes([b]) for b in range(256)])),
    st.tuples(
        st.just("put"),
        st.integers(0, 400),
        st.sampled_from(
            [b'"', b"\\", b'{"NULL":true}', b',"a":{"S":""}', b"\\u0041", b"\xed\xa0\x80", b'"},"b":{"S":"']
        ),
    ),
    st.tuples(st.just("over"), st.integers(0, 400), st.sampled_from([bytes([b]) for b in range(256)])),
)


@given(st.lists(rows, min_size=1, max_size=3), st.lists(damages, min_size=1, max_size=3))
@settings(max_examples=examples(500))
@example(
    [{"id": {"S": "k"}, "n": {"N": "1"}, "a": {"S": ""}, "é€": {"S": ""}, "x.y[0]": {"S": ""}}], [("cut", 80, b"")]
)
def test_damaged_requests_are_never_read_otherwise(items: list[Any], damage: list[tuple[str, int, bytes]]) -> None:
    body = batch(items)
    for kind, place, data in damage:
        at = place % len(body)
        body = body[:at] + data + body[at if kind == "put" else at + 1 :]
    read = fast(body, READERS[None, False])
    if read is not None:
        assert read == slow(body, SCHEMA)


@given(
    st.lists(
        items_of(
            st.uuids().map(lambda u: {"S": str(u)}),
            st.integers(-(10**18), 10**18).map(lambda n: {"N": str(n)}),
            *[short_escapes] * 3,
        ),
        min_size=1,
        max_size=MOST,
        unique_by=lambda item: item["id"]["S"],
    )
)
def test_rows_of_the_shape_are_accepted(items: list[Any]) -> None:
    body = batch(items)
    assert fast(body, READERS[None, False]) == slow(body, SCHEMA) is not None


ROW = {"id": {"S": "k"}, "n": {"N": "1"}, "a": {"S": "x"}, "é€": {"NULL": True}, "x.y[0]": {"S": "y"}}
SECOND = {**ROW, "id": {"S": "l"}}


@pytest.mark.parametrize(
    "body",
    [
        batch([ROW, ROW]),
        batch([ROW, SECOND], separators=(", ", ": ")),
        batch([ROW, {**SECOND, "more": {"S": "x"}}]),
        batch([ROW, dict(reversed(SECOND.items()))]),
        batch([{**ROW, "id": {"S": str(i)}} for i in range(MOST + 1)]),
        batch([ROW, {**SECOND, "id": {"S": "k" * 2049}}]),
        batch([ROW, {**SECOND, "a": {"S": "x" * MAX_ITEM}}]),
        batch([ROW]).replace(b'"x"', b'"\xff"'),
        batch([ROW]).replace(b'"x"', b'"\xed\xa0\x80"'),
        batch([ROW]) + b" ",
        batch([ROW])[:-1] + b',"ReturnConsumedCapacity":"TOTAL"}',
        batch([ROW])[:-2] + b',"other":[]}}',
        batch([]),
        batch([ROW]).replace(b"]}}", b",]}}"),
    ],
)
def test_everything_else_is_left_to_the_reading_of_items(body: bytes) -> None:
    assert fast(body, READERS[None, False]) is None


def test_keys_of_a_table_with_numbers_order_as_they_do_otherwise() -> None:
    body = batch([{**ROW, "n": {"N": n}} for n in ("10", "-2.5", "0")])
    assert fast(body, READERS["n", False]) == slow(body, RANGED) is not None


def test_the_number_of_shapes_is_bounded() -> None:
    known = RowReader(SCHEMA)
    for number in range(3 * MAX_SHAPES):
        item = {"id": {"S": "k"}, f"c{number}": {"S": "x"}}
        for _ in range(SIGHTINGS):
            known.learn(orjson.dumps(item))
        assert fast(batch([item]), known) is not None
    assert len(known._patterns) <= MAX_SHAPES


def test_a_service_answers_stores_and_counts_alike_before_and_after_it_has_learned() -> None:
    answers: list[list[Any]] = []
    for learned in (False, True):
        clocked = Clocked(shards=2)
        clocked.call("CreateTable", **table("rows", **stream()))
        held = clocked.service.catalog.tables["000000000000", "us-east-1", "rows"]
        held.rows = READERS[None, False] if learned else RowReader(held.schema)
        for version in range(2):
            items = [{**ROW, "id": {"S": f"k{i}"}, "a": {"S": f"{version}" * (i * 700)}} for i in range(5)]
            status, _, body = clocked.service.handle(
                "/", {b"x-amz-target": b"DynamoDB_20120810.BatchWriteItem"}, batch(items)
            )
            assert (status, body) == (200, b'{"UnprocessedItems":{}}')
        current = held.store.map.current
        assert current is not None
        records = [
            {k: v for k, v in record["dynamodb"].items() if k != "ApproximateCreationDateTime"}
            for shard in held.store.map.of_stream(current.label)
            for record in clocked.stream(
                "GetRecords",
                ShardIterator=clocked.iterator(
                    clocked.stream("ListStreams")["Streams"][0]["StreamArn"], shard.number - 2
                ),
            )["Records"]
        ]
        usage = clocked.service.usage()[0]
        answers.append(
            [usage["WriteUnits"], held.store.bytes, clocked.call("Scan", TableName="rows"), len(records), records]
        )
        clocked.service.close()
    assert answers[0] == answers[1]
    assert answers[0][3] == 9


def test_every_short_escape_is_read_as_item_by_item() -> None:
    body = batch([{**ROW, "a": {"S": '\\\\"\\ \b\f\n\r\t \\'}}])
    assert fast(body, READERS[None, False]) == slow(body, SCHEMA) is not None


@pytest.mark.parametrize(
    ("schema", "item"),
    [
        (KeySchema("id", "B"), {"id": {"B": "YWJj"}, "a": {"S": "x"}}),
        (KeySchema("id", "S", "n", "B"), {"id": {"S": "k"}, "n": {"B": "YWJj"}}),
        (SCHEMA, {"id": {"S": "k"}, "a": {"L": []}}),
        (SCHEMA, {"id": {"S": "k"}, "a": {"BOOL": True}}),
    ],
)
def test_no_expression_is_made_for_binary_keys_and_other_types(schema: KeySchema, item: dict[str, Any]) -> None:
    known = RowReader(schema)
    for _ in range(SIGHTINGS):
        known.learn(orjson.dumps(item))
    texts_instead = {name: {"S": "not base64"} for name in item}
    assert fast(batch([item]), known) is fast(batch([texts_instead]), known) is None


@pytest.fixture
def learned() -> Iterator[Clocked]:
    """A service with a table that knows the shape of `ROW` and holds one."""
    clocked = Clocked(shards=2)
    clocked.call("CreateTable", **table("rows", **stream()))
    held_by(clocked).rows = READERS[None, False]
    assert send(clocked, batch([ROW]))[0] == 200
    yield clocked
    clocked.service.close()


def held_by(clocked: Clocked) -> HeldTable:
    return clocked.service.catalog.tables["000000000000", "us-east-1", "rows"]


def send(clocked: Clocked, body: bytes) -> tuple[int, bytes]:
    headers = {b"x-amz-target": b"DynamoDB_20120810.BatchWriteItem"}
    status, _, answer = clocked.service.handle("/", headers, body)
    return status, answer


def test_a_full_disk_takes_back_rows_that_were_not_decoded(learned: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    before = learned.call("Scan", TableName="rows"), held_by(learned).store.bytes

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Log, "_write", no_room)
        assert send(learned, batch([{**ROW, "a": {"S": "other"}}, SECOND]))[0] == 500
    assert (learned.call("Scan", TableName="rows"), held_by(learned).store.bytes) == before
    assert send(learned, batch([SECOND]))[0] == 200
    assert learned.call("Scan", TableName="rows")["Count"] == 2


@pytest.mark.parametrize("case", ["enforced", "indexed", "not plain"])
def test_what_must_be_admitted_or_indexed_is_decoded(
    learned: Clocked, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot, held, scope = learned.service._hot, held_by(learned), ("000000000000", "us-east-1")
    if case == "enforced":
        monkeypatch.setattr(learned.service.ledger, "enforced", True)
    elif case == "indexed":
        held.indexed = True
    else:
        held.plain = False
    assert not hot._put_rows(scope, batch([SECOND]))
    assert held.store.count == 1
