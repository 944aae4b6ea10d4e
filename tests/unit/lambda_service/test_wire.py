"""Records of events joined from bytes are those that decoding and encoding would make."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.lambda_service.aws import AwsCallError
from harness.lambda_service.event_sources.projection import projection
from harness.lambda_service.event_sources.wire import ChangeEncoder, read_page
from harness.lambda_service.filters import compile_filters, fields_of

ARN, REGION = "arn:aws:dynamodb:eu-west-1:000000000000:table/t/stream/1", "eu-west-1"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
DUMPS = [
    lambda value: json.dumps(value).encode(),
    lambda value: json.dumps(value, ensure_ascii=False).encode(),
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"), indent=1).encode(),
]
KEYS = st.sampled_from(["a", "b", "c", "a.b", "b.c", "a.b.c"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXT, inner, max_size=4),
    max_leaves=12,
)


def test_characters_that_a_server_escapes_are_utf_8_in_events() -> None:
    record = {"dynamodb": {"SequenceNumber": "1", "NewImage": {"a": {"S": "é語"}}}}
    _, data = ChangeEncoder(ARN, REGION).encode(msgspec.Raw(json.dumps(record).encode()))
    assert "é語".encode() in data


@given(st.dictionaries(TEXT, TEXT), st.sampled_from(DUMPS), st.sets(st.sampled_from(["awsRegion", "eventSource"])))
def test_stream_record_keeps_what_it_says_and_gets_its_stream(image: Any, dumps: Any, given_fields: set[str]) -> None:
    change = {"SequenceNumber": "7", "ApproximateCreationDateTime": 1.5, "NewImage": image, "Keys": {"id": {"S": "k"}}}
    record = {"eventName": "INSERT", **dict.fromkeys(given_fields, "theirs"), "dynamodb": change}
    page = read_page(dumps({"Records": [record], "NextShardIterator": "next"}))
    assert page.NextShardIterator == "next"
    assert page.Records is not None
    known, data = ChangeEncoder(ARN, REGION).encode(page.Records[0])
    assert (known.SequenceNumber, known.ApproximateCreationDateTime) == ("7", 1.5)
    assert json.loads(bytes(known.Keys)) == {"id": {"S": "k"}}
    defaults = {"awsRegion": REGION, "eventSource": "aws:dynamodb"}
    assert json.loads(data) == {**defaults, **record, "eventSourceARN": ARN}


def test_stream_record_that_names_another_stream_names_the_mappings() -> None:
    record = {"eventSourceARN": "x", "dynamodb": {"SequenceNumber": "1"}}
    _, data = ChangeEncoder(ARN, REGION).encode(msgspec.Raw(json.dumps(record).encode()))
    assert json.loads(data)["eventSourceARN"] == ARN
    assert data.count(b"eventSourceARN") == 1


@pytest.mark.parametrize("answer", [b"", b"x", b"[]", b'{"a":"\\ud800"}', b'{"Records":1}'])
def test_answer_of_another_form_is_an_error_of_the_call(answer: bytes) -> None:
    with pytest.raises(AwsCallError, match="GetRecords: Unparsable"):
        read_page(answer)


def test_record_of_another_form_is_an_error_of_the_call() -> None:
    with pytest.raises(AwsCallError, match="GetRecords: Unparsable"):
        ChangeEncoder(ARN, REGION).encode(msgspec.Raw(b'{"dynamodb":{}}'))


RULES = st.lists(
    st.sampled_from([{"exists": True}, {"exists": False}, None, True, 1, "", {"prefix": ""}, {"anything-but": "x"}]),
    min_size=1,
    max_size=2,
)
PATTERNS = st.recursive(
    st.dictionaries(KEYS, RULES, min_size=1, max_size=3),
    lambda inner: st.dictionaries(KEYS, inner | RULES, min_size=1, max_size=2),
    max_leaves=4,
)


@given(JSON.filter(lambda value: isinstance(value, dict)), st.lists(PATTERNS, min_size=1, max_size=2))
def test_filter_sees_in_a_projection_what_it_sees_in_the_record(record: Any, patterns: list[Any]) -> None:
    texts = [json.dumps(pattern) for pattern in patterns]
    predicate = compile_filters(texts)
    assert predicate is not None
    encoded = json.dumps(record).encode()
    assert predicate(projection(fields_of(texts))(encoded)) == predicate(json.loads(encoded))


def test_projection_decodes_only_what_a_filter_names() -> None:
    record = {"eventName": "INSERT", "dynamodb": {"NewImage": {"s": {"S": "x"}, "big": {"S": "y" * 99}}, "Keys": {}}}
    project = projection({"dynamodb.NewImage.s.S", "eventName"})
    assert project(json.dumps(record).encode()) == {"eventName": "INSERT", "dynamodb": {"NewImage": {"s": {"S": "x"}}}}


def test_projection_of_a_very_deep_path_is_the_record() -> None:
    record = {"a": {"b": 1}, "c": 2}
    assert projection({".".join("a" * 40)})(json.dumps(record).encode()) == record


def test_projection_of_a_list_in_the_place_of_an_object_is_the_record() -> None:
    record = {"a": [{"b": 1}, {"b": 2}]}
    assert projection({"a.b"})(json.dumps(record).encode()) == record
