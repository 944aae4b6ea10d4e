"""What clean makes of events that are no notification of Amazon S3."""

from __future__ import annotations

from typing import Any

import pytest

from handlers import clean
from handlers.clean import EventError, handler
from handlers.settings import Settings

GOOD = {"s3": {"bucket": {"name": "b"}, "object": {"key": "a.csv"}}}


class Context:
    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


@pytest.fixture(autouse=True)
def without_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("nothing may be read")

    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Ingestion")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    monkeypatch.setattr(clean, "settings", lambda: Settings(insert_queue_url="q", quarantine_bucket="b"))
    monkeypatch.setattr(clean, "_s3", refuse)


def test_handler_when_s3_sends_its_test_event_does_nothing() -> None:
    event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-25T00:00:00.000Z", "Bucket": "b"}
    assert handler(event, Context()) == {"rows": 0, "quarantined": 0}


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ({"key1": "secret"}, "an event without Records"),
        ({"Records": []}, "an event without Records"),
        ({"Records": {"0": GOOD}}, "an event without Records"),
        ({"Event": "s3:OtherEvent"}, "an event without Records"),
        ([GOOD], "an event of type list"),
        ("secret", "an event of type str"),
        (None, "an event of type NoneType"),
        ({"Records": [GOOD, {"body": "secret", "eventSource": "aws:sqs"}]}, "record 1 of the event"),
        ({"Records": [None]}, "record 0 of the event"),
        ({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": 5}}}]}, "record 0 of the event"),
        ({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {}}}]}, "record 0 of the event"),
    ],
)
def test_handler_when_an_event_names_no_object_raises_saying_why_without_its_contents(event: Any, named: str) -> None:
    with pytest.raises(EventError, match=named) as caught:
        handler(event, Context())
    assert "Amazon S3" in str(caught.value)
    assert "secret" not in str(caught.value)
