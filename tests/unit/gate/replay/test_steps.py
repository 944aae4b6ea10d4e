"""Several workers at a time without threads."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from typing import Any, cast

import pytest

from harness.gate.replay.process import WorkerProcess
from harness.gate.replay.steps import alone, side_by_side
from harness.gate.trial import TrialFailed


class Pipe:
    """Stands in for a worker: a pipe that has something to read once it was written to."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.read_end, self.write_end = os.pipe()
        self.deadline = time.monotonic() + seconds
        self.closed = False

    def fileno(self) -> int:
        return self.read_end

    def late(self) -> TrialFailed:
        return TrialFailed("late")


Work = Generator[WorkerProcess, None, str]


def work(pipe: Pipe, turns: int, result: str, log: list[str]) -> Work:
    try:
        for turn in range(turns):
            os.write(pipe.write_end, b"x")
            log.append(f"{result}{turn}")
            yield cast(WorkerProcess, pipe)
            os.read(pipe.read_end, 1)
        return result
    finally:
        pipe.closed = True
        os.close(pipe.read_end)
        os.close(pipe.write_end)


def test_alone_carries_steps_to_their_result() -> None:
    assert alone(work(Pipe(), 3, "a", [])) == "a"
    assert alone(work(Pipe(), 0, "b", [])) == "b"


def test_side_by_side_keeps_every_lane_busy_and_gives_each_result_once() -> None:
    log: list[str] = []
    lanes: list[int] = []

    def start(turns: int, name: str) -> Any:
        def begin(lane: int) -> Work:
            lanes.append(lane)
            return work(Pipe(), turns, name, log)

        return begin

    starts = [start(4, "a"), start(1, "b"), start(2, "c"), start(0, "d")]
    assert sorted(side_by_side(starts, 2)) == ["a", "b", "c", "d"]
    # The second lane takes one piece after the other while the first is at its own.
    assert lanes[0] == 0 and set(lanes[1:3]) == {1}
    assert log.index("b0") < log.index("a1")


def test_side_by_side_when_a_worker_is_late_raises_and_closes_all() -> None:
    pipes = [Pipe(0.05), Pipe()]

    def silent(pipe: Pipe) -> Work:
        try:
            yield cast(WorkerProcess, pipe)
            return ""
        finally:
            pipe.closed = True

    with pytest.raises(TrialFailed, match="late"):
        list(side_by_side([lambda lane, p=pipe: silent(p) for pipe in pipes], 2))  # type: ignore[misc]
    assert all(pipe.closed for pipe in pipes)


def test_side_by_side_when_one_raises_closes_the_others() -> None:
    other = Pipe()

    def broken() -> Work:
        raise TrialFailed("broken")
        yield

    with pytest.raises(TrialFailed, match="broken"):
        list(side_by_side([lambda _: work(other, 5, "a", []), lambda _: broken()], 2))
    assert other.closed
