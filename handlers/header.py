"""Reads an object's head: is it a CSV, how is it written, what are its columns. Pure.

What the header does not decide is not guessed: the object is refused as a whole, with the reason and the way out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from handlers.cleaning import MAX_COLUMNS, Reason, clean_cell, column_names
from handlers.csv_split import BOM, MAX_RECORD_BYTES, TERMINATOR, Status, grammar, split_fields
from handlers.dialect import CANDIDATES, Dialect, separator_line
from handlers.quarantine import RAW_LIMIT, reject
from handlers.settings import Settings

_FOREIGN_MAGIC = (
    *(b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c", b"Rar!"),
    *(b"\xff\xfe", b"\xfe\xff"),
    *(b"%PDF", b"\xd0\xcf\x11\xe0", b"{\\rtf"),
    *(b"PAR1", b"ORC", b"Obj\x01", b"ARROW1", b"SQLite format 3\0"),
)
"""How archives, UTF-16 files, documents and binary tables begin."""

_MARKUP = re.compile(rb'\s*(?:<[A-Za-z!?]|\{\s*"|\{\s*\}|\[\s*[\[{"])')
"""How HTML, XML and JSON begin: error pages that were saved under the name of the file that was asked for."""

_SAMPLE_ROWS = 20
"""Rows that are compared with a header of one column."""

_FIX = "say which one it is with the Delimiter parameter, or quote the header's names"


class ObjectRejected(Exception):
    """The object as a whole is no CSV that can be cleaned; `line` is its quarantine line, with row number 0."""

    def __init__(self, reason: Reason, head: bytes, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail
        self.line = reject(0, 0, reason, head[:RAW_LIMIT], detail)


@dataclass(frozen=True)
class Header:
    """An object's columns and dialect, and the offset at which its first record begins."""

    columns: tuple[str, ...]
    dialect: Dialect
    end: int


def read_header(head: bytes, settings: Settings, *, final: bool) -> Header | None:
    """Return the header of an object that begins with `head`, or None where more of it is needed.

    `final` says that `head` is all there is. Raises ObjectRejected.
    """
    if head.startswith(_FOREIGN_MAGIC) or _MARKUP.match(head.removeprefix(BOM)):
        raise ObjectRejected(Reason.NOT_CSV, head)
    start = len(BOM) if head.startswith(BOM) else 0
    declared = separator_line(head[start : start + 16])
    if declared is not None:
        start += declared[1]
    record_end, fields, delimiter = _first_record(head, start, settings, declared, final=final)
    if fields is None:
        return None
    cells = [clean_cell(cell) for cell in fields]
    if not any(cells):
        raise ObjectRejected(Reason.BLANK_HEADER, head, "the first line is blank; remove it, the header comes first")
    if len(cells) > MAX_COLUMNS:
        raise ObjectRejected(Reason.TOO_MANY_COLUMNS, head, f"{len(cells)} columns, {MAX_COLUMNS} are allowed")
    terminator = TERMINATOR.match(head, record_end)
    end = terminator.end() if terminator else record_end
    dialect = Dialect(delimiter, settings.strict_quotes, tuple(cells))
    if len(cells) == 1 and not settings.delimiter and declared is None:
        _compare_with_rows(head, end)
    return Header(column_names(fields), dialect, end)


def _first_record(
    head: bytes, start: int, settings: Settings, declared: tuple[str, int] | None, *, final: bool
) -> tuple[int, list[str] | None, str]:
    """Return where the header's text ends, its fields, and the delimiter; no fields where more data is needed."""
    line = TERMINATOR.search(head, start)
    if b"\0" in head[start : line.start() if line else len(head)]:
        raise ObjectRejected(Reason.NOT_CSV, head, "the first line holds NUL bytes")
    known = settings.delimiter or (declared[0] if declared else "")
    limit = len(head) if final else len(head.rstrip(b"\r"))
    outcomes: dict[str, tuple[Status, int]] = {
        delimiter: grammar(delimiter, strict=settings.strict_quotes).attempt(head, start, limit, final=final)
        for delimiter in ((known,) if known else CANDIDATES)
    }
    whole = {delimiter: end for delimiter, (status, end) in outcomes.items() if status is Status.WHOLE}
    if not whole:
        statuses = {status for status, _ in outcomes.values()}
        if Status.OPEN in statuses and len(head) <= MAX_RECORD_BYTES:
            return 0, None, ""
        if Status.OPEN in statuses or Status.UNCLOSED in statuses:
            raise ObjectRejected(Reason.NOT_CSV, head, "the first line does not end, or a quote in it does not close")
        raise ObjectRejected(Reason.MALFORMED_QUOTES, head, "quotes in the header are misplaced")
    fields = {delimiter: _fields(head, start, end, delimiter) for delimiter, end in whole.items()}
    several = [delimiter for delimiter, found in fields.items() if len(found) > 1]
    if len(several) > 1:
        named = ", ".join(f"{len(fields[d])} columns by {Dialect(d).name}" for d in several)
        raise ObjectRejected(Reason.AMBIGUOUS_DELIMITER, head, f"the header has {named}: {_FIX}")
    delimiter = several[0] if several else next(iter(whole))
    return whole[delimiter], fields[delimiter], delimiter


def _fields(head: bytes, start: int, end: int, delimiter: str) -> list[str]:
    try:
        return split_fields(head[start:end].decode("utf-8"), delimiter)
    except UnicodeDecodeError:
        raise ObjectRejected(Reason.NOT_CSV, head, "the first line is not UTF-8") from None


def _compare_with_rows(head: bytes, end: int) -> None:
    """Refuse a header of one column over rows that agree on having more: a title, or a delimiter it does not show."""
    lines = [line for line in TERMINATOR.split(head[end:])[:-1] if line.strip()][:_SAMPLE_ROWS]
    if len(lines) < 2:
        return
    for delimiter in CANDIDATES:
        counts = {len(split_fields(line.decode("latin-1"), delimiter)) for line in lines}
        if len(counts) == 1 and counts != {1}:
            raise ObjectRejected(
                Reason.HEADER_MISMATCH,
                head,
                f"the first line is one column, the rows below it have {counts.pop()} by {Dialect(delimiter).name}: "
                "remove what stands above the header, or fix the delimiter with the Delimiter parameter",
            )
