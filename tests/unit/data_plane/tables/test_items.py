"""What `read_item` accepts is what the complete validation accepts, with the same values; the rest it leaves."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data_plane.tables import module as ministack
from harness.data_plane.tables.items import MAX_ITEM, read_item, read_key
from harness.data_plane.tables.keys import KeySchema, key_bytes

SCHEMA = KeySchema("id", "S")
RANGED = KeySchema("id", "S", "n", "N")
MODULE = ministack.load()

texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=12)
number_texts = st.one_of(
    st.integers(-(10**40), 10**40).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.sampled_from(
        ["0", "-0", "1.0", "1.50", "00", "01", "+1", " 1", "1e5", "0.001", "100", "1200", "-12.5", "", "x"]
    ),
)
values = st.one_of(
    texts.map(lambda s: {"S": s}),
    number_texts.map(lambda n: {"N": n}),
    st.booleans().map(lambda b: {"NULL": b}),
    st.just({"BOOL": True}),
    st.just({"M": {"a": {"S": "x"}}}),
    st.just({"SS": ["a", "b"]}),
    st.just({}),
    st.just({"S": "a", "N": "1"}),
    st.just({"S": 1}),
)
items = st.dictionaries(texts, values, max_size=5)


def full(**attributes: Any) -> bytes:
    return orjson.dumps({"id": {"S": "k"}, **attributes})


@given(items, st.sampled_from(["k", "", "é€😀", 'q"uote', "back\\slash"]))
def test_what_is_accepted_is_valid_canonical_and_of_the_right_size(item: dict[str, Any], key: str) -> None:
    item = {**item, "id": {"S": key}}
    raw = orjson.dumps(item)
    read = read_item(raw, SCHEMA)
    if read is None:
        return
    copy = orjson.loads(raw)
    assert MODULE._values_error_response(copy.values(), envelope=False) is None
    assert MODULE._validate_item(copy, "id", None) is None
    assert (read.pk, read.sk, read.size) == (key.encode(), b"", MODULE._item_size_bytes(copy))
    # Validation made the numbers of the copy canonical.
    assert orjson.loads(read.image) == copy


@given(
    st.dictionaries(texts.filter(lambda t: t != "id"), texts.map(lambda s: {"S": s}), max_size=4),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_rows_of_strings_are_accepted_however_they_are_written(
    attributes: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    item = {"id": {"S": "k"}, **attributes}
    read = read_item(json.dumps(item, ensure_ascii=ascii_only, indent=indent).encode(), SCHEMA)
    assert read is not None
    assert orjson.loads(read.image) == item
    assert len(read.image) <= len(json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode())
    assert read.size == MODULE._item_size_bytes(item)


def test_numbers_and_nulls_of_rows_are_accepted() -> None:
    raw = full(a={"N": "12"}, b={"N": "-0.5"}, c={"NULL": True}, d={"S": ""}, e={"N": "1200"})
    read = read_item(raw, SCHEMA)
    assert read is not None
    assert read.size == MODULE._item_size_bytes(orjson.loads(raw))


@pytest.mark.parametrize(
    ("given", "stored"), [("12.50", "12.5"), ("12.00", "12"), ("-0.10", "-0.1"), ("100.0", "100"), ("0.0", "0")]
)
def test_decimals_that_end_with_zeros_are_stored_without(given: str, stored: str) -> None:
    read = read_item(full(a={"N": given}), SCHEMA)
    assert read is not None
    assert read.image == full(a={"N": stored})


def test_negative_zero_is_left_to_the_complete_validation() -> None:
    assert read_item(full(a={"N": "-0.00"}), SCHEMA) is None


@pytest.mark.parametrize(
    "raw",
    [
        b'{"id":{"S":"k"} }',
        b'{"id": {"S":"k"}}',
        b'{ "id":{"S":"k"}}',
        b'{"id":{"S":"k"},"a":{"S":"x"} ,"b":{"S":"y"}}',
        b'{"id":{"S":"k"},\n"a":{"S":"x"}}',
        b'{"id":{"S":"k"},"id":{"S":"k"}}',
        b'{"id":{"S":"k"},"a":{"S":"x","S":"y"}}',
        b'{"id":{"S":"\\u006b"}}',
        b'{"id":{"S":"k"},"a":{"S":"\\u00e9\\ud83d\\ude00"},"b":{"N":"12"} , "c":{"NULL":true}}',
    ],
)
def test_what_is_not_compact_is_stored_compact(raw: bytes) -> None:
    item = orjson.loads(raw)
    read = read_item(raw, SCHEMA)
    assert read is not None
    assert read.image == orjson.dumps(item)
    assert read.size == MODULE._item_size_bytes(item)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"id":{"S":"k"},"a":{"S":"x","N":"1"}}',
        b'{"id":{"S":"k"},"a":{}}',
        b'{"id":{"S":"k"},"a":{},"b":{"S":"","N":""}}',
        b'{"id":{"S":"k"},"a":{"NULL":false}}',
        b'{"id":{"S":"k"},"a":{"N":"1","NULL":true}}',
        b'{"id":{"S":"\xff"}}',
        b'{"id":{"S":"k"}}x',
        b'{"id":{"S":"k"}',
        b'{"id":{"S":""}}',
        b'{"id":{"N":"1"}}',
        b'{"a":{"S":"k"}}',
        b'{"id":{"S":null}}',
        b"[]",
        b"null",
        b"",
        b"{}",
    ],
)
def test_what_is_not_certain_is_left_to_the_complete_validation(raw: bytes) -> None:
    assert read_item(raw, SCHEMA) is None


def test_key_and_item_limits_are_those_of_dynamodb() -> None:
    assert read_item(orjson.dumps({"id": {"S": "k" * 2048}}), SCHEMA) is not None
    assert read_item(orjson.dumps({"id": {"S": "k" * 2049}}), SCHEMA) is None
    assert read_item(full(v={"S": "x" * (MAX_ITEM - 4)}), SCHEMA) is not None
    assert read_item(full(v={"S": "x" * (MAX_ITEM - 3)}), SCHEMA) is None


def test_keys_are_read_with_their_types() -> None:
    assert read_key(b'{"id":{"S":"a"},"n":{"N":"2"}}', RANGED) == (b"a", key_bytes("N", "2"))
    for wrong in ({"id": {"S": "a"}}, {"id": {"S": "a"}, "n": {"S": "2"}}, {"id": {"S": "a"}, "n": {"N": "02"}}):
        assert read_key(json.dumps(wrong).encode(), RANGED) is None
    extra = {"id": {"S": "a"}, "n": {"N": "2"}, "x": {"S": "y"}}
    assert read_key(orjson.dumps(extra), RANGED) is None
