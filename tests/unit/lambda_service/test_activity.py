"""What the Lambda service says of itself: work in hand, deadlines, how far streams are read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.lambda_service.activity import SLICE_SECONDS, Deadlines, StreamPosition, Work, wait_running


class Clock:
    """Seconds, set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_work_when_it_is_finished_still_counts_as_taken() -> None:
    work = Work()
    work.take(3)
    work.finish(2)
    assert (work.taken, work.open) == (3, 1)


def test_work_when_it_fails_is_finished_as_well() -> None:
    work = Work()
    with pytest.raises(ValueError, match="no"), work.one():
        assert work.open == 1
        raise ValueError("no")
    assert (work.taken, work.open) == (1, 0)


def test_deadlines_when_several_are_open_give_the_last() -> None:
    clock = Clock()
    deadlines = Deadlines(clock)
    assert deadlines.left() == 0.0
    with deadlines.within(60.0):
        with deadlines.within(120.0):
            clock.now += 20
            assert deadlines.left() == 100.0
        assert deadlines.left() == 40.0
        clock.now += 50
        assert deadlines.left() == 0.0
    assert deadlines.left() == 0.0


def position() -> tuple[StreamPosition, Clock]:
    clock = Clock()
    return StreamPosition(clock), clock


def test_position_when_nothing_was_listed_or_read_is_not_known() -> None:
    stream, _ = position()
    assert stream.read_at() is None
    stream.listed(90.0, ["a"])
    assert stream.read_at() is None


def test_position_when_a_read_found_nothing_is_when_that_read_began() -> None:
    stream, _ = position()
    stream.listed(90.0, ["a"])
    stream.read("a", 91.0, 5)
    assert stream.read_at() is None
    assert (stream.records.taken, stream.records.open) == (5, 5)
    stream.read("a", 92.0, 0)
    assert stream.read_at() == 92.0


def test_position_when_there_are_several_shards_is_that_of_the_last_of_them() -> None:
    stream, _ = position()
    stream.listed(90.0, ["a", "b"])
    stream.read("a", 95.0, 0)
    assert stream.read_at() is None
    stream.read("b", 93.0, 0)
    assert stream.read_at() == 93.0


def test_position_when_a_shard_ended_waits_for_its_successors_to_be_listed_and_read() -> None:
    stream, clock = position()
    stream.listed(90.0, ["a"])
    stream.read("a", 95.0, 0)
    stream.ended("a")
    assert stream.read_at() is None
    clock.now = 110.0
    stream.listed(109.0, ["a", "a2"])
    assert stream.read_at() is None
    stream.read("a2", 111.0, 0)
    assert stream.read_at() == 111.0


def test_position_when_a_listing_began_before_the_shard_ended_is_still_not_known() -> None:
    stream, _ = position()
    stream.listed(90.0, ["a"])
    stream.ended("a")
    stream.listed(99.0, ["a"])
    assert stream.read_at() is None


def test_position_when_every_shard_ended_for_good_is_that_of_the_listing() -> None:
    stream, _ = position()
    stream.listed(90.0, ["a"])
    stream.ended("a")
    stream.listed(101.0, ["a"])
    assert stream.read_at() == 101.0


class Sleeper:
    """Stands in for `asyncio.wait`: each call takes the time it was allowed, or what `jumps` says."""

    def __init__(self, clock: Clock, jumps: dict[int, float], done_at: int = 10**9) -> None:
        self.clock, self.jumps, self.done_at = clock, jumps, done_at
        self.calls = 0
        self.waited: list[float] = []

    async def __call__(self, futures: set[Any], *, timeout: float, return_when: str) -> tuple[set[Any], set[Any]]:
        self.calls += 1
        self.waited.append(timeout)
        self.clock.now += self.jumps.get(self.calls, timeout)
        return (futures, set()) if self.calls >= self.done_at else (set(), futures)


def waited(monkeypatch: pytest.MonkeyPatch, seconds: float, jumps: dict[int, float], done_at: int = 10**9) -> Sleeper:
    clock = Clock()
    sleeper = Sleeper(clock, jumps, done_at)

    async def wait() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Swapped only inside: the loop itself waits, too.
        with monkeypatch.context() as patch:
            patch.setattr("harness.lambda_service.activity.asyncio.wait", sleeper)
            await wait_running([future], seconds, clock)

    asyncio.run(wait())
    return sleeper


def test_wait_when_nothing_comes_lasts_as_long_as_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(waited(monkeypatch, 7.5, {}).waited) == 7.5


def test_wait_when_the_process_was_stopped_counts_one_piece_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = waited(monkeypatch, 60.0, {3: 900.0})
    assert sum(found.waited) == 60.0
    assert max(found.waited) == SLICE_SECONDS


def test_wait_when_something_comes_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited(monkeypatch, 60.0, {}, done_at=2).calls == 2


def test_wait_when_a_timer_fires_early_waits_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited(monkeypatch, 1.0, {1: 0.9}).waited == [1.0, pytest.approx(0.1)]
