"""The index of a table in memory: from key to the location of the item's newest frame.

Keys lie in buckets by the hash of their partition key, in order of the hash, so that a scan can go on from any key
without walking what it has read, and a segment of a parallel scan is a range of hashes. An item takes about 140 bytes
beside its key; measured by a test.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from harness.data_plane.tables.keys import hash_of

_BUCKET_BITS = 11
BUCKETS = 1 << _BUCKET_BITS
_SHIFT = 32 - _BUCKET_BITS

Entry = tuple[bytes, bytes, int]
"""Partition key, sort key (empty in a table without), location."""


class _Partition:
    """The items of one partition key, by sort key; used from the second item on, a pair of bytes is smaller."""

    __slots__ = ("locations", "sks")

    def __init__(self, sk: bytes, location: int) -> None:
        self.sks = [sk]
        self.locations = array("Q", (location,))

    def find(self, sk: bytes) -> int:
        at = bisect_left(self.sks, sk)
        return at if at < len(self.sks) and self.sks[at] == sk else -1


class Index:
    """Locations by key. Location 0 means "none"; `count` is the number of items."""

    def __init__(self, has_sort_key: bool) -> None:
        self._ranged = has_sort_key
        # Without a sort key a value is a location, with one a pair (sort key, location) or a _Partition.
        self._buckets: list[dict[bytes, int | tuple[bytes, int] | _Partition]] = [{} for _ in range(BUCKETS)]
        self.count = 0

    def get(self, pk: bytes, sk: bytes = b"", hashed: int | None = None) -> int:
        """Return the item's location, or 0. `hashed` is the partition key's hash, where it is known."""
        found = self._buckets[(hash_of(pk) if hashed is None else hashed) >> _SHIFT].get(pk)
        if found is None:
            return 0
        if type(found) is int:
            return found
        if type(found) is tuple:
            return found[1] if found[0] == sk else 0
        assert isinstance(found, _Partition)
        at = found.find(sk)
        return found.locations[at] if at >= 0 else 0

    def set(self, pk: bytes, sk: bytes, location: int, hashed: int | None = None) -> int:
        """Put the location in place of the one before, which is returned (0: none); location 0 removes.

        `hashed` as for `get`.
        """
        bucket = self._buckets[(hash_of(pk) if hashed is None else hashed) >> _SHIFT]
        found = bucket.get(pk)
        if not self._ranged:
            before = found if type(found) is int else 0
            if location:
                bucket[pk] = location
            elif before:
                del bucket[pk]
        elif found is None:
            before = 0
            if location:
                bucket[pk] = (sk, location)
        else:
            before = self._set_in_partition(bucket, pk, sk, location)
        self.count += bool(location) - bool(before)
        return before

    @staticmethod
    def _set_in_partition(
        bucket: dict[bytes, int | tuple[bytes, int] | _Partition], pk: bytes, sk: bytes, location: int
    ) -> int:
        found = bucket[pk]
        if type(found) is tuple:
            if found[0] == sk:
                if location:
                    bucket[pk] = (sk, location)
                else:
                    del bucket[pk]
                return found[1]
            if not location:
                return 0
            bucket[pk] = found = _Partition(*found)
        assert isinstance(found, _Partition)
        at = bisect_left(found.sks, sk)
        if at < len(found.sks) and found.sks[at] == sk:
            before = found.locations[at]
            if location:
                found.locations[at] = location
            else:
                del found.sks[at], found.locations[at]
                if not found.sks:
                    del bucket[pk]
            return before
        if location:
            found.sks.insert(at, sk)
            found.locations.insert(at, location)
        return 0

    def has_partition(self, pk: bytes) -> bool:
        """Tell whether there is an item with this partition key."""
        return pk in self._buckets[hash_of(pk) >> _SHIFT]

    def partition(self, pk: bytes) -> list[tuple[bytes, int]]:
        """Return (sort key, location) of every item of the partition key, by sort key."""
        found = self._buckets[hash_of(pk) >> _SHIFT].get(pk)
        return [] if found is None else list(_items(found))

    def partition_slice(self, pk: bytes, after: bytes | None, forward: bool) -> Iterator[tuple[bytes, int]]:
        """Yield (sort key, location) of a partition key in either direction, from beyond `after` or from the start."""
        found = self._buckets[hash_of(pk) >> _SHIFT].get(pk)
        if not isinstance(found, _Partition):
            for sk, location in () if found is None else _items(found):
                if after is None or (sk > after if forward else sk < after):
                    yield sk, location
            return
        sks, locations = found.sks, found.locations
        if forward:
            for at in range(0 if after is None else bisect_right(sks, after), len(sks)):
                yield sks[at], locations[at]
        else:
            for at in range((len(sks) if after is None else bisect_left(sks, after)) - 1, -1, -1):
                yield sks[at], locations[at]

    def partitions(self) -> Iterator[bytes]:
        """Yield every partition key; the index may be changed meanwhile."""
        for bucket in self._buckets:
            yield from list(bucket)

    def partition_count(self) -> int:
        """Return the number of partition keys."""
        return sum(map(len, self._buckets))

    def scan(self, low: int = 0, high: int = 1 << 32, after: tuple[bytes, bytes] | None = None) -> Iterator[Entry]:
        """Yield the entries whose hash is in [low, high), in the index's order, from beyond the key `after`.

        The order is that of hashes first; `after` need not exist. The index must not be changed meanwhile.
        """
        start = low >> _SHIFT
        if after is not None:
            start = max(start, hash_of(after[0]) >> _SHIFT)
        for number in range(start, ((high - 1) >> _SHIFT) + 1):
            bucket = self._buckets[number]
            if not bucket:
                continue
            pks = sorted(bucket)
            resumed = after is not None and number == hash_of(after[0]) >> _SHIFT
            if resumed and after is not None:
                pks = pks[bisect_left(pks, after[0]) :]
            whole = low <= number << _SHIFT and (number + 1) << _SHIFT <= high
            for pk in pks:
                if not whole and not low <= hash_of(pk) < high:
                    continue
                for sk, location in _items(bucket[pk]):
                    if resumed and after is not None and pk == after[0] and sk <= after[1]:
                        continue
                    yield pk, sk, location


def _items(found: int | tuple[bytes, int] | _Partition) -> Iterator[tuple[bytes, int]]:
    if type(found) is int:
        return iter(((b"", found),))
    if type(found) is tuple:
        return iter((found,))
    assert isinstance(found, _Partition)
    return iter(list(zip(found.sks, found.locations, strict=True)))
