"""Rows outside the table are found for all sources in one reading of every queue and of the quarantine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from handlers.record_batch import RecordBatch, RowError, Source, encode
from harness.audit import readers
from harness.audit.readers import read_places
from harness.errors import EngineError

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
        self.engine: Any = SimpleNamespace(client=lambda service: self.s3)
        self.deployment: Any = SimpleNamespace(output=lambda key: key)

    def _peek(self, sqs: object, url: str) -> Iterator[dict[str, Any]]:
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
    assert (found[ONE.source_id].whole_object, found[ONE.source_id].quarantined) == ("quarantined", {})
    assert found[TWO.source_id].whole_object == ""


@pytest.mark.parametrize("version", ["v1", None, "null"])
def test_read_places_when_clean_gave_an_object_up_names_its_source(world: World, version: str | None) -> None:
    world.letters["CleanDlqUrl"] = [failed_invocation(ONE, version)]
    found = read_places(world.engine, world.deployment, [ONE, TWO])
    assert (found[ONE.source_id].whole_object, found[TWO.source_id].whole_object) == ("clean DLQ", "")


def test_read_places_when_clean_gave_another_version_up_does_not_count_it(world: World) -> None:
    world.letters["CleanDlqUrl"] = [failed_invocation(ONE, "v0")]
    assert read_places(world.engine, world.deployment, [ONE])[ONE.source_id].whole_object == ""


def test_read_places_when_a_letter_is_no_record_batch_raises(world: World) -> None:
    world.letters["InsertDlqUrl"] = ["{}"]
    with pytest.raises(EngineError, match="no record batch"):
        read_places(world.engine, world.deployment, [ONE])
