"""One table's items: logs of changes, an index in memory into them, and nothing else.

Every change goes through `put` or `delete`; the frame it appends is the stream record too. Changes of one request
stay pending until a `Journal` has written them; `rollback` takes them back. Nothing here knows of DynamoDB's API:
keys and images are bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from harness.data_plane.tables import frames
from harness.data_plane.tables.frames import EXPIRE, INSERT, MODIFY, REMOVE, Frame
from harness.data_plane.tables.index import Index
from harness.data_plane.tables.keys import KeySchema, hash_of
from harness.data_plane.tables.log import Log
from harness.data_plane.tables.shards import RETENTION_MS, ROLL_MS, Shard, ShardMap, Stream

SHARDS_FILE = "shards.json"
_LOG_BITS = 40
_OFFSET = (1 << _LOG_BITS) - 1

Clock = Callable[[], int]
"""Milliseconds since 1970."""


class Version(NamedTuple):
    """An item as stored: its JSON, and its size in bytes by DynamoDB's rules."""

    image: bytes
    size: int


_ABSENT = Version(b"", 0)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at `path` in one step; raises OSError."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(data)
    temporary.replace(path)


def read_document(path: Path) -> Any:
    """Return the JSON that `write_atomically` wrote; raises OSError, also for a file that is damaged."""
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise OSError(f"{path} is damaged ({error}); restore it, or begin with an empty directory") from error


