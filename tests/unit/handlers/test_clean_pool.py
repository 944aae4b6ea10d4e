"""One row that a queue refuses, or that a worker does not survive, costs that row alone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from handlers import clean, clean_pool
from handlers.clean_pool import CleanError, Workers, clean_all
from handlers.clean_worker import Chunk, Cleaned, Job
from handlers.record_batch import SQS_MESSAGE_LIMIT, Source, decode
from handlers.settings import Settings
from handlers.splitter import BLOCK_BYTES, ObjectSplitter
from tests.unit.handlers.scripted_aws import FakeClient

SOURCE = Source("bucket", "key.csv", "1")
CONFIG = Settings(insert_queue_url="insert", clean_workers=2, rows_per_message=10)


class Queue:
    """A queue that refuses what it is told to, message by message or the whole call."""

    def __init__(self, refuse: Callable[[str], str | None], *, whole_call: bool = False) -> None:
        self.bodies: list[str] = []
        self.refusals = 0
        self._refuse = refuse
        self._whole_call = whole_call

    def __call__(self, _: str, request: dict[str, Any]) -> dict[str, Any]:
        entries = request["Entries"]
        codes = {e["Id"]: code for e in entries if (code := self._refuse(e["MessageBody"]))}
        if codes and self._whole_call:
            codes = dict.fromkeys((e["Id"] for e in entries), next(iter(codes.values())))
        self.refusals += len(codes)
        self.bodies += [e["MessageBody"] for e in entries if e["Id"] not in codes]
        return {"Failed": [{"Id": i, "SenderFault": True, "Code": code} for i, code in codes.items()]}

    @property
    def rows(self) -> list[int]:
        return sorted(row[0] for body in self.bodies for row in decode(body).rows)


class Sink:
    def __init__(self) -> None:
        self.parts: dict[int, list[dict[str, Any]]] = {}

    def put(self, part: int, lines: list[str]) -> None:
        assert part not in self.parts
        self.parts[part] = [json.loads(line) for line in lines]

    @property
    def rejects(self) -> list[dict[str, Any]]:
        return [line for part in sorted(self.parts) for line in self.parts[part]]


def table(rows: int, special: dict[int, str] | None = None) -> bytes:
    special = special or {}
    return b"id,text\n" + b"".join(f"{i},{special.get(i, 'plain')}\n".encode() for i in range(1, rows + 1))


@pytest.fixture
def use_queue(monkeypatch: pytest.MonkeyPatch) -> Callable[[Queue], None]:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")

    def use(queue: Queue) -> None:
        client = FakeClient(queue)
        monkeypatch.setattr(client, "close", lambda: None, raising=False)
        monkeypatch.setattr(clean_pool, "client", lambda _: client)

    return use


def run(data: bytes, size: int | None = None, config: Settings = CONFIG) -> tuple[Any, Sink]:
    sink = Sink()
    deadline = time.monotonic() + 60
    work = clean.run(SOURCE, iter([data]), size or len(data), config, sink, deadline)
    return work, sink


@pytest.mark.parametrize("whole_call", [False, True])
@pytest.mark.parametrize(
    "code", ["InvalidMessageContents", "InvalidParameterValue", "BatchRequestTooLong", "MessageTooLong"]
)
def test_clean_when_the_queue_refuses_a_row_quarantines_that_row_alone(
    use_queue: Callable[[Queue], None], code: str, whole_call: bool
) -> None:
    queue = Queue(lambda body: code if "cursed" in body else None, whole_call=whole_call)
    use_queue(queue)
    work, sink = run(table(300, {7: "cursed", 123: "cursed", 124: "cursed"}))
    assert [(line["row"], line["reason"], line["detail"]) for line in sink.rejects] == [
        (row, "refused_by_queue", code) for row in (7, 123, 124)
    ]
    assert queue.rows == [row for row in range(1, 301) if row not in (7, 123, 124)]
    assert (work.rows_in, work.rows_ok, work.rows_quarantined) == (300, 297, 3)


def test_clean_when_a_row_fits_the_limit_but_not_its_message_quarantines_that_row_alone(
    use_queue: Callable[[Queue], None],
) -> None:
    queue = Queue(lambda body: "BatchRequestTooLong" if len(body.encode()) > SQS_MESSAGE_LIMIT else None)
    use_queue(queue)
    names = ",".join(f"{i:03d}".ljust(64, "x") for i in range(300))
    for surplus in range(-3_000, 3_001, 500):
        cells = ["v"] * 300
        cells[:4] = ["é" * 64_000] * 4
        body = len(names) + 300 * 9 + sum(len(cell.encode()) for cell in cells)
        cells[4] = "y" * (SQS_MESSAGE_LIMIT - body - 8_192 + surplus)
        text = "\n".join([names, ",".join(["v"] * 300), ",".join(cells), ",".join(["v"] * 300)])
        queue.bodies.clear()
        _, sink = run(text.encode(), config=Settings(insert_queue_url="insert", max_field_bytes=1_000_000))
        assert queue.refusals == 0, "the row's size is known before it is sent"
        assert [line["reason"] for line in sink.rejects] in ([], ["row_too_large"])
        assert len(queue.rows) + len(sink.rejects) == 3


@pytest.mark.parametrize("code", ["AccessDenied", "QueueDoesNotExist", "KmsAccessDenied"])
def test_clean_when_the_queue_refuses_the_call_fails_the_object(use_queue: Callable[[Queue], None], code: str) -> None:
    use_queue(Queue(lambda _: code))
    with pytest.raises(CleanError, match=code):
        run(table(5))


@pytest.mark.parametrize("big", [False, True])
def test_clean_when_cleaning_a_row_raises_rejects_that_row_alone(
    use_queue: Callable[[Queue], None], monkeypatch: pytest.MonkeyPatch, big: bool
) -> None:
    queue = Queue(lambda _: None)
    use_queue(queue)
    spoil(monkeypatch, lambda: 1 / 0)
    # Only an object of several chunks is cleaned by processes; their messages are theirs.
    work, sink = run(table(40, {9: "cursed"}), size=10**9 if big else None)
    assert [(line["row"], line["reason"], line["raw"], line["detail"]) for line in sink.rejects] == [
        (9, "cleaning_crashed", "9,cursed\n", "ZeroDivisionError")
    ]
    assert (work.rows_in, work.rows_ok, work.rows_quarantined) == (40, 39, 1)


def test_clean_when_workers_die_of_rows_rejects_those_alone(
    use_queue: Callable[[Queue], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_queue(Queue(lambda _: None))
    spoil(monkeypatch, lambda: os._exit(139))
    data = table(20_000, {5: "cursed", 19_999: "cursed"}) + b'1,"wrong" quotes\n'
    work, sink = run(data, size=10**9)
    assert [(line["row"], line["reason"]) for line in sink.rejects] == [
        (5, "cleaning_crashed"),
        (19_999, "cleaning_crashed"),
        (20_001, "malformed_quotes"),
    ]
    assert (work.rows_in, work.rows_ok, work.rows_quarantined) == (20_001, 19_998, 3)


def test_clean_when_every_row_kills_its_worker_gives_the_object_up(
    use_queue: Callable[[Queue], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_queue(Queue(lambda _: None))
    spoil(monkeypatch, lambda: os._exit(1))
    monkeypatch.setattr(clean_pool, "MAX_CRASHES", 20)
    with pytest.raises(CleanError, match="ended with code 1"):
        run(table(200, dict.fromkeys(range(1, 201), "cursed")), size=10**9)


def spoil(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Let `act` happen where a chunk with a cursed row is cleaned."""
    real = clean_pool.clean_chunk

    def spoiled(chunk: Chunk, job: Job, deadline: float) -> Cleaned:
        if b"cursed" in chunk.data:
            act()
        return real(chunk, job, deadline)

    monkeypatch.setattr(clean_pool, "clean_chunk", spoiled)


