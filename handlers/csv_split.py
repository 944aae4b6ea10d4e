"""Finds record boundaries in CSV bytes, and splits records into fields. Pure.

A record ends with LF, CRLF or CR outside quotes; CRCRLF, which writing CRLF in text mode leaves, ends one record
too. What quotes mean is the dialect's (`handlers.dialect`). A well-formed stretch is recognised by one regular
expression, so only what is wrong costs a look in Python.

A record that breaks the strict rule gives no hint of where it ends: its quotes are what is wrong. It is held back
from its first line to the line before the next one that is a record with as many fields as the header.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from itertools import repeat

from handlers.dialect import Dialect

# Field sizes are bounded by the cleaning rules, not by the reader.
csv.field_size_limit(2**31 - 1)

MAX_RECORD_BYTES = 8 * 1024 * 1024
"""A record whose end is not found within this many bytes is given up. No record of over 1 MiB can be sent anyway."""

MAX_HELD_BYTES = 64 * 1024
"""Lines held back together after a record with wrong quotes; more of them make another reject, so that each is kept
whole in quarantine."""

BOM = b"\xef\xbb\xbf"

TERMINATOR = re.compile(rb"\r?\r\n|\n|\r")
_TERMINATOR_KEPT = re.compile(b"(" + TERMINATOR.pattern + b")")

_QUOTE = ord('"')
_QUOTED = rb'"[^"]*+(?:""[^"]*+)*+"'
_QUOTED_FIELD = re.compile(_QUOTED)


def count_terminators(data: bytes, start: int = 0, stop: int | None = None) -> int:
    """Return how many line ends there are in `data[start:stop]`, inside quotes or not."""
    end = len(data) if stop is None else stop
    number = data.count(b"\n", start, end)
    if data.find(b"\r", start, end) >= 0:
        number += data.count(b"\r", start, end) - data.count(b"\r\n", start, end) - data.count(b"\r\r\n", start, end)
    return number


class Status(Enum):
    """What one record turned out to be."""

    WHOLE = auto()
    OPEN = auto()
    """More data may end it."""
    UNCLOSED = auto()
    """A quote in it is not closed before the data ends, or it is longer than `MAX_RECORD_BYTES`."""
    BROKEN = auto()
    """A quote stands where the dialect allows none, or text behind a closing one."""


@dataclass(frozen=True)
class Grammar:
    """The regular expressions of one dialect; `grammar` makes them.

    `well_formed` matches as much data as is right, and stops at the first quote that is wrong, or not closed yet;
    `well_formed_to_end` takes the end of the data for the end of a field. `fields` matches one record, `enclosed` a
    quoted field and its dialect's text behind it, `opening` the place of a quote that opens a field.
    """

    well_formed: re.Pattern[bytes]
    well_formed_to_end: re.Pattern[bytes]
    fields: re.Pattern[bytes]
    enclosed: re.Pattern[bytes]
    opening: re.Pattern[bytes]

    def attempt(self, data: bytes, start: int, limit: int, *, final: bool) -> tuple[Status, int]:
        """Return what the record at `start` is, and where its text ends if it is whole, line end not included.

        `limit` is where the data ends, and `final` says that nothing follows it.
        """
        stop = min(limit, start + MAX_RECORD_BYTES)
        unfinished = Status.UNCLOSED if final or stop < limit else Status.OPEN
        match = self.fields.match(data, start, stop)
        if match is None:
            raise AssertionError("an empty match is always possible")
        end = match.end()
        if end == stop:
            return (Status.WHOLE if final and stop == limit else unfinished), end
        if data[end] != _QUOTE:
            return Status.WHOLE, end
        # What stopped the match is a quote: misplaced, not closed, or closed with text behind it.
        if self.opening.match(data, end) is None:
            return Status.BROKEN, end
        closed = _QUOTED_FIELD.match(data, end, stop)
        if closed is None or (closed.end() == stop and unfinished is Status.OPEN):
            return unfinished, end
        return (unfinished if closed.end() == stop < limit else Status.BROKEN), end


def _repeated(expression: bytes) -> bytes:
    """Return an expression for as many of these as there are, possessively.

    The atomic group inside changes no match. Without it Python before 3.11.5 keeps what a failed last repetition had
    read already (CPython issue 106052), and a record ends where none does.
    """
    return b"(?:(?>" + expression + b"))*+"


@cache
def grammar(delimiter: str, *, strict: bool) -> Grammar:
    """Return the regular expressions for a delimiter of one ASCII character."""
    mark = re.escape(delimiter.encode("ascii"))
    end, inner = b"[" + mark + rb"\r\n]", b"[^" + mark + rb"\r\n]"
    # A file may begin with a byte order mark, and so may one that was joined to it.
    opening = rb"(?:(?<!" + inner + rb")|(?<=[\r\n]\xef\xbb\xbf)|(?<=\A\xef\xbb\xbf))"
    if strict:
        enclosed, enclosed_to_end = _QUOTED + b"(?=" + end + b")", _QUOTED + b"(?=" + end + rb"|\Z)"
        plain, stray = b'[^"' + mark + rb"\r\n]*+", b""
    else:
        enclosed, enclosed_to_end = _QUOTED + rb"(?!\Z)" + inner + b"*+", _QUOTED + inner + b"*+"
        plain, stray = b'(?!")' + inner + b"*+|", b"|(?!" + opening + b')"' + inner + b"*+"
    one = b"(?:" + enclosed_to_end + b"|" + plain + b")"
    return Grammar(
        well_formed=re.compile(_repeated(b'[^"]*+(?:' + opening + enclosed + stray + b")") + b'[^"]*+'),
        well_formed_to_end=re.compile(_repeated(b'[^"]*+(?:' + opening + enclosed_to_end + stray + b")") + b'[^"]*+'),
        fields=re.compile(rb"(?:\xef\xbb\xbf)?+" + one + _repeated(mark + one)),
        enclosed=re.compile((b"" if strict else opening) + _QUOTED + (b"" if strict else inner + b"*+")),
        opening=re.compile(opening),
    )


@dataclass(frozen=True)
class Held:
    """A stretch `[start, end)` of data that is held back as one record. `unclosed` says that a quote in it is never
    closed, otherwise its quotes are misplaced."""

    start: int
    end: int
    unclosed: bool


@dataclass
class FoundRecords:
    """Records found in a buffer: how many, held ones included, and where the last of them ends.

    `overlong` says that what follows is a line of more than `MAX_RECORD_BYTES`.
    """

    records: int = 0
    end: int = 0
    held: list[Held] = field(default_factory=list)
    overlong: bool = False


class RecordFinder:
    """Finds the records of a table with `columns` fields in a buffer that begins at a record's start.

    What it says of a record depends on that record and at most `MAX_RECORD_BYTES` behind it, never on where buffers
    end, so a retry finds the same rows under the same numbers. That needs buffers of one unfinished record and at
    most `MAX_RECORD_BYTES` of new data.
    """

    def __init__(self, dialect: Dialect, columns: int) -> None:
        self._dialect = dialect
        self._grammar = grammar(dialect.delimiter, strict=dialect.strict)
        self._columns = columns

    def find(self, data: bytes, *, final: bool) -> FoundRecords:
        """Return the records that end in `data`; `final` says that nothing follows it."""
        found = FoundRecords()
        # A carriage return at the very end may be a part of a longer line end.
        limit = len(data) if final else len(data.rstrip(b"\r"))
        pattern = self._grammar.well_formed_to_end if final else self._grammar.well_formed
        while found.end < limit:
            status, _ = self._grammar.attempt(data, found.end, limit, final=final)
            if status is Status.WHOLE:
                match = pattern.match(data, found.end, limit)
                if match is None:
                    raise AssertionError("an empty match is always possible")
                records, found.end = self._cut(data, found.end, match.end())
                found.records += records
                if records:
                    continue
                # Only the object's last record needs no line end.
                found.records, found.end = found.records + 1, limit
            elif status is Status.OPEN or not self._hold(data, limit, found, status, final=final):
                break
        return found

    def _cut(self, data: bytes, start: int, stop: int) -> tuple[int, int]:
        """Return how many records end in a well-formed stretch, and where the last of them ends."""
        records = count_terminators(data, start, stop)
        at = stop
        spans = [match.span() for match in self._grammar.enclosed.finditer(data, start, stop)]
        records -= sum(count_terminators(data, *span) for span in spans)
        if not records:
            return 0, start
        for opened, closed in reversed(spans):
            last = max(data.rfind(b"\n", closed, at), data.rfind(b"\r", closed, at))
            if last >= 0:
                return records, last + 1
            at = opened
        return records, max(data.rfind(b"\n", start, at), data.rfind(b"\r", start, at)) + 1

    def _hold(self, data: bytes, limit: int, found: FoundRecords, status: Status, *, final: bool) -> bool:
        """Hold back the record at `found.end`; False where what follows is needed to say how much of it.

        It ends where a record with as many fields as the header begins, where `MAX_HELD_BYTES` are reached, and
        where the next line is itself too long to be held.
        """
        start = found.end
        unclosed = status is Status.UNCLOSED
        stop = limit
        if self._dialect.strict or limit - start > MAX_RECORD_BYTES:
            line = self._next_line(data, start, limit, final=final)
            if line is None:
                found.overlong = limit - start > MAX_RECORD_BYTES
                return False
            while line < limit and line - start < MAX_HELD_BYTES:
                status, end = self._grammar.attempt(data, line, limit, final=final)
                if status is Status.OPEN:
                    return False
                if status is Status.WHOLE and self._fits(data[line:end]):
                    break
                following = self._next_line(data, line, limit, final=final)
                if following is None:
                    if limit - line > MAX_RECORD_BYTES:
                        break
                    return False
                line = following
            if line == limit and not final:
                return False
            stop = line
        found.held.append(Held(start, stop, unclosed))
        found.records += 1
        found.end = stop
        return True

    @staticmethod
    def _next_line(data: bytes, start: int, limit: int, *, final: bool) -> int | None:
        """Return where the line behind the one at `start` begins; None where that is not known, or too far."""
        match = TERMINATOR.search(data, start, min(limit, start + MAX_RECORD_BYTES))
        if match is not None:
            return match.end()
        return limit if final and limit - start <= MAX_RECORD_BYTES else None

    def _fits(self, record: bytes) -> bool:
        fields = split_fields(record.removeprefix(BOM).decode("latin-1"), self._dialect.delimiter)
        return len(fields) == self._columns


def records(data: bytes, dialect: Dialect) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, record) for well-formed data that begins at a record's start, line ends removed.

    The last record may lack its line end.
    """
    lines, widths = _lines(data)
    tail = lines.pop()
    quoted = b'"' in data
    fields = None if dialect.strict else grammar(dialect.delimiter, strict=dialect.strict).fields
    start = offset = 0
    inside = False
    for line, width in zip(lines, widths, strict=False):
        offset += len(line) + width
        # Only lines with a quote, and those inside a quoted field, need a closer look.
        if quoted and (inside or b'"' in line):
            if fields is None:
                # In well-formed data every second quote closes a field.
                inside ^= bool(line.count(b'"') & 1)
            else:
                match = fields.match(data, start)
                inside = match is not None and match.end() > offset - width
            if inside:
                continue
            yield start, data[start : offset - width]
        else:
            yield start, line
        start = offset
    if tail or start < offset:
        yield start, data[start:]


