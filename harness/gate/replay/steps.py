"""Several workers at a time without threads: steps that wait go on when their worker has answered."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from harness.gate.replay.process import Steps, WorkerProcess

Result = TypeVar("Result")


def alone(steps: Steps[Result]) -> Result:
    """Carry steps out to their end; returns their result. Raises what they raise."""
    return next(side_by_side([lambda _lane: steps], lanes=1))


def side_by_side(starts: Sequence[Callable[[int], Steps[Result]]], lanes: int) -> Iterator[Result]:
    """Carry out several pieces of work, at most `lanes` at a time, and yield their results as they end.

    Each of `starts` is called with the number of its lane, from 0, when its turn comes. Where one raises, or the
    iteration is left, the others are closed.
    """
    running: dict[int, tuple[Steps[Result], WorkerProcess]] = {}
    waiting = list(starts)
    try:
        while waiting or running:
            for lane in range(lanes):
                if lane in running or not waiting:
                    continue
                steps = waiting.pop(0)(lane)
                ended = _go_on(steps, lane, running)
                if ended is not None:
                    yield ended[0]
            for lane in _ready(running):
                steps, _ = running.pop(lane)
                ended = _go_on(steps, lane, running)
                if ended is not None:
                    yield ended[0]
    finally:
        for steps, _ in running.values():
            steps.close()


def _go_on(
    steps: Steps[Result], lane: int, running: dict[int, tuple[Steps[Result], WorkerProcess]]
) -> tuple[Result] | None:
    """Carry steps on until they wait; returns their result in a tuple where they end."""
    try:
        running[lane] = steps, next(steps)
    except StopIteration as end:
        return (end.value,)
    return None


def _ready(running: dict[int, tuple[Steps[Result], WorkerProcess]]) -> list[int]:
    """Return the lanes whose worker has answered, waiting for one; raises TrialFailed where one is late."""
    if not running:
        return []
    first = min(worker.deadline for _, worker in running.values())
    workers = [worker for _, worker in running.values()]
    answered = select.select(workers, [], [], max(0.0, first - time.monotonic()))[0]
    if not answered:
        raise min(workers, key=lambda worker: worker.deadline).late()
    return [lane for lane, (_, worker) in running.items() if worker in answered]
