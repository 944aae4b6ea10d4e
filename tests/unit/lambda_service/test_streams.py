"""Stream mappings: failing calls, where reading begins, filters, batches, answers, the end; in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.lambda_service.event_sources import events
from harness.lambda_service.model import SYNC_PAYLOAD_LIMIT
from tests.unit.lambda_service import virtual_time
from tests.unit.lambda_service.fake_stream import FakeStream
from tests.unit.lambda_service.stream_run import DLQ, EPOCH, Run, expect, play, wall
from tests.unit.lambda_service.virtual_time import now, until


@pytest.mark.parametrize("operation", ["DescribeStream", "GetShardIterator", "GetRecords"])
def test_stream_when_a_call_fails_is_read_later_and_once(operation: str) -> None:
    stream = FakeStream(read=1)
    stream.add("one", "a", "b", "c")
    stream.failures = {operation: ["InternalServerError", "LimitExceededException"]}
    play(lambda: Run(stream, batch_size=1), lambda run: expect(run, ["a", "b", "c"]))


def test_records_when_their_iterator_expires_are_neither_lost_nor_read_twice() -> None:
    stream = FakeStream(read=1)
    stream.add("one", "a", "b", "c")

    async def script(run: Run) -> None:
        await run.done(1)
        stream.expired_iterators = True
        await expect(run, ["a", "b", "c"])

    play(lambda: Run(stream, batch_size=1), script)


def test_records_when_trimmed_before_they_were_read_are_passed_over() -> None:
    stream = FakeStream(read=1)
    stream.add("one", *"abcdef")

    async def script(run: Run) -> None:
        run.seconds = 60.0
        await run.done(1)
        stream.shards["one"].trimmed = 5
        stream.expired_iterators = True
        await until(lambda: run.keys[-1] == "f")
        assert run.keys == sorted(set(run.keys))

    play(lambda: Run(stream, batch_size=1), script)


def test_latest_when_the_mapping_starts_reads_what_comes_later_and_later_shards_whole() -> None:
    stream = FakeStream()
    stream.add("old", "o", closed=True)
    stream.add("open", "a", parent="old")

    async def script(run: Run) -> None:
        await until(lambda: ("open", "LATEST") in stream.positions())
        stream.put("open", "b", created=wall())
        stream.split("open", "child")
        stream.put("child", "c", created=wall())
        await expect(run, ["b", "c"])
        assert stream.positions() == [("open", "LATEST"), ("child", "TRIM_HORIZON")]

    play(lambda: Run(stream, starting_position="LATEST"), script)


def test_latest_when_its_iterator_expires_before_the_first_record_loses_none() -> None:
    stream = FakeStream()
    stream.add("open")
    stream.put("open", "old", created=EPOCH - 100)

    async def script(run: Run) -> None:
        await until(lambda: ("GetRecords", "open") in stream.calls)
        await asyncio.sleep(3)
        # The process was stopped for a while; what was written meanwhile is newer than the mapping.
        stream.put("open", "new", created=float(int(wall())))
        stream.expired_iterators = True
        await expect(run, ["new"])

    play(lambda: Run(stream, starting_position="LATEST"), script)


def test_filter_when_it_rejects_records_goes_past_them() -> None:
    stream = FakeStream()
    stream.add("one", "a", "b", "c")
    pattern = '{"dynamodb": {"Keys": {"id": {"S": [{"anything-but": "b"}]}}}, "eventSource": ["aws:dynamodb"]}'
    play(lambda: Run(stream, filters=(pattern,)), lambda run: expect(run, ["a", "c"]))


def test_batches_when_records_are_large_stay_below_six_megabytes_in_bytes() -> None:
    stream = FakeStream()
    stream.add("one")
    for i in range(20):
        # Two bytes a letter, and an escape of two for every quote.
        stream.put("one", str(i), "é" * 300_000 + '"' * 100_000)

    async def script(run: Run) -> None:
        await run.done(20)
        assert run.keys == [str(i) for i in range(20)]
        assert max(run.pool.sizes) <= SYNC_PAYLOAD_LIMIT
        # Seven of them fit, and the window of five minutes is not waited for when no more do.
        assert len(run.pool.events) == 3
        assert now() < 1_000.0 + 301

    play(lambda: Run(stream, batch_size=10_000, window_seconds=300), script)


def test_record_when_it_alone_exceeds_six_megabytes_goes_to_the_destination_uninvoked() -> None:
    stream = FakeStream()
    stream.add("one", "a")
    stream.put("one", "huge", "\u0001" * (SYNC_PAYLOAD_LIMIT // 6 + 1))
    stream.put("one", "b")

    async def script(run: Run) -> None:
        await expect(run, ["a", "b"])
        (record,) = run.destinations.sent
        assert record["requestContext"]["condition"] == "RequestTooLarge"
        assert record["requestContext"]["approximateInvokeCount"] == 0
        assert record["DDBStreamBatchInfo"]["startSequenceNumber"] == "2"
        assert "responseContext" not in record
        assert max(run.pool.sizes) < 10_000

    play(lambda: Run(stream, batch_size=3, on_failure_arn=DLQ, window_seconds=1), script)


@pytest.mark.parametrize("answer", [None, "", [], {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_batch_when_the_answer_is_empty_has_succeeded(answer: Any) -> None:
    stream = FakeStream()
    stream.add("one", "a", "b")

    async def script(run: Run) -> None:
        async def work(records: list[Any]) -> Any:
            run.keys += [r["dynamodb"]["Keys"]["id"]["S"] for r in records]
            return answer

        run.pool._work = work
        await run.done(2)
        await asyncio.sleep(60)
        assert run.keys == ["a", "b"]

    play(lambda: Run(stream, batch_size=1, report_failures=True), script)


def test_mapping_when_stopped_ends_everything_it_began() -> None:
    stream = FakeStream()
    stream.add("one", "a")
    stream.add("two", "b")

    async def main() -> None:
        run = Run(stream, parallelization=2)
        run.poller.start()
        await run.done(2)
        await run.poller.stop()
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    virtual_time.run(main())


def test_lane_when_the_function_is_slow_does_not_buffer_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SYNC_PAYLOAD_LIMIT", 2_000)
    monkeypatch.setattr("harness.lambda_service.event_sources.streams.SYNC_PAYLOAD_LIMIT", 2_000)
    stream = FakeStream(read=1)
    stream.add("one")
    for i in range(60):
        stream.put("one", str(i), "x" * 200)

    async def script(run: Run) -> None:
        run.seconds = 100.0
        await asyncio.sleep(50)
        # One batch of 2,000 bytes runs, two wait, and one record is in the reader's hand.
        assert sum(call == "GetRecords" for call, _ in stream.calls) < 25
        run.seconds = 0.0
        assert await run.done(60) == [str(i) for i in range(60)]
        assert max(run.pool.sizes) <= 2_000

    play(lambda: Run(stream, batch_size=1000), script)
