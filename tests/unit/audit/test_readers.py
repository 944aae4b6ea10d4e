"""Rows outside the table are found for all sources in one reading of every queue and of the quarantine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from handlers.record_batch import RecordBatch, RowError, Source, encode
from harness.audit import readers
from harness.audit.model import QUARANTINED, dlq
from harness.audit.readers import Outside, read_places

ONE, TWO, OTHER = (Source("uploads", f"uploads/{name}.csv", "v1") for name in ("one", "two", "other"))


class FakeS3:
    """Holds quarantine objects by key."""

    def __init__(self, objects: dict[str, list[dict[str, Any]]]) -> None:
        self._objects = objects
        self.listed: list[str] = []
        self.read: list[str] = []

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        self.listed.append(Prefix)
        return [{"Contents": [{"Key": key}]} for key in self._objects if key.startswith(Prefix)]

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self.read.append(Key)
        body = "\n".join(json.dumps(line) for line in self._objects[Key]).encode()
        return {"Body": SimpleNamespace(read=lambda: body)}


class World:
    """Dead letters by queue, quarantine objects by key, and how often each queue was read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.letters: dict[str, list[str]] = {}
        self.quarantine: dict[str, list[dict[str, Any]]] = {}
        self.peeked: list[str] = []
        self.s3 = FakeS3(self.quarantine)
        monkeypatch.setattr(readers, "peek", self._peek)
        self.engine: Any = SimpleNamespace(client=lambda service: self.s3, live_counts=True)
        self.deployment: Any = SimpleNamespace(output=lambda key: key)

    def _peek(self, sqs: object, url: str, *, live: bool) -> Iterator[dict[str, Any]]:
        assert live
        self.peeked.append(url)
        yield from ({"Body": body} for body in self.letters.get(url, []))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def letter(source: Source, row: int, reason: str = "") -> str:
    error = RowError("process", reason, "") if reason else None
    return encode(RecordBatch(source.source_id, ("a",), [[row, "x"]], source, error))


def failed_invocation(source: Source, version: str | None) -> str:
    entry: dict[str, Any] = {"key": source.key.replace("/", "%2F")}
    if version is not None:
        entry["versionId"] = version
    record = {"s3": {"bucket": {"name": source.bucket}, "object": entry}}
    return json.dumps({"requestPayload": {"Records": [record]}})


def test_read_places_when_there_are_many_sources_reads_each_queue_once_and_sorts_rows_by_source(world: World) -> None:
    world.letters["ProcessDlqUrl"] = [letter(ONE, 3, "unknown_currency"), letter(TWO, 4), letter(OTHER, 5, "x")]
    world.letters["UpdateDlqUrl"] = [letter(TWO, 9, "refused_by_table"), letter(TWO, 9, "refused_by_table")]
    found = read_places(world.engine, world.deployment, [ONE, TWO])
    assert set(found) == {ONE.source_id, TWO.source_id}
    assert found[ONE.source_id].dlqs["process"] == {3: ["unknown_currency"]}
    assert found[TWO.source_id].dlqs["process"] == {4: ["whole message"]}
    assert found[TWO.source_id].dlqs["update"] == {9: ["refused_by_table"] * 2}
    assert sorted(world.peeked) == sorted(
        ["CleanDlqUrl", "InsertDlqUrl", "CaptureDlqUrl", "ProcessDlqUrl", "UpdateDlqUrl"]
    )


def test_read_places_when_rows_are_quarantined_lists_once_and_opens_only_the_sources_asked_for(world: World) -> None:
    for source, row in ((ONE, 1), (TWO, 2), (OTHER, 3)):
        world.quarantine[f"quarantine/{source.source_id}/part-00000.jsonl"] = [{"row": row, "reason": "empty_row"}]
    found = read_places(world.engine, world.deployment, [ONE, TWO])
    assert found[ONE.source_id].quarantined == {1: ["empty_row"]}
    assert found[TWO.source_id].quarantined == {2: ["empty_row"]}
    assert world.s3.listed == ["quarantine/"]
    assert len(world.s3.read) == 2


def test_read_places_when_there_is_one_source_lists_only_its_own_quarantine(world: World) -> None:
    read_places(world.engine, world.deployment, [ONE])
    assert world.s3.listed == [f"quarantine/{ONE.source_id}/"]


