"""A user's own CSV: its columns, and how many records it holds, counted independently of the cleaner."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handlers.cleaning import column_names
from harness.errors import UsageError

_FIELD_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class ForeignSummary:
    """Size in bytes, column names as the pipeline gives them, and the number of records after the header."""

    file_bytes: int
    columns: tuple[str, ...]
    records: int


def scan_foreign(path: Path) -> ForeignSummary:
    """Count the records of a CSV file with the standard library's reader; raises UsageError.

    Bytes are taken as Latin-1, which never fails and keeps commas, quotes and line ends where they are. The
    reader takes a lone carriage return for the end of a record; to the pipeline it is data, so it is masked.
    """
    try:
        csv.field_size_limit(_FIELD_LIMIT)
        with path.open("r", encoding="latin-1", newline="\n") as lines:
            reader = csv.reader(_masked(lines))
            header = next(reader, None)
            records = sum(1 for _ in reader)
        return ForeignSummary(path.stat().st_size, _names(header), records)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except csv.Error as error:
        raise UsageError(f"{path} cannot be counted as CSV: {error}") from error


def _masked(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line.replace("\r", " ").replace("\0", " ")


def _names(header: list[str] | None) -> tuple[str, ...]:
    if not header:
        return ()
    # The reader saw Latin-1; a header that is not UTF-8 is rejected by the pipeline with the whole object.
    cells = [cell.encode("latin-1").decode("utf-8", "replace") for cell in header]
    return column_names(cells)
