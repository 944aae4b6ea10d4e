"""Stream mappings whose service ended and starts again: they go on where they were; in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.lambda_service.fake_stream import FakeStream
from tests.unit.lambda_service.stream_run import EPOCH, Run, play
from tests.unit.lambda_service.virtual_time import until


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
