"""Cuts a stream of blocks into its header and chunks of whole records, in bounded memory. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from handlers.clean_worker import Chunk
from handlers.csv_split import BOM, TERMINATOR, FoundRecords, RecordFinder
from handlers.dialect import Dialect
from handlers.header import Header, ObjectRejected, read_header
from handlers.quarantine import RAW_LIMIT
from handlers.settings import Settings

__all__ = ["BLOCK_BYTES", "ObjectRejected", "ObjectSplitter", "split_object"]

BLOCK_BYTES = 4 * 1024 * 1024
"""One read and, but for its cut ends, one chunk: about 23,000 rows of 180 bytes. Memory grows with it, and so does
the number of processes with its inverse."""

_HEAD_BYTES = 64 * 1024
"""Bytes that are read before the header is judged, or all there are; rows among them tell a header from a title."""


def split_object(blocks: Iterator[bytes], settings: Settings | None = None) -> tuple[tuple[str, ...], Iterator[Chunk]]:
    """Return the column names and an iterator of chunks; no names for an empty object.

    Raises ObjectRejected; see `ObjectSplitter`.
    """
    splitter = ObjectSplitter(blocks, settings or Settings())
    return splitter.columns, splitter.chunks()


class ObjectSplitter:
    """Splits one object. `columns` are the column names, none for an empty object, `dialect` how it is written.

    Making one reads the object's head. Raises ObjectRejected for an object that is no CSV, or whose header does not
    say how to read it.
    """

    def __init__(self, blocks: Iterator[bytes], settings: Settings) -> None:
        self._blocks = blocks
        self._head, self._ended = b"", False
        header = self._read_header(settings)
        self.columns: tuple[str, ...] = header.columns if header else ()
        self.dialect: Dialect = header.dialect if header else Dialect()
        self._offset = header.end if header else 0

    def _read_header(self, settings: Settings) -> Header | None:
        wanted = _HEAD_BYTES
        while True:
            self._fill(wanted)
            if not self._head.removeprefix(BOM):
                return None
            header = read_header(self._head, settings, final=self._ended)
            if header is not None:
                return header
            wanted = len(self._head) * 2

    def _fill(self, wanted: int) -> None:
        parts = [self._head]
        size = len(self._head)
        while size < wanted and not self._ended:
            block = next(self._blocks, None)
            if block is None:
                self._ended = True
            else:
                parts.append(block)
                size += len(block)
        self._head = b"".join(parts)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks that follow the header."""
        if not self.columns:
            return
        finder = RecordFinder(self.dialect, len(self.columns))
        cursor = _Cursor(self._offset, self.dialect)
        rest, self._head = self._head[self._offset :], b""
        skipping = False
        for data, final in self._buffers(rest):
            buffer = cursor.carried + data
            if skipping:
                skipping, buffer = cursor.skip(buffer, final=final)
            while buffer and not skipping:
                found = finder.find(buffer, final=final)
                if found.records:
                    yield cursor.chunk(buffer, found)
                buffer = buffer[found.end :]
                if not found.overlong:
                    break
                yield cursor.overlong(buffer)
                skipping, buffer = cursor.skip(buffer, final=final)
            cursor.carried = buffer

    def _buffers(self, first: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield (block, whether nothing follows it)."""
        for block in _no_larger(chain((first,), self._blocks)):
            yield block, False
        yield b"", True


class _Cursor:
    """Where in the object, and at which row, a splitter is; `carried` is the beginning of an unfinished record."""

    def __init__(self, offset: int, dialect: Dialect) -> None:
        self._offset = offset
        self._dialect = dialect
        self._number, self._row = 0, 1
        self.carried = b""

    def chunk(self, buffer: bytes, found: FoundRecords) -> Chunk:
        """Return the records found at the buffer's start as a chunk."""
        data = buffer[: found.end]
        chunk = Chunk(self._number, data, self._row, self._offset, self._dialect, tuple(found.held))
        self._advance(found.records, found.end)
        return chunk

    def overlong(self, buffer: bytes) -> Chunk:
        """Return a chunk that stands for the overlong line at the buffer's start; `skip` goes past it."""
        head = buffer[: RAW_LIMIT + 1]
        chunk = Chunk(self._number, head, self._row, self._offset, self._dialect, overlong=True)
        self._advance(1, 0)
        return chunk

    def skip(self, buffer: bytes, *, final: bool) -> tuple[bool, bytes]:
        """Go to the next line; returns whether it is still to come, and the buffer from there."""
        limit = len(buffer) if final else len(buffer.rstrip(b"\r"))
        match = TERMINATOR.search(buffer, 0, limit)
        end = match.end() if match else limit
        self._offset += end
        return match is None, buffer[end:]

    def _advance(self, records: int, consumed: int) -> None:
        self._number += 1
        self._row += records
        self._offset += consumed


def _no_larger(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks of at most `BLOCK_BYTES`, none of them empty.

    Of the records in one block no other than the first can then be too long, which `RecordFinder` relies on.
    """
    for block in blocks:
        for start in range(0, len(block), BLOCK_BYTES):
            yield block if len(block) <= BLOCK_BYTES else block[start : start + BLOCK_BYTES]