def _lines(data: bytes) -> tuple[list[bytes], Iterable[int]]:
    """Return the lines of data, what follows the last line end among them, and the widths of the line ends."""
    returns = data.count(b"\r")
    if not returns:
        return data.split(b"\n"), repeat(1)
    feeds = data.count(b"\n")
    if not feeds:
        return data.split(b"\r"), repeat(1)
    if returns == feeds == data.count(b"\r\n"):
        return data.split(b"\r\n"), repeat(2)
    lines: list[bytes] = []
    widths: list[int] = []
    *ended, tail = data.split(b"\n")
    for line in ended:
        at = line.find(b"\r")
        if at < 0:
            lines.append(line)
            widths.append(1)
        elif at == len(line) - 1:
            lines.append(line[:-1])
            widths.append(2)
        else:
            parts = _TERMINATOR_KEPT.split(line + b"\n")
            lines += parts[:-1:2]
            widths += map(len, parts[1::2])
    *ended, tail = tail.split(b"\r")
    lines += ended
    widths += repeat(1, len(ended))
    return [*lines, tail], widths


def split_fields(record: str, delimiter: str) -> list[str]:
    """Return the fields of a well-formed record, unquoted."""
    if '"' not in record:
        return record.split(delimiter)
    return next(csv.reader((record,), delimiter=delimiter))
