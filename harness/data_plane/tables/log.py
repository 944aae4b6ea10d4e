"""An append-only file of frames: write-ahead log of the table and stream of the shard at once.

What a request appends stays in memory until `flush`, which writes it in one call; reads see it all the same. A write
is in the system's page cache when `flush` returns: it survives the death of this process, not that of the machine.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.data_plane.tables import frames
from harness.data_plane.tables.frames import FILE_HEADER, Frame

READ_AHEAD = 4096
"""Bytes read to get one frame; most frames fit, so that one call does."""
CHUNK = 1024 * 1024
MAX_GAP = 8192
"""Bytes between two frames that are read together: as many cost about as much as another call."""


class Log:
    """The frames of one shard. Offsets are positions in the file; `end` is where the next frame will be."""

    def __init__(self, path: Path | None) -> None:
        """Open the file at `path`, or an unnamed temporary one; raises OSError."""
        self.path = path
        if path is None:
            descriptor, name = tempfile.mkstemp(prefix="tables-log-")
            Path(name).unlink()
        else:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._fd = descriptor
        size = os.fstat(descriptor).st_size
        if size < len(FILE_HEADER):
            os.ftruncate(descriptor, 0)
            self._write(FILE_HEADER, 0)
            size = len(FILE_HEADER)
        elif os.pread(descriptor, len(FILE_HEADER), 0) != FILE_HEADER:
            os.close(descriptor)
            raise OSError(f"{path} is not a log of this version")
        self.written = size
        self._pending = bytearray()

    @property
    def end(self) -> int:
        """The offset after the last frame, pending ones included."""
        return self.written + len(self._pending)

    def append(self, frame: bytes) -> int:
        """Add a frame and return its offset."""
        at = self.written + len(self._pending)
        self._pending += frame
        return at

    def pending(self) -> bytes:
        """Return what was appended since the last flush."""
        return bytes(self._pending)

    def flush(self) -> None:
        """Write what is pending; raises OSError, after which the file is as it was and all is still pending."""
        if not self._pending:
            return
        try:
            self._write(self._pending, self.written)
        except OSError:
            os.ftruncate(self._fd, self.written)
            raise
        self.written += len(self._pending)
        self._pending = bytearray()

    def discard(self) -> None:
        """Forget what is pending."""
        self._pending = bytearray()

    def truncate(self, end: int) -> None:
        """Cut the file at `end` and forget what is pending."""
        self.discard()
        os.ftruncate(self._fd, end)
        self.written = end

    def write_at(self, data: bytes, offset: int) -> None:
        """Write `data` at `offset` and continue after it: for recovery."""
        self._write(data, offset)
        self.written = max(self.written, offset + len(data))

    def _write(self, data: bytes | bytearray, offset: int) -> None:
        view = memoryview(data)
        try:
            while view:
                done = os.pwrite(self._fd, view, offset)
                view = view[done:]
                offset += done
        finally:
            view.release()

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`, pending ones included."""
        data = os.pread(self._fd, max(0, min(length, self.written - offset)), offset) if offset < self.written else b""
        if self._pending and len(data) < length:
            start = offset + len(data) - self.written
            data += self._pending[start : start + length - len(data)]
        return data

    def frame(self, offset: int) -> Frame:
        """Return the frame at `offset`, which must be the start of one."""
        data = self.read(offset, READ_AHEAD)
        found = frames.decode(data)
        if found is None:
            found = frames.decode(self.read(offset, frames.length_at(data)))
        if found is None:
            raise ValueError(f"no frame at {offset} of {self.path}")
        return found

    def versions_at(self, offsets: Sequence[int]) -> dict[int, tuple[int, bytes]]:
        """Return by offset, each of which must be the start of a frame, size and image of the item.

        Frames that lie near each other are read together.
        """
        order = sorted(offsets)
        found: dict[int, tuple[int, bytes]] = {}
        data, start = b"", 0
        for at, offset in enumerate(order):
            version = frames.version_at(data, offset - start)
            if version is None:
                data, start = self.read(offset, _stretch(order, at) + READ_AHEAD), offset
                version = frames.version_at(data, 0)
            if version is None:
                version = frames.version_at(self.read(offset, frames.length_at(data)), 0)
            if version is None:
                raise ValueError(f"no frame at {offset} of {self.path}")
            found[offset] = version
        return found

    def starts_frame(self, offset: int) -> bool:
        """Tell whether a frame with the right checksum starts at `offset`."""
        if not len(FILE_HEADER) <= offset < self.end:
            return False
        data = self.read(offset, READ_AHEAD)
        length = frames.length_at(data) if len(data) >= frames.HEADER_SIZE else 0
        if len(data) < length <= frames.MAX_FRAME:
            data = self.read(offset, length)
        return frames.is_valid(data)

    def frames_from(self, offset: int, chunk: int = CHUNK) -> Iterator[tuple[int, Frame]]:
        """Yield (offset, frame) from `offset`, the start of a frame, to the end."""
        decode = frames.decode
        while offset < self.end:
            data = self.read(offset, chunk)
            at = 0
            while (frame := decode(data, at)) is not None:
                yield offset + at, frame
                at += frame.length
            if at == 0:
                chunk = max(chunk, frames.length_at(data))
            offset += at

    def recover(self) -> Iterator[tuple[int, Frame]]:
        """Yield (offset, frame) of every whole frame, then cut the torn one at the end.

        Raises OSError when what follows the last whole frame is more than a torn one: then the file is damaged, and
        cutting it would lose changes that were acknowledged.
        """
        offset = len(FILE_HEADER)
        chunk = CHUNK
        while offset < self.written:
            data = self.read(offset, chunk)
            at = 0
            for at, frame in frames.valid_frames(data):
                yield offset + at, frame
            if frames.is_valid(data):
                at += frames.length_at(data, at)
            elif chunk < frames.MAX_FRAME and offset + chunk < self.written:
                chunk = frames.MAX_FRAME
                continue
            else:
                break
            offset += at
        rest = self.read(offset, self.written - offset)
        if rest and not frames.is_torn(rest):
            raise OSError(f"{self.path} is damaged at byte {offset}, and {len(rest)} bytes follow; restore it")
        self.truncate(offset)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def remove(self) -> None:
        """Close the file and delete it."""
        self.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _stretch(order: Sequence[int], first: int) -> int:
    """Return how far it is from the offset at `first` to the last of those that are worth reading with it."""
    last = first
    while (
        last + 1 < len(order) and order[last + 1] - order[last] <= MAX_GAP and order[last + 1] - order[first] <= CHUNK
    ):
        last += 1
    return order[last] - order[first]
