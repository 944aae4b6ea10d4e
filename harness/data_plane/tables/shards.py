"""The shards of a table: ranges of key hashes, each with a log of its own, some of them readable as stream shards.

A shard is open until it is split or rolled (then its children follow it) or its stream ends. What is known of the
shards of a table is a small document, written before anything happens that relies on it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import Any

from harness.data_plane.tables.frames import FILE_HEADER

RING = 1 << 32
"""Hashes are 32 bits."""
RETENTION_MS = 24 * 3600 * 1000
"""How long stream records can be read (AWS: 24 hours)."""
ROLL_MS = 4 * 3600 * 1000
"""Age at which an open stream shard is replaced by a child (AWS: about every four hours)."""
PARTITION_WRITES = 1_000
PARTITION_READS = 3_000
"""Capacity units a second of one partition."""
ON_DEMAND_WRITES = 4_000
"""Write units a second of a new on-demand table: four partitions' worth."""

_ORIGIN = 10**17
_PER_TABLE = 10**6


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of a table: label and view type as in the API; `closed_ms` once it is disabled or its table deleted."""

    label: str
    view: str
    created_ms: int
    closed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard. `base` makes sequence numbers of children greater than their parent's; `end` is set when closed."""

    number: int
    low: int
    high: int
    base: int
    created_ms: int
    parent: int | None = None
    stream: str | None = None
    closed_ms: int | None = None
    end: int | None = None

    @property
    def shard_id(self) -> str:
        """The id in the API."""
        return f"shardId-{self.created_ms:020d}-{self.number:08x}"

    def sequence_number(self, offset: int) -> str:
        """Return the sequence number of the frame at `offset` of the shard's log."""
        return str((_ORIGIN + self.base + offset) * _PER_TABLE + self.number)

    def offset_of(self, sequence_number: str) -> int | None:
        """Return the offset that a sequence number stands for, or None when it is not one of this shard."""
        if not sequence_number.isascii() or not sequence_number.isdigit() or len(sequence_number) > 40:
            return None
        position, number = divmod(int(sequence_number), _PER_TABLE)
        offset = position - _ORIGIN - self.base
        return offset if number == self.number and offset >= len(FILE_HEADER) else None


def shard_count(on_demand: bool, write_units: int, read_units: int) -> int:
    """Return how many partitions, and so stream shards, a new table has on AWS."""
    if on_demand:
        return ON_DEMAND_WRITES // PARTITION_WRITES
    return max(1, -(-(write_units * PARTITION_READS + read_units * PARTITION_WRITES) // 3_000_000))


class ShardMap:
    """All shards of a table, open and closed, and its streams."""

    def __init__(self, shards: list[Shard], streams: list[Stream]) -> None:
        self.shards = {shard.number: shard for shard in shards}
        self.streams = {stream.label: stream for stream in streams}
        self._lows: list[int] = []
        self._open: list[Shard] = []
        self._sort()

    @classmethod
    def new(cls, count: int, now_ms: int) -> ShardMap:
        """Return the map of a new table with `count` shards and no stream."""
        bounds = [RING * i // count for i in range(count + 1)]
        return cls([Shard(i, bounds[i], bounds[i + 1], 0, now_ms) for i in range(count)], [])

    def _sort(self) -> None:
        self._open = sorted((s for s in self.shards.values() if s.closed_ms is None), key=lambda s: s.low)
        self._lows = [s.low for s in self._open]

    @property
    def open(self) -> list[Shard]:
        """The open shards by range."""
        return self._open

    @property
    def current(self) -> Stream | None:
        """The stream that is enabled, if any."""
        return next((s for s in self.streams.values() if s.closed_ms is None), None)

    def shard_for(self, hashed: int) -> Shard:
        """Return the open shard that a hash belongs to."""
        return self._open[bisect_right(self._lows, hashed) - 1]

    def of_stream(self, label: str) -> list[Shard]:
        """Return the shards of a stream, parents before children."""
        return sorted((s for s in self.shards.values() if s.stream == label), key=lambda s: s.number)

    def by_id(self, label: str, shard_id: str) -> Shard | None:
        """Return the shard of a stream with this id."""
        return next((s for s in self.shards.values() if s.stream == label and s.shard_id == shard_id), None)

    def split(self, number: int, end: int, parts: int, now_ms: int) -> list[Shard]:
        """Close a shard at `end` and open `parts` children in its place (1: it is rolled); return the children."""
        parent = self.shards[number]
        assert parent.closed_ms is None
        self.shards[number] = replace(parent, closed_ms=now_ms, end=end)
        width = parent.high - parent.low
        bounds = [parent.low + width * i // parts for i in range(parts + 1)]
        first = max(self.shards) + 1
        children = [
            Shard(first + i, bounds[i], bounds[i + 1], parent.base + end, now_ms, number, parent.stream)
            for i in range(parts)
            if bounds[i] < bounds[i + 1]
        ]
        self.shards.update((child.number, child) for child in children)
        self._sort()
        return children

    def begin_stream(self, stream: Stream, ends: dict[int, int]) -> None:
        """Enable a stream: every open shard (which end at `ends`) is followed by a shard of the stream, no parent."""
        self._renew(stream.label, ends, stream.created_ms)
        self.streams[stream.label] = stream

    def end_stream(self, ends: dict[int, int], now_ms: int) -> None:
        """Disable the current stream; its shards are closed and can be read on."""
        current = self.current
        if current is not None:
            self.streams[current.label] = replace(current, closed_ms=now_ms)
            self._renew(None, ends, now_ms)

    def _renew(self, stream: str | None, ends: dict[int, int], now_ms: int) -> None:
        for shard in list(self._open):
            end = ends[shard.number]
            self.shards[shard.number] = replace(shard, closed_ms=now_ms, end=end)
            number = max(self.shards) + 1
            self.shards[number] = Shard(number, shard.low, shard.high, shard.base + end, now_ms, None, stream)
        self._sort()

    def document(self) -> dict[str, Any]:
        """Return the map as JSON can hold it."""
        return {
            "shards": [{name: getattr(s, name) for name in Shard.__slots__} for s in self.shards.values()],
            "streams": [{name: getattr(s, name) for name in Stream.__slots__} for s in self.streams.values()],
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> ShardMap:
        """Return the map that `document` was made from."""
        return cls([Shard(**s) for s in document["shards"]], [Stream(**s) for s in document["streams"]])
