"""What a Lambda service has under way: work it took in and has not finished, and how far its streams are read.

All of it lives in one event loop and is reported in one go, so a report is a consistent picture of the service at one
moment. What lies in queues and streams the report cannot know; `harness.observation.settle` says how both are put
together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Clock = Callable[[], float]
SLICE_SECONDS = 1.0
"""A wait is cut into so long pieces: what a stopped process adds to a time-out is at most one of them."""


class Work:
    """Counts work of one kind: pieces `taken` in so far, which only grows, and how many of them are still `open`."""

    def __init__(self) -> None:
        self.taken = 0
        self.open = 0

    def take(self, count: int = 1) -> None:
        """Note `count` pieces taken in."""
        self.taken += count
        self.open += count

    def finish(self, count: int = 1) -> None:
        """Note `count` pieces finished, given back or given up."""
        self.open -= count

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take one piece in, and finish it with the context, however that ends."""
        self.take()
        try:
            yield
        finally:
            self.finish()


class Deadlines:
    """Moments at which something will happen by itself: a retry, a time-out. `clock` gives monotonic seconds."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._ends: dict[object, float] = {}

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Note for as long as the context lasts that it ends by itself `seconds` from now at the latest."""
        key = object()
        self._ends[key] = self._clock() + seconds
        try:
            yield
        finally:
            del self._ends[key]

    def left(self) -> float:
        """Return the seconds until the last of them, 0 where nothing is waited for."""
        return max(0.0, max(self._ends.values(), default=0.0) - self._clock()) if self._ends else 0.0


class StreamPosition:
    """How far one stream mapping has read, and how many `records` it holds: read, and neither processed, nor given up,
    nor filtered out."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.records = Work()
        self._clock = clock
        self._listed_at: float | None = None
        self._empty_since: dict[str, float | None] = {}
        self._ended: dict[str, float] = {}

    def listed(self, began: float, shards: Iterable[str]) -> None:
        """Note that a listing of all shards, which began at `began`, has answered."""
        self._listed_at = began
        for shard in shards:
            if shard not in self._ended:
                self._empty_since.setdefault(shard, None)

    def read(self, shard: str, began: float, count: int) -> None:
        """Note that a read of a shard, which began at `began`, has answered with `count` records."""
        self._empty_since[shard] = None if count else began
        self.records.take(count)

    def ended(self, shard: str) -> None:
        """Note that a shard is closed and read to its end."""
        self._empty_since.pop(shard, None)
        self._ended[shard] = self._clock()

    def read_at(self) -> float | None:
        """Return a moment for which holds: every record that was in the stream then has been read. None where that
        holds of no moment yet.

        A shard's records were all read when a read that began at that moment or later found none. A shard that ended
        may have a successor, so the shards must have been listed since.
        """
        if self._listed_at is None or any(end > self._listed_at for end in self._ended.values()):
            return None
        found = list(self._empty_since.values())
        if not found:
            return self._listed_at
        known = [moment for moment in found if moment is not None]
        return min(known) if len(known) == len(found) else None


async def wait_running(futures: Iterable[asyncio.Future[Any]], seconds: float, clock: Clock = time.monotonic) -> None:
    """Return when one of the futures is done, or after `seconds` in which this process ran.

    A time-out must not fire because every process was stopped for a while: a function that did not run did not take too
    long. Each piece of the wait therefore counts with its planned length at most.
    """
    waited = set(futures)
    left = seconds
    while left > 0:
        piece, began = min(left, SLICE_SECONDS), clock()
        done, _ = await asyncio.wait(waited, timeout=piece, return_when=asyncio.FIRST_COMPLETED)
        if done:
            return
        # A timer may fire a little early; what is then left is waited for.
        left -= min(piece, clock() - began)