def test_read_places_when_an_object_was_rejected_whole_says_so_for_it_alone(world: World) -> None:
    world.quarantine[f"quarantine/{ONE.source_id}/part-00000.jsonl"] = [{"row": 0, "reason": "not_csv"}]
    found = read_places(world.engine, world.deployment, [ONE, TWO])
    assert (found[ONE.source_id].whole_object, found[ONE.source_id].quarantined) == (QUARANTINED, {})
    assert found[TWO.source_id].whole_object is None


@pytest.mark.parametrize("version", ["v1", None, "null"])
def test_read_places_when_clean_gave_an_object_up_names_its_source(world: World, version: str | None) -> None:
    world.letters["CleanDlqUrl"] = [failed_invocation(ONE, version)]
    found = read_places(world.engine, world.deployment, [ONE, TWO])
    assert (found[ONE.source_id].whole_object, found[TWO.source_id].whole_object) == (dlq("clean"), None)


def test_read_places_when_clean_gave_another_version_up_does_not_count_it(world: World) -> None:
    world.letters["CleanDlqUrl"] = [failed_invocation(ONE, "v0")]
    assert read_places(world.engine, world.deployment, [ONE])[ONE.source_id].whole_object is None


STRAYS = [
    "",
    "hello \x1b[2J",
    "null",
    "[]",
    "12",
    "{}",
    '{"v":2,"source":{"id":"a"},"columns":[],"rows":[]}',
    '{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"uploads"}',
    '{"requestContext":{"condition":"RetriesExhausted"},"requestPayload":{"key1":"value1"}}',
    '{"requestContext":{"condition":"RetriesExhausted"}}',
    '{"requestPayload":"{\\"Records\\": [{\\"s3\\""}',
    '{"requestPayload":{"Records":[null,{"s3":7},{"s3":{"object":{"key":5}}}]}}',
    '{"DDBStreamBatchInfo":null}',
    '{"DDBStreamBatchInfo":{"batchSize":1,"startSequenceNumber":"x","endSequenceNumber":"y"}}',
    "[" * 100_000,
]


@pytest.mark.parametrize("body", STRAYS, ids=range(len(STRAYS)))
@pytest.mark.parametrize("queue", ["CleanDlqUrl", "InsertDlqUrl", "CaptureDlqUrl", "ProcessDlqUrl", "UpdateDlqUrl"])
def test_read_places_when_a_message_names_no_row_counts_it_and_calls_it_none(
    world: World, queue: str, body: str
) -> None:
    world.letters["ProcessDlqUrl"] = [letter(ONE, 3, "unknown_currency")]
    world.letters.setdefault(queue, []).append(body)
    found = read_places(world.engine, world.deployment, [ONE])
    stage = queue.removesuffix("DlqUrl").lower()
    assert {name: sum(kinds.values()) for name, kinds in found.unattributed.items()} == {stage: 1}
    assert found[ONE.source_id].dlqs["process"] == {3: ["unknown_currency"]}
    assert sum(len(rows) for rows in found[ONE.source_id].dlqs.values()) == 1
    assert found[ONE.source_id].whole_object is None


@pytest.mark.parametrize(
    ("queue", "body"),
    [
        ("CleanDlqUrl", letter(ONE, 1)),
        ("CaptureDlqUrl", letter(ONE, 1)),
        ("InsertDlqUrl", failed_invocation(ONE, "v1")),
        ("CaptureDlqUrl", failed_invocation(ONE, "v1")),
    ],
)
def test_read_places_when_a_message_is_of_another_stage_does_not_count_its_rows(
    world: World, queue: str, body: str
) -> None:
    world.letters[queue] = [body]
    found = read_places(world.engine, world.deployment, [ONE])
    assert not any(found[ONE.source_id].dlqs.values())
    assert found[ONE.source_id].whole_object is None
    [(kind, count)] = found.unattributed[queue.removesuffix("DlqUrl").lower()].items()
    assert kind.endswith("of another stage")
    assert count == 1


def test_read_places_when_messages_are_of_other_objects_counts_them_apart(world: World) -> None:
    world.letters["InsertDlqUrl"] = [letter(OTHER, 1), letter(OTHER, 2), letter(ONE, 1)]
    world.letters["CleanDlqUrl"] = [failed_invocation(OTHER, "v1")]
    found = read_places(world.engine, world.deployment, [ONE])
    assert (found.other_objects, dict(found.unattributed)) == (3, {})


def test_read_places_when_a_destination_has_the_event_alone_names_its_source(world: World) -> None:
    world.letters["CleanDlqUrl"] = [json.dumps(json.loads(failed_invocation(ONE, "v1"))["requestPayload"])]
    found = read_places(world.engine, world.deployment, [ONE])
    assert found[ONE.source_id].whole_object == dlq("clean")
    assert dict(found.unattributed) == {}


