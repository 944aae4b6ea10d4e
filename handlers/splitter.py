"""Cuts a stream of blocks into its header and chunks of whole records, in bounded memory. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from handlers.clean_worker import RAW_LIMIT, Chunk, reject
from handlers.cleaning import MAX_COLUMNS, Reason, column_names
from handlers.csv_split import RecordScanner, split_fields

BLOCK_BYTES = 4 * 1024 * 1024
"""One read and, but for its cut ends, one chunk: about 23,000 rows of 180 bytes. Memory grows with it, and so does
the number of processes with its inverse."""

MAX_RECORD_BYTES = 2 * BLOCK_BYTES
"""A record that is longer is rejected without being held. No record of over 1 MiB can be sent anyway."""

_BOM = b"\xef\xbb\xbf"
_FOREIGN_MAGIC = (b"\x1f\x8b", b"PK\x03\x04", b"\xff\xfe", b"\xfe\xff", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
"""How gzip, zip, UTF-16, bzip2, xz and zstandard files begin."""


class ObjectRejected(Exception):
    """The object as a whole is no CSV that can be cleaned; `line` is its quarantine line, with row number 0."""

    def __init__(self, reason: Reason, head: bytes) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.line = reject(0, 0, reason, head[:RAW_LIMIT])


def split_object(blocks: Iterator[bytes]) -> tuple[tuple[str, ...], Iterator[Chunk]]:
    """Return the column names and an iterator of chunks; no names for an empty object.

    Raises ObjectRejected for an object that is no CSV, or has too many columns.
    """
    splitter = _Splitter(blocks)
    header = splitter.header()
    return header, splitter.chunks() if header else iter(())


class _Splitter:
    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""
        self._offset = 0

    def header(self) -> tuple[str, ...]:
        """Read the header record and return the column names."""
        scanner = RecordScanner()
        head = b""
        end = -1
        for block in self._blocks:
            if not head:
                _check_first_block(block)
                self._offset = len(_BOM) if block.startswith(_BOM) else 0
            text = block if head else block.removeprefix(_BOM)
            found = scanner.feed(text)
            head += text
            if found.records:
                end = len(head) - len(text) + found.first
                break
            if len(head) > MAX_RECORD_BYTES:
                raise ObjectRejected(Reason.NOT_CSV, head)
        if not head:
            return ()
        record = head if end < 0 else head[:end]
        self._rest = b"" if end < 0 else head[end:]
        self._offset += len(record)
        return _columns(record, head)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks that follow the header."""
        scanner = RecordScanner()
        carry = _Carry(self._offset)
        number, row = 0, 1
        for block in self._with_rest():
            found = scanner.feed(block)
            if not found.records:
                carry.add(block)
                continue
            start = 0
            records = found.records
            if carry.skipping:
                yield carry.skipped(number, row, block[: found.first])
                number, row, start, records = number + 1, row + 1, found.first, records - 1
            if records:
                yield carry.chunk(number, row, block[start : found.last])
                number, row = number + 1, row + records
            carry.add(block[found.last :])
        if carry.skipping:
            yield carry.skipped(number, row, b"")
        elif carry.size:
            yield carry.chunk(number, row, b"", unterminated=scanner.in_quotes)

    def _with_rest(self) -> Iterator[bytes]:
        if self._rest:
            rest, self._rest = self._rest, b""
            yield rest
        yield from self._blocks


class _Carry:
    """The beginning of a record that has not ended yet; beyond `MAX_RECORD_BYTES` only its head is kept."""

    def __init__(self, offset: int) -> None:
        self._parts: list[bytes] = []
        self._offset = offset
        self.size = 0
        self.skipping = False

    def add(self, data: bytes) -> None:
        """Add bytes of the unfinished record."""
        if not data:
            return
        self.size += len(data)
        if self.skipping:
            return
        self._parts.append(data)
        if self.size > MAX_RECORD_BYTES:
            self.skipping = True
            self._parts = [b"".join(self._parts)[: RAW_LIMIT + 1]]

    def chunk(self, number: int, row: int, data: bytes, *, unterminated: bool = False) -> Chunk:
        """Return what was carried and `data` as a chunk, and start anew behind it."""
        whole = b"".join([*self._parts, data])
        chunk = Chunk(number, whole, row, self._offset, unterminated)
        self._restart(len(whole))
        return chunk

    def skipped(self, number: int, row: int, data: bytes) -> Chunk:
        """Return a chunk that stands for the overlong record, which ends with `data`."""
        chunk = Chunk(number, self._parts[0], row, self._offset, overlong=True)
        self._restart(self.size + len(data))
        return chunk

    def _restart(self, consumed: int) -> None:
        self._offset += consumed
        self._parts = []
        self.size = 0
        self.skipping = False


def _check_first_block(block: bytes) -> None:
    if block.startswith(_FOREIGN_MAGIC):
        raise ObjectRejected(Reason.NOT_CSV, block)
    line_end = block.find(b"\n")
    if b"\0" in block[: line_end if line_end >= 0 else len(block)]:
        raise ObjectRejected(Reason.NOT_CSV, block)


def _columns(record: bytes, head: bytes) -> tuple[str, ...]:
    try:
        text = record.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise ObjectRejected(Reason.NOT_CSV, head) from None
    cells = split_fields(text)
    if cells is None:
        raise ObjectRejected(Reason.NOT_CSV, head)
    if len(cells) > MAX_COLUMNS:
        raise ObjectRejected(Reason.TOO_MANY_COLUMNS, head)
    return column_names(cells)
