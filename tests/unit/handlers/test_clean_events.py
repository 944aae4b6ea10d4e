"""What clean makes of events that are no notification of Amazon S3."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from handlers import clean
from handlers.clean import EventError, handler
from handlers.clean_pool import CleanError
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


class FakeS3:
    """One version of one object, read in ranges; notes the operations that are asked for."""

    def __init__(self, data: bytes) -> None:
        self.data, self.asked = data, list[str]()

    def head_object(self, **given: Any) -> dict[str, Any]:
        self.asked.append("head_object")
        assert given.get("VersionId") in (None, "v1")
        return {"ETag": '"tag"', "ContentLength": len(self.data)}

    def get_object(self, **given: Any) -> dict[str, Any]:
        self.asked.append("get_object")
        assert given.get("VersionId") == "v1" or given["IfMatch"] == '"tag"'
        first, last = (int(n) for n in given["Range"].removeprefix("bytes=").split("-"))
        part = self.data[first : last + 1]
        found = f"bytes {first}-{first + len(part) - 1}/{len(self.data)}"
        return {"ContentRange": found, "Body": SimpleNamespace(read=lambda: part)}


def located(monkeypatch: pytest.MonkeyPatch, data: bytes, **told: Any) -> tuple[FakeS3, clean.S3Object]:
    s3 = FakeS3(data)
    monkeypatch.setattr(clean, "_s3", lambda: s3)
    event = {"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "a+b.csv", **told}}}]}
    (named,) = clean._named_objects(event)
    return s3, clean._locate(named)


def test_object_whose_version_and_size_the_event_tells_is_read_without_asking_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3, found = located(monkeypatch, b"0123456789", versionId="v1", size=10)
    assert b"".join(found.blocks()) == b"0123456789"
    assert (found.source.key, found.source.version, found.size) == ("a b.csv", "v1", 10)
    assert s3.asked == ["get_object"]


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ({}, "tag"),
        ({"size": 10}, "tag"),
        ({"versionId": "null", "size": 10}, "tag"),
        ({"versionId": "v1"}, "v1"),
        ({"versionId": "v1", "size": "10"}, "v1"),
        ({"versionId": "v1", "size": 0}, "v1"),
        ({"versionId": "v1", "size": -1}, "v1"),
    ],
)
def test_object_of_which_the_event_does_not_tell_both_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], version: str
) -> None:
    s3, found = located(monkeypatch, b"0123456789", **told)
    assert (found.source.version, found.size) == (version, 10)
    assert s3.asked == ["head_object"]


@pytest.mark.parametrize("size", [9, 11])
def test_object_of_another_size_than_its_event_tells_is_not_read_in_part(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    _, found = located(monkeypatch, b"0123456789", versionId="v1", size=size)
    with pytest.raises(CleanError, match=f"the object has 10 bytes, its notification says {size}"):
        list(found.blocks())