def test_read_places_when_a_reason_holds_control_characters_escapes_them(world: World) -> None:
    world.letters["ProcessDlqUrl"] = [letter(ONE, 3, "\x1b[31mred")]
    assert read_places(world.engine, world.deployment, [ONE])[ONE.source_id].dlqs["process"] == {3: ["\\x1b[31mred"]}


class FakeStreams:
    """One shard of records in pages; iterators are positions."""

    def __init__(self, records: list[dict[str, Any]], error: str = "", page: int = 2) -> None:
        self._records, self._error, self._page = records, error, page

    def get_shard_iterator(self, SequenceNumber: str, **_: Any) -> dict[str, Any]:
        if self._error:
            raise ClientError({"Error": {"Code": self._error, "Message": ""}}, "GetShardIterator")
        first = [r["dynamodb"]["SequenceNumber"] for r in self._records].index(SequenceNumber)
        return {"ShardIterator": str(first)}

    def get_records(self, ShardIterator: str, **_: Any) -> dict[str, Any]:
        start = int(ShardIterator)
        return {
            "Records": self._records[start : start + self._page],
            "NextShardIterator": str(start + self._page),
        }


def change(number: int, status: str = "inserted", identity: str = "") -> dict[str, Any]:
    image = {"record_id": {"S": identity or f"{ONE.source_id}#{number}"}, "_status": {"S": status}}
    return {"dynamodb": {"SequenceNumber": f"{number:021d}", "NewImage": image}}


def stream_letter(start: int, end: int) -> str:
    info = {
        "streamArn": "arn",
        "shardId": "shard",
        "startSequenceNumber": f"{start:021d}",
        "endSequenceNumber": f"{end:021d}",
        "batchSize": end - start + 1,
    }
    return json.dumps({"requestContext": {"condition": "RetryAttemptsExhausted"}, "DDBStreamBatchInfo": info})


def captured(world: World, streams: FakeStreams, *bodies: str) -> Outside:
    world.letters["CaptureDlqUrl"] = list(bodies)
    world.engine.client = lambda service: streams if service == "dynamodbstreams" else world.s3
    return read_places(world.engine, world.deployment, [ONE])


def test_read_places_when_capture_gave_positions_up_counts_exactly_the_rows_between_them(world: World) -> None:
    streams = FakeStreams([change(n, "processed" if n == 4 else "inserted") for n in range(1, 10)])
    found = captured(world, streams, stream_letter(2, 6))
    assert set(found[ONE.source_id].dlqs["capture"]) == {2, 3, 5, 6}
    assert dict(found.unattributed) == {}


def test_read_places_when_the_last_position_is_missing_claims_no_row_behind_it(world: World) -> None:
    streams = FakeStreams([change(n) for n in (1, 2, 3, 6, 7)])
    found = captured(world, streams, stream_letter(2, 5))
    assert set(found[ONE.source_id].dlqs["capture"]) == {2, 3}


@pytest.mark.parametrize("code", ["TrimmedDataAccessException", "ResourceNotFoundException", "ValidationException"])
def test_read_places_when_stream_records_are_gone_says_so_and_goes_on(world: World, code: str) -> None:
    world.letters["ProcessDlqUrl"] = [letter(ONE, 3, "unknown_currency")]
    found = captured(world, FakeStreams([], code), stream_letter(1, 2))
    [(kind, count)] = found.unattributed["capture"].items()
    assert code in kind
    assert count == 1
    assert found[ONE.source_id].dlqs["process"] == {3: ["unknown_currency"]}


def test_read_places_when_the_stream_ends_before_the_last_position_says_so(world: World) -> None:
    found = captured(world, FakeStreams([change(1), change(2)]), stream_letter(1, 9))
    assert set(found[ONE.source_id].dlqs["capture"]) == {1, 2}
    assert found.unattributed["capture"] == {"a failed stream batch whose records are not all there any more": 1}


def test_read_places_when_a_stream_record_is_no_row_counts_the_others(world: World) -> None:
    found = captured(world, FakeStreams([change(1), change(2, identity="stranger")]), stream_letter(1, 2))
    assert set(found[ONE.source_id].dlqs["capture"]) == {1}
    assert found.unattributed["capture"] == {"a failed stream batch with records that are no rows": 1}


def test_read_places_when_the_stream_refuses_for_another_reason_raises(world: World) -> None:
    with pytest.raises(ClientError):
        captured(world, FakeStreams([], "AccessDeniedException"), stream_letter(1, 2))
