"""What becomes due when: messages by the instant at which they become visible."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")
_SPARE = 1024
"""Instants that may lie in the heap though nothing is due at them any more, before the heap is made anew."""


class Deadlines(Generic[T]):
    """Values under integer keys, each due at one instant (ms). Adding, discarding and taking cost O(log n) or less.

    Values due at the same instant share a bucket, and the heap holds instants, not values: a batch received at once
    costs one entry, and a value taken out leaves nothing behind but, for a while, an integer.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, dict[int, T]] = {}
        self._heap: list[int] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, due: int, key: int, value: T) -> None:
        """Add a value; its key must not be in here at the same instant."""
        bucket = self._buckets.get(due)
        if bucket is None:
            self._buckets[due] = {key: value}
            heapq.heappush(self._heap, due)
        else:
            bucket[key] = value
        self._size += 1

    def discard(self, due: int, key: int) -> bool:
        """Take out the value of `key` that is due at `due`; returns whether it was there."""
        bucket = self._buckets.get(due)
        if bucket is None or bucket.pop(key, None) is None:
            return False
        self._size -= 1
        if not bucket:
            del self._buckets[due]
            if len(self._heap) > 2 * len(self._buckets) + _SPARE:
                self._heap = list(self._buckets)
                heapq.heapify(self._heap)
        return True

    def next(self) -> int | None:
        """Return the earliest instant at which something is due, None when nothing is."""
        heap = self._heap
        while heap and heap[0] not in self._buckets:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def take_due(self, now: int) -> list[T]:
        """Take out and return everything due at or before `now`, the earliest first."""
        heap = self._heap
        if not heap or heap[0] > now:
            return []
        due: list[T] = []
        while heap and heap[0] <= now:
            bucket = self._buckets.pop(heapq.heappop(heap), None)
            if bucket is not None:
                due.extend(bucket.values())
        self._size -= len(due)
        return due

    def values(self) -> list[T]:
        """Return everything, in no order."""
        return [value for bucket in self._buckets.values() for value in bucket.values()]