class TableStore:
    """The items of one table, in `directory` or, without one, in temporary files."""

    def __init__(
        self,
        schema: KeySchema,
        directory: Path | None,
        clock: Clock,
        shards: int,
        changed: set[TableStore] | None = None,
    ) -> None:
        """Open what `directory` holds, or start empty with `shards` shards; raises OSError.

        The store adds itself to `changed` whenever something becomes pending.
        """
        self._changed = changed if changed is not None else set()
        self.schema = schema
        self.directory = directory
        self._clock = clock
        self.index = Index(schema.sk is not None)
        self.bytes = 0
        self._logs: dict[int, Log] = {}
        self._undo: list[tuple[bytes, bytes, int, int]] = []
        self._dirty: set[int] = set()
        self._trimmed: dict[int, int] = {}
        self._last: dict[int, int] = {}
        known = directory / SHARDS_FILE if directory is not None else None
        if known is not None and known.exists():
            self.map = ShardMap.from_document(read_document(known))
            self._recover()
        else:
            if directory is not None:
                directory.mkdir(parents=True, exist_ok=True)
            self.map = ShardMap.new(shards, clock())
            self._save_map()

    def _save_map(self) -> None:
        if self.directory is not None:
            write_atomically(self.directory / SHARDS_FILE, orjson.dumps(self.map.document()))

    def log(self, number: int) -> Log:
        """Return the log of a shard, opened when first asked for."""
        found = self._logs.get(number)
        if found is None:
            path = self.directory / f"{number:08x}.log" if self.directory is not None else None
            found = self._logs[number] = Log(path)
        return found

    def _recover(self) -> None:
        for number in sorted(self.map.shards):
            shard = self.map.shards[number]
            base = number << _LOG_BITS
            for offset, frame in self.log(number).recover():
                removed = frame.kind >= REMOVE
                before = self.index.set(frame.pk, frame.sk, 0 if removed else base | offset)
                self.bytes += (0 if removed else frame.size) - (self._frame(before).size if before else 0)
            if shard.end is not None and self.log(number).end < shard.end:
                raise OSError(f"{self.log(number).path} lacks its last {shard.end - self.log(number).end} bytes")

    # items

    @property
    def count(self) -> int:
        """The number of items."""
        return self.index.count

    def _frame(self, location: int) -> Frame:
        return self.log(location >> _LOG_BITS).frame(location & _OFFSET)

    def version_at(self, location: int) -> Version:
        """Return the version at a location of the index or of a frame's `previous`."""
        frame = self._frame(location)
        return Version(frame.image, frame.size)

    def get(self, pk: bytes, sk: bytes = b"") -> Version | None:
        """Return the item with this key."""
        location = self.index.get(pk, sk)
        return self.version_at(location) if location else None

    def put(self, pk: bytes, sk: bytes, image: bytes, size: int) -> Version | None:
        """Store an item and return the version before; one that changes nothing leaves no record."""
        hashed = hash_of(pk)
        before = self.index.get(pk, sk, hashed)
        old = self.version_at(before) if before else None
        if old is not None and same_item(old.image, image):
            return old
        self._append(MODIFY if before else INSERT, pk, sk, image, size, before, hashed, self._clock())
        self.bytes += size - (old.size if old else 0)
        return old

    def get_all(self, keys: Sequence[tuple[bytes, bytes]]) -> list[Version | None]:
        """Return the items with these keys, None where there is none."""
        locations = [self.index.get(*key) for key in keys]
        found = self._versions(locations)
        return [found[location] if location else None for location in locations]

    def put_all(self, rows: Sequence[tuple[bytes, bytes, bytes, int]]) -> list[int]:
        """Store items of distinct keys, each given as `put`'s arguments, and return the sizes of the versions before.

        The size is 0 where there was none.
        """
        hashes = [hash_of(row[0]) for row in rows]
        get = self.index.get
        befores = [get(row[0], row[1], hashed) for row, hashed in zip(rows, hashes, strict=True)]
        found = self._versions(befores)
        now = self._clock()
        sizes = []
        for (pk, sk, image, size), hashed, before in zip(rows, hashes, befores, strict=True):
            old = found[before] if before else _ABSENT
            sizes.append(old.size)
            if before and same_item(old.image, image):
                continue
            self._append(MODIFY if before else INSERT, pk, sk, image, size, before, hashed, now)
            self.bytes += size - old.size
        return sizes

    def _versions(self, locations: Sequence[int]) -> dict[int, Version]:
        """Return by location the versions that are there; 0 is no location."""
        by_log: dict[int, list[int]] = {}
        for location in locations:
            if location:
                by_log.setdefault(location >> _LOG_BITS, []).append(location & _OFFSET)
        return {
            number << _LOG_BITS | offset: Version(image, size)
            for number, offsets in by_log.items()
            for offset, (size, image) in self.log(number).versions_at(offsets).items()
        }

    def delete(self, pk: bytes, sk: bytes = b"", *, expired: bool = False) -> Version | None:
        """Remove an item and return it, or None when there is none."""
        hashed = hash_of(pk)
        before = self.index.get(pk, sk, hashed)
        if not before:
            return None
        old = self.version_at(before)
        self._append(EXPIRE if expired else REMOVE, pk, sk, b"", 0, before, hashed, self._clock())
        self.bytes -= old.size
        return old

    def _append(
        self, kind: int, pk: bytes, sk: bytes, image: bytes, size: int, before: int, hashed: int, now: int
    ) -> None:
        number = self.map.shard_for(hashed).number
        offset = self.log(number).append(frames.encode(kind, now, size, before, pk, sk, image))
        self._dirty.add(number)
        self._changed.add(self)
        self._undo.append((pk, sk, before, self.bytes))
        self.index.set(pk, sk, 0 if kind >= REMOVE else number << _LOG_BITS | offset, hashed)

    def scan(
        self, low: int = 0, high: int = 1 << 32, after: tuple[bytes, bytes] | None = None
    ) -> Iterator[tuple[bytes, bytes, Version]]:
        """Yield (partition key, sort key, version) as `Index.scan` orders them; nothing may be written meanwhile."""
        for pk, sk, location in self.index.scan(low, high, after):
            yield pk, sk, self.version_at(location)

    # requests

    @property
    def dirty(self) -> list[Log]:
        """The logs with pending frames."""
        return [self._logs[number] for number in self._dirty]

    def committed(self) -> None:
        """Forget how to take back what has been written."""
        self._dirty.clear()
        self._undo.clear()

    def pending_changes(self) -> list[tuple[bytes, Version | None, Version | None]]:
        """Return (partition key, version before, version after) of each pending change."""
        changes = []
        for log in self.dirty:
            for _, frame in log.frames_from(log.written):
                before = self.version_at(frame.previous) if frame.previous else None
                changes.append((frame.pk, before, Version(frame.image, frame.size) if frame.image else None))
        return changes

    def rollback(self) -> None:
        """Take back what is pending."""
        for log in self.dirty:
            log.discard()
        while self._undo:
            pk, sk, location, self.bytes = self._undo.pop()
            self.index.set(pk, sk, location)
        self._dirty.clear()

    # shards and streams; nothing may be pending

    def _ends(self) -> dict[int, int]:
        return {shard.number: self.log(shard.number).end for shard in self.map.open}

    def begin_stream(self, label: str, view: str) -> None:
        """Start a stream with the next change."""
        self.map.begin_stream(Stream(label, view, self._clock()), self._ends())
        self._save_map()

    def end_stream(self) -> None:
        """End the current stream, if any."""
        self.map.end_stream(self._ends(), self._clock())
        self._save_map()

    def split(self, number: int, parts: int = 2) -> list[Shard]:
        """Split an open shard, or roll it (`parts=1`), and return its children."""
        children = self.map.split(number, self.log(number).end, parts, self._clock())
        self._save_map()
        return children

    def split_to(self, count: int) -> None:
        """Split the widest open shards until there are `count`."""
        while len(self.map.open) < count:
            self.split(max(self.map.open, key=lambda shard: shard.high - shard.low).number)

    def roll_old(self, age_ms: int = ROLL_MS) -> int:
        """Roll the open stream shards of that age or more, if anything was written to them; return how many."""
        oldest = self._clock() - age_ms
        old = [s for s in self.map.open if s.stream is not None and s.created_ms <= oldest]
        due = [s.number for s in old if self.log(s.number).end > self.start(s)]
        for number in due:
            self.split(number, 1)
        return len(due)

    def start(self, shard: Shard) -> int:
        """Return the offset of a shard's first record that is not older than the retention (or its end)."""
        offset = self._trimmed.get(shard.number, len(frames.FILE_HEADER))
        oldest = self._clock() - RETENTION_MS
        log = self.log(shard.number)
        if offset < log.end and log.frame(offset).time_ms < oldest:
            end = offset
            for at, frame in log.frames_from(offset):
                if frame.time_ms >= oldest:
                    break
                end = at + frame.length
            offset = end
        self._trimmed[shard.number] = offset
        return offset

    def last(self, shard: Shard) -> int:
        """Return the offset of a closed shard's last record; it must have one."""
        if shard.number not in self._last:
            offsets = (at for at, _ in self.log(shard.number).frames_from(self.start(shard)))
            self._last[shard.number] = max(offsets)
        return self._last[shard.number]

    def end(self, shard: Shard) -> int:
        """Return the offset after a shard's last record."""
        return shard.end if shard.end is not None else self.log(shard.number).end

    def expired_streams(self) -> list[Stream]:
        """Return the streams that ended longer ago than the retention."""
        oldest = self._clock() - RETENTION_MS
        return [s for s in self.map.streams.values() if s.closed_ms is not None and s.closed_ms < oldest]

    def close(self) -> None:
        """Close the files."""
        for log in self._logs.values():
            log.close()
        self._logs.clear()

    def remove(self) -> None:
        """Close the files and delete them."""
        self.close()
        if self.directory is not None:
            shutil.rmtree(self.directory)


def same_item(a: bytes, b: bytes) -> bool:
    """Tell whether two images say the same: the order of attributes and of a set's members does not matter."""
    if a == b:
        return True
    # The same content has the same length, whatever its order: images are compact and escaped alike.
    if len(a) != len(b):
        return False
    left, right = orjson.loads(a), orjson.loads(b)
    if left == right:
        return True
    return b'S":["' in a and _sets_sorted(left) == _sets_sorted(right)


def _sets_sorted(value: object) -> object:
    if isinstance(value, dict):
        return {k: sorted(v) if k in ("SS", "NS", "BS") and _texts(v) else _sets_sorted(v) for k, v in value.items()}
    return [_sets_sorted(v) for v in value] if isinstance(value, list) else value


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)
