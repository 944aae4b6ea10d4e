"""The replacements of MiniStack's hot spots do exactly what the originals do."""

from __future__ import annotations

import copy
import json
import uuid
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ministack.services import dynamodb

from harness.engines.embedded.acceleration import FastJson, FastValidation, LeanBatchWrite, fast_item_size, fast_uuid
from tests.depth import examples

ATTRIBUTE = st.recursive(
    st.builds(lambda s: {"S": s}, st.text(max_size=20))
    | st.builds(lambda n: {"N": str(n)}, st.integers(-(10**30), 10**30))
    | st.builds(lambda b: {"BOOL": b}, st.booleans()),
    lambda inner: (
        st.builds(lambda v: {"L": v}, st.lists(inner, max_size=3))
        | st.builds(lambda v: {"M": v}, st.dictionaries(st.text(max_size=5), inner, max_size=3))
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=10), ATTRIBUTE, max_size=6))
def test_item_size_when_computed_fast_equals_the_original(item: dict[str, Any]) -> None:
    assert fast_item_size(dynamodb._attribute_value_size)(item) == dynamodb._item_size_bytes(item)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
@settings(max_examples=examples(200))
def test_fast_json_when_it_stands_in_for_json_means_the_same(value: Any) -> None:
    assert json.loads(FastJson.dumps(value, ensure_ascii=False)) == json.loads(json.dumps(value))
    assert FastJson.loads(json.dumps(value)) == json.loads(json.dumps(value))


def test_fast_json_when_an_integer_exceeds_64_bits_writes_it_whole() -> None:
    assert FastJson.dumps({"n": 2**70}) == json.dumps({"n": 2**70})


def test_fast_json_when_text_is_broken_raises_what_json_raises() -> None:
    with pytest.raises(json.JSONDecodeError):
        FastJson.loads("{")


TABLE = {"name": "t"}


def test_lean_batch_write_when_capacity_is_asked_for_answers_as_the_original() -> None:
    class Module:
        calls: ClassVar[list[str]] = []

        @staticmethod
        def _validate_item(item: Any, *_: Any) -> Any:
            Module.calls.append("validate")
            return "bad" if item.get("bad") else None

        @staticmethod
        def _accumulate_write_capacity(*_: Any) -> None:
            Module.calls.append("capacity")

        @staticmethod
        def _resolve_table_key_values(table: Any, attrs: Any, allow_extra: bool) -> Any:
            Module.calls.append("key")
            return table["name"], attrs.get("pk"), allow_extra

        @staticmethod
        def _batch_write_item(data: Any) -> Any:
            for item in data["items"] * 2:
                error = lean.validate_item(item)
                if error:
                    return error
                assert lean.resolve_key(TABLE, item, True) == ("t", item.get("pk"), True)
            lean.accumulate()
            return "ok"

    lean = LeanBatchWrite(Module)
    assert lean.batch_write_item({"items": [{"pk": 1}, {"pk": 2}]}) == "ok"
    assert Module.calls == ["validate", "key", "validate", "key"]
    Module.calls.clear()
    assert lean.batch_write_item({"items": [{}], "ReturnConsumedCapacity": "TOTAL"}) == "ok"
    assert Module.calls == ["validate", "key", "capacity"]
    assert lean.batch_write_item({"items": [{"bad": True}]}) == "bad"
    lean.validate_item({})
    lean.validate_item({})
    assert Module.calls[-2:] == ["validate", "validate"]
    for _ in range(2):
        lean.resolve_key(TABLE, {}, False)
    assert Module.calls[-2:] == ["key", "key"]


VALUE = (
    ATTRIBUTE
    | st.just({"NULL": False})
    | st.builds(lambda v: {"N": v}, st.sampled_from(["1", "1.50", "-0", "1e400", "x", "", "  2", "1" * 40]))
    | st.builds(lambda v: {"SS": v}, st.lists(st.text(max_size=2), max_size=3))
    | st.builds(lambda v: {"NS": v}, st.lists(st.sampled_from(["1", "1.0", "y"]), max_size=3))
    | st.sampled_from([{}, {"S": 1}, {"S": "a", "N": "1"}, {"X": "?"}, "text", None, {"S": ""}, {"B": ""}])
)
ITEM = st.dictionaries(st.sampled_from(["pk", "sk", "a", "b", "ü"]), VALUE, max_size=5)


def answer(error: Any) -> Any:
    """Return what a client sees of a refusal; its headers differ by the request's identifier."""
    return error and (error[0], error[2])


@given(ITEM, st.sampled_from([None, "pk"]), st.sampled_from([None, "sk"]))
@settings(max_examples=examples(400))
def test_validation_when_done_fast_refuses_and_canonicalises_alike(item: Any, pk: str | None, sk: str | None) -> None:
    fast, original = copy.deepcopy(item), copy.deepcopy(item)
    mine = FastValidation(dynamodb)
    assert answer(mine.validate_item(fast, pk, sk)) == answer(dynamodb._validate_item(original, pk, sk))
    assert fast == original
    for envelope in (False, True):
        expected = dynamodb._values_error_response(item.values(), envelope)
        assert answer(mine.values_error(item.values(), envelope)) == answer(expected)


@pytest.mark.parametrize("size", [409_590, 409_600, 409_601, 500_000])
@pytest.mark.parametrize("letter", ["x", "ü"])
def test_validation_when_an_item_is_near_the_size_limit_decides_alike(size: int, letter: str) -> None:
    item = {"pk": {"S": "k"}, "a": {"S": letter * ((size - 4) // len(letter.encode()))}}
    mine = FastValidation(dynamodb)
    for wording in ((), ("too large",)):
        expected = dynamodb._validate_item(item, "pk", None, *wording)
        assert answer(mine.validate_item(item, "pk", None, *wording)) == answer(expected)


def test_uuid_when_made_fast_is_a_version_4_uuid_and_unique() -> None:
    made = [fast_uuid() for _ in range(2000)]
    assert len(set(made)) == len(made)
    for text in made:
        assert str(uuid.UUID(text)) == text
        assert (uuid.UUID(text).version, uuid.UUID(text).variant) == (4, uuid.RFC_4122)
