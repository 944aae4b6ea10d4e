"""Which shards of a DynamoDB stream may be read when; free of I/O.

A shard that splits goes on in its children. The records of an item are in order only if a child is read after its
parent has been read to its end and processed (DynamoDB developer guide, "Reading and processing a stream"), so that is
how Lambda reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Position = Literal["TRIM_HORIZON", "LATEST"]


@dataclass(frozen=True)
class Shard:
    """One shard as DescribeStream lists it; `parent` is empty for a shard without one, `closed` shards get no more
    records."""

    shard_id: str
    parent: str
    closed: bool

    @staticmethod
    def from_description(description: Mapping[str, Any]) -> Shard:
        """Read an entry of DescribeStream's `Shards`."""
        closed = bool(description.get("SequenceNumberRange", {}).get("EndingSequenceNumber"))
        return Shard(description["ShardId"], description.get("ParentShardId") or "", closed)


class ShardTree:
    """Takes listings of a stream's shards and says which to read now; told which are finished.

    Every shard is given out once. With TRIM_HORIZON all of them are read from their beginning. With LATEST the open
    shards of the first listing are read from their end and the closed ones not at all; shards that appear later
    continue those, so they are read from their beginning. `finished` shards were read to their end before.
    """

    def __init__(self, position: Position, finished: Iterable[str] = ()) -> None:
        self._position = position
        self._parents: dict[str, str] = {}
        self._reading: set[str] = set()
        self._finished = set(finished)
        self._begun = False

    @property
    def reading(self) -> frozenset[str]:
        """The shards given out and not finished."""
        return frozenset(self._reading)

    def ready(self, listing: Iterable[Shard]) -> list[tuple[str, Position]]:
        """Return the shards to begin with now, and where, given a complete listing of the stream."""
        shards = list(listing)
        position: Position = "TRIM_HORIZON"
        if self._position == "LATEST" and not self._begun:
            position = "LATEST"
            parents = {shard.parent for shard in shards}
            self._finished |= {shard.shard_id for shard in shards if shard.closed or shard.shard_id in parents}
        self._begun = True
        self._parents |= {shard.shard_id: shard.parent for shard in shards}
        listed = {shard.shard_id for shard in shards}
        begun = self._reading | self._finished
        found = [s.shard_id for s in shards if s.shard_id not in begun and not self._waits(s.shard_id, listed)]
        self._reading |= set(found)
        return [(shard_id, position) for shard_id in found]

    def unfinished(self, listing: Iterable[Shard]) -> list[str]:
        """Return those of a listing that are read or wait to be read."""
        return [shard.shard_id for shard in listing if shard.shard_id not in self._finished]

    def finish(self, shard_id: str) -> None:
        """Note that a shard was read to its end and all its records processed or given up, or that it expired."""
        self._reading.discard(shard_id)
        self._finished.add(shard_id)

    def _waits(self, shard_id: str, listed: set[str]) -> bool:
        """Return whether an ancestor is still to be read. A parent that is not listed has expired, records and all;
        what came before it may still be in hand."""
        seen = {shard_id}
        parent = self._parents.get(shard_id, "")
        while parent and parent not in seen and parent not in self._finished:
            if parent in self._reading or parent in listed:
                return True
            seen.add(parent)
            parent = self._parents.get(parent, "")
        return False
