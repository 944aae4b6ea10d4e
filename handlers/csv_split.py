"""Finds record boundaries in CSV bytes, and splits records into fields. Pure.

The dialect is that of Python's `csv` with its defaults: fields are separated by commas, a quote is special only
at the start of a field, and a doubled quote inside a quoted field is a quote. A record ends with LF or CRLF
outside quotes. Only quotes are looked at one by one; everything between them is counted at C speed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

# Field sizes are bounded by the cleaning rules, not by the reader.
csv.field_size_limit(2**31 - 1)

_DELIMITER = re.compile(rb"[,\n]")
# A quoted field with its end in sight, which is nearly every one.
_CLOSED = re.compile(rb'"(?:[^"]|"")*+"(?=[,\n])')
_QUOTED = re.compile(r'"((?:[^"]|"")*+)"([^,]*)')
_PLAIN = re.compile(r"[^,]*")


class _State(Enum):
    FIELD_START = auto()
    IN_FIELD = auto()
    IN_QUOTED = auto()
    QUOTE_SEEN = auto()


@dataclass(frozen=True)
class Boundaries:
    """Records that end in a block: how many, and the positions just behind the first and the last of them."""

    records: int
    first: int
    last: int


class RecordScanner:
    """Follows the quoting of a stream of blocks and says where records end."""

    def __init__(self) -> None:
        self._state = _State.FIELD_START

    @property
    def in_quotes(self) -> bool:
        """Whether the stream so far ends inside a quoted field."""
        return self._state is _State.IN_QUOTED

    def feed(self, block: bytes) -> Boundaries:
        """Take the next block; returns the boundaries in it."""
        tally = _Tally(block)
        position, end = 0, len(block)
        while position < end:
            if self._state is _State.IN_QUOTED:
                quote = block.find(b'"', position)
                if quote < 0:
                    break
                self._state, position = _State.QUOTE_SEEN, quote + 1
            elif self._state is _State.QUOTE_SEEN:
                position = self._after_quote(block, position, tally)
            else:
                position = self._outside(block, position, tally)
        return Boundaries(tally.records, tally.first, tally.last)

    def _after_quote(self, block: bytes, position: int, tally: _Tally) -> int:
        character = block[position : position + 1]
        if character == b'"':
            self._state = _State.IN_QUOTED
        elif character == b",":
            self._state = _State.FIELD_START
        elif character == b"\n":
            tally.count(position, position + 1)
            self._state = _State.FIELD_START
        else:
            self._state = _State.IN_FIELD
        return position + 1

    def _outside(self, block: bytes, position: int, tally: _Tally) -> int:
        quote = block.find(b'"', position)
        stop = len(block) if quote < 0 else quote
        tally.count(position, stop)
        before = block[stop - 1 : stop] if stop > position else b""
        at_start = before in (b",", b"\n") or (not before and self._state is _State.FIELD_START)
        if quote < 0:
            self._state = _State.FIELD_START if at_start else _State.IN_FIELD
            return stop
        if at_start:
            closed = _CLOSED.match(block, quote)
            self._state = _State.IN_FIELD if closed else _State.IN_QUOTED
            return closed.end() if closed else quote + 1
        # A quote in the middle of a field is a character like any other, and so are those up to the next field.
        self._state = _State.IN_FIELD
        delimiter = _DELIMITER.search(block, quote + 1)
        return delimiter.start() if delimiter else len(block)


class _Tally:
    """Counts newlines in stretches of a block that lie outside quotes."""

    def __init__(self, block: bytes) -> None:
        self._block = block
        self.records = 0
        self.first = self.last = -1

    def count(self, start: int, stop: int) -> None:
        """Count the records that end between two positions."""
        number = self._block.count(b"\n", start, stop)
        if not number:
            return
        self.records += number
        self.last = self._block.rfind(b"\n", start, stop) + 1
        if self.first < 0:
            self.first = self._block.find(b"\n", start, stop) + 1


def records(chunk: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, record) for a chunk that begins at a record's start, terminators removed.

    The last record may lack its terminator.
    """
    scanner = RecordScanner()
    quoted = b'"' in chunk
    start = offset = 0
    # bytes.splitlines would also split at a lone CR, which is data.
    *lines, tail = chunk.split(b"\n")
    for line in lines:
        offset += len(line) + 1
        # Only lines with a quote, and those inside a quoted field, need a closer look.
        if quoted and (scanner.in_quotes or b'"' in line):
            if not scanner.feed(line + b"\n").records:
                continue
            line = chunk[start : offset - 1]  # noqa: PLW2901
        yield start, line[:-1] if line.endswith(b"\r") else line
        start = offset
    if tail or start < offset:
        yield start, chunk[start:].removesuffix(b"\r")


def split_complete(record: str) -> list[str]:
    """Return the fields of a record whose quotes are known to be closed."""
    if '"' not in record:
        return record.split(",")
    if "\r" not in record:
        return next(csv.reader((record,)))
    # To csv a carriage return ends a record; here it is data.
    fields = split_fields(record)
    if fields is None:
        raise AssertionError("the record ends inside a quoted field")
    return fields


def split_fields(record: str) -> list[str] | None:
    """Return a record's fields, unquoted; None when a quoted field is not closed."""
    if '"' not in record:
        return record.split(",")
    fields: list[str] = []
    position = 0
    while True:
        if record.startswith('"', position):
            match = _QUOTED.match(record, position)
            if match is None:
                return None
            fields.append(match.group(1).replace('""', '"') + match.group(2))
        else:
            match = _PLAIN.match(record, position)
            if match is None:
                raise AssertionError("an empty match is always possible")
            fields.append(match.group())
        position = match.end()
        if position >= len(record):
            return fields
        position += 1