def test_workers_when_killed_leave_no_process(use_queue: Callable[[Queue], None], monkeypatch: Any) -> None:
    use_queue(Queue(lambda _: None))
    spoil(monkeypatch, lambda: time.sleep(60))
    splitter = ObjectSplitter(iter([table(3, {1: "cursed"})]), CONFIG)
    job = Job(SOURCE, splitter.columns, CONFIG)
    before = set(psutil.Process().children())
    workers = Workers(2, job, time.monotonic() + 60)
    for chunk in splitter.chunks():
        workers.start(chunk)
    assert workers.alive
    assert set(psutil.Process().children()) - before
    workers.kill()
    assert not workers.alive
    assert set(psutil.Process().children()) <= before


def test_chunk_when_halved_again_and_again_keeps_every_record() -> None:
    data = b"a,b\n" + b'1,x\n2,5" y\n3,"z\nz"\n4,"w" w\n5,v\n'
    (whole,) = ObjectSplitter(iter([data]), CONFIG).chunks()

    def leaves(chunk: Chunk) -> list[Chunk]:
        halves = chunk.halves()
        return [chunk] if len(halves) == 1 else [leaf for half in halves for leaf in leaves(half)]

    found = [
        (leaf.first_row, leaf.offset + offset, record, why)
        for leaf in leaves(whole)
        for offset, record, why in leaf.records()
    ]
    expected = [
        (row, whole.offset + offset, record, why)
        for row, (offset, record, why) in enumerate(whole.records(), whole.first_row)
    ]
    assert found == expected
    assert len(expected) == 5


def test_clean_when_chunks_are_many_yields_each_once(use_queue: Callable[[Queue], None]) -> None:
    use_queue(Queue(lambda _: None))
    data = table(30_000)
    splitter = ObjectSplitter(iter([data[i : i + 50_000] for i in range(0, len(data), 50_000)]), CONFIG)
    job = Job(SOURCE, splitter.columns, CONFIG)
    found = dict(clean_all(splitter.chunks(), job, BLOCK_BYTES + 1, time.monotonic() + 60))
    assert sum(cleaned.rows_ok for cleaned in found.values()) == 30_000
    assert sorted(found) == list(range(len(found)))
