"""The queues' log: frames in segments, files of a directory or temporary ones without a name.

A frame is what one request changed, with a checksum, written in one call before the request is answered. It is in the
system's page cache then: it survives the death of this process, not that of the machine. A position counts bytes since
the log began; a segment starts at a multiple of SEGMENT, so that a position's segment is found by a shift.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from harness.data_plane.locks import lock_directory

SEGMENT_BITS = 23
SEGMENT = 1 << SEGMENT_BITS
"""Bytes after which the next segment begins. A frame that begins before may end after it."""
FRAME = struct.Struct("<IIQ")
"""CRC-32 of all that follows it, bytes after this header, position of the frame."""
_SUFFIX = ".queues-log"
_LOCK = "queues.lock"
_CHECKED = 4


class Segment:
    """One file. `live` counts the messages that lie in it; `seen` says whether it may have deduplication ids that are
    still remembered."""

    __slots__ = ("base", "fd", "live", "path", "seen", "size")

    def __init__(self, base: int, path: Path | None) -> None:
        """Open or make the file; raises OSError."""
        self.base = base
        self.path = path
        self.live = 0
        self.seen = False
        if path is None:
            self.fd, name = tempfile.mkstemp(prefix="queues-log-")
            Path(name).unlink()
        else:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.size = os.fstat(self.fd).st_size

    def frames(self, at: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield (offset, frame without its header) from offset `at` to the end or the first that is not whole."""
        while at + FRAME.size <= self.size:
            head = os.pread(self.fd, FRAME.size, at)
            if len(head) < FRAME.size:
                return
            checksum, length, position = FRAME.unpack(head)
            if position != self.base + at or at + FRAME.size + length > self.size:
                return
            payload = os.pread(self.fd, length, at + FRAME.size)
            if zlib.crc32(payload, zlib.crc32(head[_CHECKED:])) != checksum:
                return
            yield at, payload
            at += FRAME.size + length

    def remove(self) -> None:
        """Close the file and delete it."""
        os.close(self.fd)
        if self.path is not None:
            self.path.unlink(missing_ok=True)


class Log:
    """The segments, the oldest first, and by index, a position without its last `bits` bits. `end` is where the next
    frame will be."""

    def __init__(self, directory: Path | None, segment_bits: int = SEGMENT_BITS) -> None:
        """Open what is in the directory; raises OSError, also when another process has it."""
        self.bits = segment_bits
        self._full = 1 << segment_bits
        self._directory = directory
        self._lock: int | None = None
        self.by_index: dict[int, Segment] = {}
        self.segments: list[Segment] = []
        self.size = 0
        self.end = 0
        if directory is None:
            return
        self._lock = lock_directory(directory, _LOCK)
        for path in sorted(directory.glob(f"*{_SUFFIX}")):
            self._add(Segment(int(path.name.removesuffix(_SUFFIX), 16), path))

    def recover(self) -> Iterator[tuple[Segment, int, bytes]]:
        """Yield (segment, offset, frame without its header) of every frame, and cut the torn one at the end.

        Raises OSError when a frame that is not the last is damaged: cutting there would lose what was acknowledged.
        """
        for segment in list(self.segments):
            end = 0
            for at, payload in segment.frames():
                yield segment, at, payload
                end = at + FRAME.size + len(payload)
            if end < segment.size:
                self._cut(segment, end)
        if self.segments and not self.segments[-1].size:
            self.drop(self.segments[-1])

    def _cut(self, segment: Segment, end: int) -> None:
        head = os.pread(segment.fd, FRAME.size, end)
        torn = len(head) < FRAME.size
        if not torn:
            _, length, position = FRAME.unpack(head)
            torn = position == segment.base + end and end + FRAME.size + length > segment.size
        if not torn or segment is not self.segments[-1]:
            raise OSError(
                f"{segment.path} is damaged at byte {end} of {segment.size}; restore it or remove the directory"
            )
        os.ftruncate(segment.fd, end)
        self.size -= segment.size - end
        segment.size = end
        self.end = segment.base + end

    def _add(self, segment: Segment) -> None:
        self.segments.append(segment)
        self.size += segment.size
        self.end = segment.base + segment.size
        self.by_index[segment.base >> self.bits] = segment
        self._cover(segment)

    def _cover(self, segment: Segment) -> None:
        for index in range(segment.base >> self.bits, (self.end >> self.bits) + 1):
            self.by_index[index] = segment

    @property
    def full(self) -> bool:
        """Whether the next frame belongs into a new segment."""
        return not self.segments or self.segments[-1].size >= self._full

    def roll(self) -> None:
        """Begin a segment; raises OSError."""
        index = (self.end >> self.bits) + 1 if self.segments else self.end >> self.bits
        base = index << self.bits
        path = None if self._directory is None else self._directory / f"{base:016x}{_SUFFIX}"
        self._add(Segment(base, path))

    def write(self, payload: bytes) -> None:
        """Write one frame at `end`; raises OSError, after which it is as if nothing had been written."""
        segment = self.segments[-1]
        head = FRAME.pack(0, len(payload), self.end)[_CHECKED:]
        checksum = zlib.crc32(payload, zlib.crc32(head))
        at = segment.size
        data = b"".join((checksum.to_bytes(_CHECKED, "little"), head, payload))
        done = os.pwrite(segment.fd, data, at)
        while done < len(data):
            done += os.pwrite(segment.fd, data[done:], at + done)
        at += done
        self.size += done
        segment.size = at
        self.end = segment.base + at
        if at >= self._full:
            self._cover(segment)

    def read(self, position: int, length: int) -> bytes:
        """Return bytes that were written."""
        segment = self.by_index[position >> self.bits]
        return os.pread(segment.fd, length, position - segment.base)

    def drop(self, segment: Segment) -> None:
        """Delete a segment."""
        self.segments.remove(segment)
        self.size -= segment.size
        for index in range(segment.base >> self.bits, ((segment.base + segment.size) >> self.bits) + 1):
            if self.by_index.get(index) is segment:
                del self.by_index[index]
        segment.remove()

    def close(self) -> None:
        """Close the files."""
        for segment in self.segments:
            os.close(segment.fd)
        self.segments.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
