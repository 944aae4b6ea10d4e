"""Stream mappings on shards that have parents, split, are empty or expire; in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.lambda_service.fake_stream import FakeStream
from tests.unit.lambda_service.stream_run import DLQ, Run, expect, play
from tests.unit.lambda_service.virtual_time import now, until


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
