"""Whatever lies in a dead-letter queue is read, described as what it is, and shown without obeying it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handlers.record_batch import RecordBatch, RowError, encode
from harness.dead_letters import DETAIL_CHARACTERS, NamedObject, Shape, StreamBatch, printable, read_dead_letter

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
WORDS = [
    "v",
    "source",
    "columns",
    "rows",
    "error",
    "id",
    "Records",
    "s3",
    "object",
    "key",
    "bucket",
    "name",
    "versionId",
    "Event",
    "requestContext",
    "condition",
    "requestPayload",
    "responsePayload",
    "errorType",
    "errorMessage",
    "DDBStreamBatchInfo",
    "startSequenceNumber",
    "endSequenceNumber",
]
NEARLY = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.just("s3:TestEvent"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=20,
)


@given(st.text() | (JSON | NEARLY).map(json.dumps))
@example("[" * 100_000)
@example('{"a":' * 100_000)
@example("9" * 10_000)
@example('"\\ud800"')
@example("\x1b]0;title\x07")
@example("x" * 1_048_576)
def test_dead_letter_when_it_is_anything_is_described_in_printable_text(body: str) -> None:
    found = read_dead_letter(body)
    for text in (found.reason, found.detail, found.problem):
        assert text.isprintable()
        assert len(text) <= DETAIL_CHARACTERS
        text.encode()
    assert found.reason
    assert found.problem or found.batch or found.objects or found.stream


@given(st.dictionaries(st.sampled_from(["ErrorMessage", "ErrorCode", "other"]), JSON))
def test_dead_letter_when_attributes_are_anything_is_described(attributes: dict[str, Any]) -> None:
    assert read_dead_letter('{"Records": []}', attributes).detail.isprintable()


@given(st.text(), st.integers(1, 60))
def test_printable_when_a_text_is_anything_keeps_to_the_limit_and_escapes(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Stück 東京", "Stück 東京"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("", ""),
    ],
)
def test_printable_when_characters_are_controls_gives_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_printable_when_too_long_ends_with_an_ellipsis_and_no_half_escape() -> None:
    assert printable("abc\x1bdef", 6) == "abc…"
    assert printable("abcdef", 6) == "abcdef"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("", "no JSON, 0 bytes"),
        ("hello", "no JSON, 5 bytes: hello"),
        ("\x00\x01", "no JSON, 2 bytes: \\x00\\x01"),
        ("null", "JSON null, 4 bytes"),
        ("[1]", "a JSON array, 3 bytes"),
        ("7", "a JSON number, 1 bytes"),
        ('"é"', "a JSON string, 4 bytes"),
        ("true", "a JSON boolean, 4 bytes"),
        ("{}", "a JSON object, 2 bytes"),
        ('{"key1":"value1"}', "a JSON object, 17 bytes"),
        ('{"Event":"s3:TestEvent"}', "an Amazon S3 test event, 24 bytes"),
        ('{"Records":[]}', "an event without Records, 14 bytes"),
        ('{"v":2,"rows":[]}', "record batch version '2' is not 1, 17 bytes"),
        ('{"v":1,"rows":[]}', "not a record batch: KeyError: 'source', 17 bytes"),
    ],
)
def test_dead_letter_when_it_is_no_record_of_a_failure_says_what_it_is(body: str, what: str) -> None:
    found = read_dead_letter(body)
    assert (found.shape, found.reason) == (Shape.OTHER, "not a record batch")
    assert found.detail.startswith(what)
    assert found.problem


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        ({"key1": "value1"}, 'an event without Records {"key1": "value1"}: KeyError Records'),
        ({"Event": "s3:TestEvent"}, 'an Amazon S3 test event {"Event": "s3:TestEvent"}: KeyError Records'),
        (None, "its event is JSON null null: KeyError Records"),
        ('{"Records": [', 'its event is a JSON string "{\\"Records\\": [": KeyError Records'),
        ({"Records": []}, 'an event without Records {"Records": []}: KeyError Records'),
        ({"Records": ["x"]}, '1 of 1 records of its event name no object {"Records": ["x"]}: KeyError Records'),
    ],
)
def test_dead_letter_when_an_invocation_named_no_object_shows_its_event_and_error(payload: Any, detail: str) -> None:
    record = {
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": payload,
        "responsePayload": {"errorType": "KeyError", "errorMessage": "Records"},
    }
    found = read_dead_letter(json.dumps(record))
    assert (found.shape, found.reason, found.detail) == (Shape.INVOCATION, "RetriesExhausted", detail)
    assert found.problem


def test_dead_letter_when_an_invocation_has_no_event_at_all_says_so() -> None:
    found = read_dead_letter('{"requestContext": null}')
    assert (found.reason, found.problem) == ("unknown", "a failed invocation without its event")


def test_dead_letter_when_only_some_records_name_objects_gives_those_and_says_so() -> None:
    good = {"s3": {"bucket": {"name": "b"}, "object": {"key": "a+b%2F1.csv", "versionId": "v"}}}
    found = read_dead_letter(json.dumps({"requestPayload": {"Records": [good, {"s3": {}}]}}))
    assert found.objects == (NamedObject("b", "a b/1.csv", "v"),)
    assert found.problem == "1 of 2 records of its event name no object"


def test_dead_letter_when_a_function_has_a_dead_letter_config_gives_event_and_error_from_attributes() -> None:
    record = {"s3": {"bucket": {"name": "b"}, "object": {"key": "x.csv", "eTag": "e"}}}
    attributes = {
        "RequestID": {"DataType": "String", "StringValue": "r"},
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": "it broke"},
    }
    found = read_dead_letter(json.dumps({"Records": [record]}), attributes)
    assert (found.shape, found.reason, found.problem) == (Shape.EVENT, "undelivered event", "")
    assert found.detail == "x.csv: 200 it broke"
    assert found.objects == (NamedObject("b", "x.csv", "e"),)


def test_dead_letter_when_it_is_a_batch_gives_it_with_its_reason() -> None:
    batch = RecordBatch("s", ("a",), [[1, "x"]], error=RowError("process", "bad\x07", "d\x1b"))
    found = read_dead_letter(encode(batch))
    assert (found.shape, found.batch, found.reason, found.detail) == (Shape.BATCH, batch, "bad\\x07", "d\\x1b")
    assert found.problem == ""


def test_dead_letter_when_a_batch_has_no_rows_says_so() -> None:
    assert read_dead_letter(encode(RecordBatch("s", ("a",), []))).problem == "a record batch without rows"


@pytest.mark.parametrize(
    "error", [{"stage": 1, "reason": "x", "detail": ""}, {"stage": "s", "reason": [], "detail": ""}, {}, 5, None]
)
def test_dead_letter_when_a_batch_has_an_error_of_another_form_is_no_batch(error: Any) -> None:
    body = {"v": 1, "source": {"id": "s"}, "columns": ["a"], "rows": [[1, "x"]], "error": error}
    found = read_dead_letter(json.dumps(body))
    assert (found.shape, found.batch) == (Shape.OTHER, None)


INFO = {"streamArn": "arn", "shardId": "s", "startSequenceNumber": "1", "endSequenceNumber": "2", "batchSize": 2}


def test_dead_letter_when_a_stream_batch_failed_gives_its_positions() -> None:
    found = read_dead_letter(json.dumps({"requestContext": {"condition": "c"}, "DDBStreamBatchInfo": INFO}))
    assert (found.shape, found.stream, found.problem) == (Shape.STREAM, StreamBatch("arn", "s", "1", "2"), "")
    assert found.detail == "2 stream records from 1"


@pytest.mark.parametrize("name", ["streamArn", "shardId", "startSequenceNumber", "endSequenceNumber"])
@pytest.mark.parametrize("value", [None, 7, ""])
def test_dead_letter_when_a_stream_batch_lacks_a_position_names_it(name: str, value: Any) -> None:
    found = read_dead_letter(json.dumps({"DDBStreamBatchInfo": {**INFO, name: value}}))
    assert found.stream is None
    assert found.problem == f"a failed stream batch without {name}"
