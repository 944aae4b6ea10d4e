"""Stream mappings against a stream that splits, expires and fails, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from harness.lambda_service.aws import AwsClient
from harness.lambda_service.event_sources import events
from harness.lambda_service.event_sources.checkpoints import Checkpoints
from harness.lambda_service.event_sources.streams import StreamPoller
from harness.lambda_service.invoker import Destinations
from harness.lambda_service.model import SYNC_PAYLOAD_LIMIT, StreamMapping
from harness.lambda_service.pool import EnvironmentPool
from tests.unit.lambda_service import virtual_time
from tests.unit.lambda_service.fake_stream import FakeStream
from tests.unit.lambda_service.fakes import FUNCTION, FakeDestinations, FakePool
from tests.unit.lambda_service.virtual_time import now, until

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/1"
DLQ = "arn:aws:sqs:us-east-1:000000000000:dlq"
EPOCH = 1_800_000_000.0
"""Unix seconds at which virtual time begins."""


def wall() -> float:
    return EPOCH + now() - 1_000.0


class Run:
    """A mapping at work on a stream; `keys` are those the function processed, in order. `kept` is the folder in which
    it keeps how far it came."""

    def __init__(self, stream: FakeStream, *, kept: Path | None = None, **settings: Any) -> None:
        self.stream = stream
        self.keys: list[str] = []
        self.values: list[tuple[str, str]] = []
        self.failing: Callable[[list[str]], bool] = lambda keys: False
        self.seconds = 0.0
        self.pool = FakePool(self.work)
        self.destinations = FakeDestinations()
        settings = {"starting_position": "TRIM_HORIZON", **settings}
        self.poller = StreamPoller(
            StreamMapping("Map", FUNCTION.name, ARN, **settings),
            FUNCTION,
            cast(AwsClient, stream),
            cast(EnvironmentPool, self.pool),
            cast(Destinations, self.destinations),
            "us-east-1",
            wall,
            Checkpoints.of_mapping(str(kept or ""), ARN, FUNCTION.name),
        )

    async def work(self, records: list[Any]) -> None:
        keys = [r["dynamodb"]["Keys"]["id"]["S"] for r in records]
        await asyncio.sleep(self.seconds)
        if self.failing(keys):
            raise ValueError("planned")
        self.keys += keys
        self.values += [(r["dynamodb"]["Keys"]["id"]["S"], r["dynamodb"]["NewImage"]["v"]["S"]) for r in records]

    async def done(self, count: int) -> list[str]:
        await until(lambda: len(self.keys) >= count)
        return self.keys


def play(run: Callable[[], Run], script: Callable[[Run], Coroutine[Any, Any, None]]) -> None:
    """Run a script against a mapping in virtual time; the mapping is stopped at the end."""

    async def main() -> None:
        made = run()
        made.poller.start()
        try:
            await script(made)
        finally:
            await made.poller.stop()

    virtual_time.run(main())


def test_child_when_its_parent_still_has_records_is_not_opened() -> None:
    stream = FakeStream(read=2)
    stream.add("child", "c1", "c2", parent="parent")
    stream.add("parent", "p1", "p2", "p3", closed=True)

    async def script(run: Run) -> None:
        run.seconds = 5.0
        await until(lambda: len(run.keys) == 2)
        assert stream.opened() == ["parent"]
        assert await run.done(5) == ["p1", "p2", "p3", "c1", "c2"]

    play(lambda: Run(stream, batch_size=1), script)


def test_child_when_its_parent_keeps_failing_waits_until_it_is_given_up() -> None:
    stream = FakeStream()
    stream.add("child", "c", parent="parent")
    stream.add("parent", "poison", closed=True)

    async def script(run: Run) -> None:
        run.failing = lambda keys: "poison" in keys
        await until(lambda: len(run.pool.events) == 3)
        assert stream.opened() == ["parent"]
        assert await run.done(1) == ["c"]
        assert [record["requestContext"]["condition"] for record in run.destinations.sent] == ["RetryAttemptsExhausted"]

    play(lambda: Run(stream, batch_size=1, max_retries=3, on_failure_arn=DLQ), script)


def test_items_when_their_shard_splits_twice_keep_their_order() -> None:
    stream = FakeStream(read=3)
    stream.add("root")
    for version in range(10):
        for key in "abcd":
            stream.put("root", key, str(version))
    stream.split("root", "left", "right")
    for version in range(10, 20):
        for key in "abcd":
            stream.put("left" if key in "ab" else "right", key, str(version))
    stream.split("left", "leaf")
    for version in range(20, 30):
        for key in "ab":
            stream.put("leaf", key, str(version))

    async def script(run: Run) -> None:
        run.seconds = 0.3
        await run.done(100)
        for key in "abcd":
            seen = [int(value) for name, value in run.values if name == key]
            assert seen == list(range(30 if key in "ab" else 20))

    play(lambda: Run(stream, batch_size=2, parallelization=3), script)


def test_split_when_it_happens_while_reading_goes_on_at_once_in_the_children() -> None:
    stream = FakeStream()
    stream.add("parent", "p")

    async def script(run: Run) -> None:
        await run.done(1)
        await asyncio.sleep(3)
        stream.split("parent", "one", "two")
        stream.put("one", "c1")
        stream.put("two", "c2")
        began = now()
        assert sorted(await run.done(3)) == ["c1", "c2", "p"]
        assert now() - began < 1.0
        assert ("one", "TRIM_HORIZON") in stream.positions()

    play(lambda: Run(stream), script)


def test_shard_when_it_appears_without_a_parent_is_found_within_seconds() -> None:
    stream = FakeStream()
    stream.add("one", "a")

    async def script(run: Run) -> None:
        await run.done(1)
        stream.add("two", "b")
        began = now()
        await run.done(2)
        assert now() - began < 11.0

    play(lambda: Run(stream), script)


@pytest.mark.parametrize("page", [1, 2, 100])
def test_chain_of_closed_shards_when_listed_backwards_and_in_pages_is_read_forwards(page: int) -> None:
    stream = FakeStream(page=page)
    for i in reversed(range(8)):
        stream.add(f"s{i}", f"k{i}", parent=f"s{i - 1}" if i else "expired", closed=i < 7)

    async def script(run: Run) -> None:
        assert await run.done(8) == [f"k{i}" for i in range(8)]
        assert stream.opened() == [f"s{i}" for i in range(8)]
        assert run.poller.concurrency_limit() == 2

    play(lambda: Run(stream, parallelization=2), script)


def test_closed_shard_when_it_is_empty_does_not_hold_its_child_up() -> None:
    stream = FakeStream()
    stream.add("parent", closed=True)
    stream.add("child", "c", parent="parent")
    play(lambda: Run(stream), lambda run: expect(run, ["c"]))


async def expect(run: Run, keys: list[str]) -> None:
    assert await run.done(len(keys)) == keys


def test_shard_when_it_expires_while_it_is_read_makes_way_for_its_child() -> None:
    stream = FakeStream()
    stream.add("parent", "p")

    async def script(run: Run) -> None:
        await run.done(1)
        stream.split("parent", "child")
        stream.put("child", "c")
        del stream.shards["parent"]
        await expect(run, ["p", "c"])

    play(lambda: Run(stream), script)


def test_shard_when_the_stream_cannot_be_listed_is_not_taken_for_expired() -> None:
    stream = FakeStream()
    stream.add("one", "a")

    async def script(run: Run) -> None:
        await run.done(1)
        stream.failures = {
            "GetRecords": ["ResourceNotFoundException"],
            "GetShardIterator": ["ResourceNotFoundException"] * 3,
            "DescribeStream": ["ResourceNotFoundException"] * 3,
        }
        await until(lambda: not stream.failures["GetShardIterator"])
        stream.put("one", "b")
        await expect(run, ["a", "b"])

    play(lambda: Run(stream), script)


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


def test_mapping_when_the_service_starts_again_goes_on_behind_what_was_processed(tmp_path: Path) -> None:
    stream = FakeStream(read=2)
    stream.add("parent", "a", "b", "c", closed=True)
    stream.add("child", "d", parent="parent")

    async def first(run: Run) -> None:
        assert await run.done(4) == ["a", "b", "c", "d"]

    async def second(run: Run) -> None:
        stream.put("child", "e")
        await run.done(1)
        await asyncio.sleep(60)
        assert run.keys == ["e"]

    play(lambda: Run(stream, kept=tmp_path), first)
    stream.calls.clear()
    play(lambda: Run(stream, kept=tmp_path), second)
    assert stream.opened() == ["child"]


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("after", range(5))
def test_mapping_when_the_service_ends_in_the_middle_of_work_loses_nothing(
    tmp_path: Path, after: int, lanes: int
) -> None:
    keys = [f"k{number}" for number in range(12)]
    stream = FakeStream(read=5)
    stream.add("shard", *keys)
    processed: list[str] = []

    async def first(run: Run) -> None:
        run.seconds = 2.0
        processed.extend(await run.done(after))

    async def second(run: Run) -> None:
        await until(lambda: {*processed, *run.keys} == {*keys})

    play(lambda: Run(stream, kept=tmp_path, batch_size=1, parallelization=lanes), first)
    play(lambda: Run(stream, kept=tmp_path, batch_size=1, parallelization=lanes), second)


def test_latest_when_the_service_starts_again_reads_what_was_written_meanwhile(tmp_path: Path) -> None:
    stream = FakeStream()
    stream.add("shard")
    stream.put("shard", "before", created=EPOCH - 10)

    async def first(run: Run) -> None:
        await until(lambda: len(stream.positions()) == 1)
        await asyncio.sleep(30)
        assert run.keys == []

    async def second(run: Run) -> None:
        await run.done(1)
        await asyncio.sleep(30)
        assert run.keys == ["meanwhile"]

    play(lambda: Run(stream, kept=tmp_path, starting_position="LATEST"), first)
    stream.put("shard", "meanwhile", created=EPOCH + 40)
    play(lambda: Run(stream, kept=tmp_path, starting_position="LATEST"), second)


def test_shard_when_its_iterator_means_nothing_to_a_process_started_again_gets_another() -> None:
    stream = FakeStream()
    stream.add("shard", "a")

    async def script(run: Run) -> None:
        await run.done(1)
        stream.failures["GetRecords"] = ["ValidationException"]
        stream.put("shard", "b")
        assert await run.done(2) == ["a", "b"]
        assert stream.positions() == [("shard", "TRIM_HORIZON"), ("shard", "AFTER_SEQUENCE_NUMBER")]

    play(lambda: Run(stream), script)


def test_shard_when_it_does_not_know_the_kept_position_is_read_from_its_oldest_record(tmp_path: Path) -> None:
    stream = FakeStream()
    stream.add("shard", "a")

    async def first(run: Run) -> None:
        await run.done(1)

    async def second(run: Run) -> None:
        assert await run.done(1) == ["a"]
        assert stream.positions()[-1] == ("shard", "TRIM_HORIZON")

    play(lambda: Run(stream, kept=tmp_path), first)
    stream.failures["GetShardIterator"] = ["ValidationException"]
    play(lambda: Run(stream, kept=tmp_path), second)
