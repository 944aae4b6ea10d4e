"""Partial batch responses: success, the failures named, or the whole batch."""

from __future__ import annotations

import pytest

from harness.lambda_service.event_sources.partial import failed_items


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"{}",
        b"[]",
        b'""',
        b'{"batchItemFailures":null}',
        b'{"batchItemFailures":[]}',
        b'{"statusCode":200}',
    ],
)
def test_response_when_empty_is_a_success(payload: bytes) -> None:
    assert failed_items(payload, {"a", "b"}) == set()


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (b'{"itemIdentifier":"a"}', {"a"}),
        (b'{"itemIdentifier":"b"},{"itemIdentifier":"a"}', {"a", "b"}),
        (b'{"itemIdentifier":"a"},{"itemIdentifier":"a"}', {"a"}),
        (b'{"itemIdentifier":"a","more":1}', {"a"}),
    ],
)
def test_response_when_it_names_items_has_failed_in_those(entries: bytes, expected: set[str]) -> None:
    assert failed_items(b'{"batchItemFailures":[' + entries + b"]}", {"a", "b"}) == expected


@pytest.mark.parametrize(
    "payload",
    [
        b'{"batchItemFailures":[{"itemIdentifier":"z"}]}',
        b'{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"z"}]}',
        b'{"batchItemFailures":[{"itemIdentifier":""}]}',
        b'{"batchItemFailures":[{"itemIdentifier":null}]}',
        b'{"batchItemFailures":[{"itemIdentifier":123}]}',
        b'{"batchItemFailures":[{"itemIdentifier":["a"]}]}',
        b'{"batchItemFailures":[{"id":"a"}]}',
        b'{"batchItemFailures":[{"foo":null}]}',
        b'{"batchItemFailures":[{}]}',
        b'{"batchItemFailures":["a"]}',
        b'{"batchItemFailures":[null]}',
        b'{"batchItemFailures":"a"}',
        b'{"batchItemFailures":{"itemIdentifier":"a"}}',
        b'{"batchItemFailures":false}',
        b'["a"]',
        b'[{"itemIdentifier":"a"}]',
        b'"text"',
        b"0",
        b"false",
        b"true",
        b"not json",
    ],
)
def test_response_when_malformed_has_failed_in_the_whole_batch(payload: bytes) -> None:
    assert failed_items(payload, {"a", "b"}) is None
