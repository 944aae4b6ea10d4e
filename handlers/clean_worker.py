"""Cleans one chunk of an object: records in, message bodies and rejects out. Runs in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from handlers.cleaning import Reason, clean_cell, is_tidy
from handlers.csv_split import records, split_complete
from handlers.record_batch import ROW_LIMIT, Source, close, encode_head, encode_row, pack
from handlers.settings import Settings

RAW_LIMIT = 64 * 1024
"""Bytes of a rejected record that are kept in quarantine; enough to find it in the object by its offset."""


@dataclass(frozen=True)
class Job:
    """What is the same for all chunks of one object."""

    source: Source
    columns: tuple[str, ...]
    settings: Settings


@dataclass(frozen=True)
class Chunk:
    """A run of whole records. `first_row` is the number of its first record, `offset` its place in the object.

    `unterminated` says that the last record ends inside a quoted field, which only the end of the object can do;
    `overlong` that `data` is the head of a single record too long to be held.
    """

    number: int
    data: bytes
    first_row: int
    offset: int
    unterminated: bool = False
    overlong: bool = False


@dataclass
class Cleaned:
    """Counts of one chunk, and its rejects as JSON lines."""

    rows: int = 0
    rows_ok: int = 0
    messages: int = 0
    message_bytes: int = 0
    rejects: list[str] = field(default_factory=list)


def reject(row: int, offset: int, reason: Reason, raw: bytes) -> str:
    """Return a quarantine line: row number, byte offset, reason, and the raw bytes escaped."""
    line = {
        "row": row,
        "offset": offset,
        "reason": reason.value,
        "raw": raw[:RAW_LIMIT].decode("utf-8", "backslashreplace"),
    }
    if len(raw) > RAW_LIMIT:
        line["truncated"] = True
    return json.dumps(line, ensure_ascii=True, separators=(",", ":"))


def message_bodies(chunk: Chunk, job: Job, cleaned: Cleaned) -> Iterator[str]:
    """Yield a chunk's record batches as message bodies, filling in `cleaned` on the way."""
    head = encode_head(job.source.source_id, job.columns, job.source)
    size = len(head.encode("utf-8"))
    settings = job.settings
    rows = clean_rows(chunk, job, cleaned)
    for group in pack(rows, size, settings.rows_per_message, settings.max_message_bytes):
        cleaned.rows_ok += len(group)
        cleaned.messages += 1
        body = close(head, group)
        cleaned.message_bytes += len(body)
        yield body


def clean_rows(chunk: Chunk, job: Job, cleaned: Cleaned) -> Iterator[str]:
    """Yield the encoded rows of a chunk that can be cleaned; the others become rejects.

    Most rows of real files need no cleaning. For those one look at the whole line replaces sixteen at its cells,
    and putting quotes around its commas makes it JSON; everything else takes the exact way.
    """
    if chunk.overlong:
        cleaned.rows += 1
        cleaned.rejects.append(reject(chunk.first_row, chunk.offset, Reason.ROW_TOO_LARGE, chunk.data))
        return
    commas = len(job.columns) - 1
    # No field of a line this short can be too large, whatever its characters.
    short = min(job.settings.max_field_bytes, ROW_LIMIT // 2) // 4
    row = chunk.first_row - 1
    last_offset = -1
    if chunk.unterminated:
        last_offset = max((offset for offset, _ in records(chunk.data)), default=-1)
    for offset, record in records(chunk.data):
        row += 1
        try:
            text = record.decode("utf-8")
        except UnicodeDecodeError:
            cleaned.rejects.append(reject(row, chunk.offset + offset, Reason.UNDECODABLE_BYTES, record))
            continue
        if len(text) <= short and text[:1] != " " and text[-1:] != " " and is_tidy(text) and offset != last_offset:
            if '"' not in text:
                plain = "\\" not in text and " ," not in text and ", " not in text
                if plain and text.count(",") == commas and text.strip(","):
                    yield f'[{row},"{text.replace(",", _QUOTED_COMMA)}"]'
                    continue
            elif (encoded := _encode_quoted(row, text, commas)) is not None:
                yield encoded
                continue
        outcome = clean_record(row, text, job, unterminated=offset == last_offset)
        if isinstance(outcome, Reason):
            cleaned.rejects.append(reject(row, chunk.offset + offset, outcome, record))
        else:
            yield outcome
    cleaned.rows += row - chunk.first_row + 1


def _encode_quoted(row: int, text: str, commas: int) -> str | None:
    """Return a tidy record with quotes encoded; None where a closer look is needed after all."""
    cells = [field.strip() for field in split_complete(text)]
    if len(cells) != commas + 1 or not any(cells):
        return None
    encoded = encode_row(row, cells)
    # Text before and after a closing quote may have brought two spaces together.
    return encoded if "  " not in encoded else None


_QUOTED_COMMA = '","'


def clean_record(row: int, text: str, job: Job, *, unterminated: bool = False) -> str | Reason:
    """Return one record cleaned and encoded, or the reason for which it is rejected."""
    if unterminated:
        return Reason.UNTERMINATED_QUOTE
    fields = split_complete(text)
    cells = [f if is_tidy(f) and f[:1] != " " and f[-1:] != " " else clean_cell(f) for f in fields]
    if not any(cells):
        return Reason.EMPTY_ROW
    if len(fields) != len(job.columns):
        return Reason.WRONG_ARITY
    limit = job.settings.max_field_bytes
    if any(len(f) * 4 > limit and len(f.encode("utf-8")) > limit for f in fields):
        return Reason.FIELD_TOO_LARGE
    encoded = encode_row(row, cells)
    if len(encoded) * 4 > ROW_LIMIT and len(encoded.encode("utf-8")) > ROW_LIMIT:
        return Reason.ROW_TOO_LARGE
    return encoded
