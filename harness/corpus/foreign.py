"""A user's own CSV: its columns, lines and records, counted independently of the cleaner.

The audit compares the pipeline with these counts, so nothing here shares code with `handlers.csv_split`: lines are
split by Python's text reader, and quotes are followed character by character, where the cleaner uses regular
expressions over blocks of bytes. The rules are those of docs/cleaning-rules.md.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from handlers.cleaning import column_names
from handlers.dialect import DialectError, parse_delimiter, parse_quotes
from harness.errors import UsageError

csv.field_size_limit(2**31 - 1)

_MOST_CHARACTERS = 8 * 1024 * 1024
"""A record of this many bytes is given up (docs/cleaning-rules.md)."""

_MOST_HELD = 64 * 1024
"""Bytes that are held back together behind a record with wrong quotes (docs/cleaning-rules.md)."""

_DELIMITERS = ",;\t|"

_BOM = "\u00ef\u00bb\u00bf"
"""A byte order mark, its bytes taken as Latin-1."""

_WHOLE, _OPEN, _WRONG = "whole", "open", "wrong"


@dataclass(frozen=True)
class ForeignSummary:
    """What is known of a file: its size in bytes, its physical lines with the header's, the column names as the
    pipeline gives them, the records after the header, and the delimiter.

    `undecided` says that the header leaves the delimiter open, so that the pipeline refuses the file.
    """

    file_bytes: int
    lines: int
    columns: tuple[str, ...]
    records: int
    delimiter: str = ","
    undecided: bool = False


def scan_foreign(path: Path, delimiter: str = "auto", quotes: str = "strict") -> ForeignSummary:
    """Count a CSV file's lines and records; `delimiter` and `quotes` are the template's parameters of these names.

    Bytes are taken as Latin-1, which never fails and keeps delimiters, quotes and line ends where they are. Raises
    UsageError for a file that cannot be read and for a parameter that is none.
    """
    try:
        known, strict = parse_delimiter(delimiter), parse_quotes(quotes)
    except DialectError as error:
        raise UsageError(str(error), hint="-p Delimiter=auto takes it from the header") from error
    try:
        with path.open("r", encoding="latin-1", newline="") as file:
            lines = _Lines(file)
            mark, header, undecided = _header(lines, known, strict)
            records = _count(lines, mark, strict, header.fields)
            return ForeignSummary(path.stat().st_size, lines.count, _names(header, mark), records, mark, undecided)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


class _Lines:
    """The lines of a file with their line ends, and a way to put some of them back. `count` is how many there were."""

    def __init__(self, file: Iterable[str]) -> None:
        self._lines = _physical_lines(file)
        self._ahead: deque[str] = deque()
        self.count = 0

    def next(self) -> str:
        """Return the next line, "" at the end."""
        if self._ahead:
            return self._ahead.popleft()
        line = next(self._lines, "")
        self.count += bool(line)
        return line

    def put_back(self, lines: list[str]) -> None:
        """Make lines the next ones again."""
        self._ahead.extendleft(reversed(lines))


def _physical_lines(file: Iterable[str]) -> Iterator[str]:
    """Yield lines as Python's text reader splits them, but CR, CR, LF ends one line and not two."""
    before = ""
    for line in file:
        if before and line == "\r\n":
            yield before + line
            before = ""
            continue
        if before:
            yield before
        before = line if line.endswith("\r") else ""
        if not before:
            yield line
    if before:
        yield before


@dataclass(frozen=True)
class _Record:
    """The lines of one record, none at the end of the file, what they are, and their number of fields."""

    state: str
    lines: list[str]
    fields: int

    @property
    def too_long(self) -> bool:
        return sum(map(len, self.lines)) - _line_end(self.lines[-1]) >= _MOST_CHARACTERS


def _line_end(line: str) -> int:
    return len(line) - len(line.rstrip("\r\n"))


class _Quotes:
    """Follows one record's quotes."""

    def __init__(self, delimiter: str, strict: bool) -> None:
        self._delimiter = delimiter
        self._strict = strict
        self._place = "start"
        self.fields = 1

    def feed(self, line: str) -> str:
        """Take one line; returns whether the record is whole, still open, or wrong."""
        for character in line:
            if self._place == "quoted":
                if character == '"':
                    self._place = "behind"
            elif character in "\r\n":
                return _WHOLE
            elif character == self._delimiter:
                self.fields += 1
                self._place = "start"
            elif character == '"' and self._place != "plain":
                self._place = "quoted"
            elif self._strict and (character == '"' or self._place == "behind"):
                return _WRONG
            else:
                self._place = "plain"
        return _OPEN if self._place == "quoted" else _WHOLE


def _next_record(lines: _Lines, delimiter: str, strict: bool) -> _Record:
    taken: list[str] = []
    quotes = _Quotes(delimiter, strict)
    size = 0
    while line := lines.next():
        taken.append(line)
        text = line if len(taken) > 1 else line.removeprefix(_BOM)
        if len(taken) == 1 and '"' not in text:
            return _Record(_WHOLE, taken, text.count(delimiter) + 1)
        state = quotes.feed(text)
        size += len(line)
        if state != _OPEN or size > _MOST_CHARACTERS:
            return _Record(state, taken, quotes.fields)
    return _Record(_OPEN, taken, 0)


def _count(lines: _Lines, delimiter: str, strict: bool, columns: int) -> int:
    """Return the number of records that are left."""
    records = 0
    while True:
        line = lines.next()
        if line and '"' not in line:
            # Nearly every line of nearly every file.
            records += 1
            continue
        lines.put_back([line])
        record = _next_record(lines, delimiter, strict)
        if not record.lines:
            return records
        records += 1
        if (record.state == _WHOLE or (record.state == _OPEN and not strict)) and not record.too_long:
            continue
        lines.put_back(record.lines)
        held = len(lines.next())
        if held >= _MOST_CHARACTERS:
            continue
        while held < _MOST_HELD:
            record = _next_record(lines, delimiter, strict)
            lines.put_back(record.lines)
            if not record.lines or len(record.lines[0]) >= _MOST_CHARACTERS:
                break
            if record.state == _WHOLE and record.fields == columns and not record.too_long:
                break
            held += len(lines.next())


def _header(lines: _Lines, delimiter: str, strict: bool) -> tuple[str, _Record, bool]:
    """Return the delimiter, the header, and whether it leaves the delimiter open."""
    first = lines.next()
    declared = first.removeprefix(_BOM).rstrip("\r\n").strip('"')
    if declared.lower().startswith("sep=") and len(declared) == len("sep=;"):
        delimiter = delimiter or declared[-1]
    else:
        lines.put_back([first])
    found: dict[str, _Record] = {}
    for mark in delimiter or _DELIMITERS:
        found[mark] = _next_record(lines, mark, strict)
        lines.put_back(found[mark].lines)
    whole = {mark: record for mark, record in found.items() if record.state == _WHOLE}
    several = [mark for mark, record in whole.items() if record.fields > 1]
    mark = next(iter(several or whole or found))
    for _ in found[mark].lines if whole else found[mark].lines[:1]:
        lines.next()
    return mark, found[mark], bool(first) and (len(several) > 1 or not whole)


def _names(header: _Record, delimiter: str) -> tuple[str, ...]:
    # The text was taken as Latin-1; a header that is not UTF-8 is rejected by the pipeline with the whole object.
    text = "".join(header.lines).removeprefix(_BOM).rstrip("\r\n")
    cells = next(csv.reader((text,), delimiter=delimiter), [])
    return column_names([cell.encode("latin-1").decode("utf-8", "replace") for cell in cells])
