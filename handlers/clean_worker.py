"""Cleans one chunk of an object: records in, message bodies and rejects out. Runs in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from handlers.cleaning import Reason, clean_cell, is_tidy
from handlers.csv_split import Held, records, split_fields
from handlers.dialect import PLAIN, Dialect
from handlers.quarantine import reject
from handlers.record_batch import Source, close, encode_head, encode_row, pack, row_limit
from handlers.settings import Settings


@dataclass(frozen=True)
class Job:
    """What is the same for all chunks of one object."""

    source: Source
    columns: tuple[str, ...]
    settings: Settings

    @cached_property
    def head(self) -> str:
        """The head of every record batch of the object."""
        return encode_head(self.source.source_id, self.columns, self.source)

    @cached_property
    def row_limit(self) -> int:
        """Bytes that one encoded row may take."""
        return row_limit(self.head)


@dataclass(frozen=True)
class Chunk:
    """A run of whole records. `first_row` is the number of its first record, `offset` its place in the object.

    `held` are the stretches of `data` that are rejected for their quotes, each of them one record; `overlong` says
    that `data` is the head of a single line too long to be held.
    """

    number: int
    data: bytes
    first_row: int
    offset: int
    dialect: Dialect = PLAIN
    held: tuple[Held, ...] = ()
    overlong: bool = False

    def records(self) -> Iterator[tuple[int, bytes, Reason | None]]:
        """Yield (offset in `data`, record, why it is held back if it is); rejected lines keep their line ends."""
        if self.overlong:
            yield 0, self.data, Reason.ROW_TOO_LARGE
            return
        position = 0
        for held in self.held:
            for offset, record in records(self.data[position : held.start], self.dialect):
                yield position + offset, record, None
            reason = Reason.UNTERMINATED_QUOTE if held.unclosed else Reason.MALFORMED_QUOTES
            yield held.start, self.data[held.start : held.end], reason
            position = held.end
        for offset, record in records(self.data[position:] if position else self.data, self.dialect):
            yield position + offset, record, None

    def halves(self) -> tuple[Chunk, ...]:
        """Return two chunks with half of the records each; the chunk alone where it has only one."""
        offsets = [offset for offset, _, _ in self.records()]
        if len(offsets) < 2:
            return (self,)
        middle = len(offsets) // 2
        cut = offsets[middle]
        first = replace(self, data=self.data[:cut], held=tuple(h for h in self.held if h.start < cut))
        second = replace(
            self,
            data=self.data[cut:],
            first_row=self.first_row + middle,
            offset=self.offset + cut,
            held=tuple(replace(h, start=h.start - cut, end=h.end - cut) for h in self.held if h.start >= cut),
        )
        return first, second


@dataclass
class Cleaned:
    """Counts of one chunk, and its rejects as JSON lines."""

    rows: int = 0
    rows_ok: int = 0
    messages: int = 0
    message_bytes: int = 0
    rejects: list[str] = field(default_factory=list)

    def add(self, other: Cleaned) -> None:
        """Add what another chunk gave."""
        self.rows += other.rows
        self.rows_ok += other.rows_ok
        self.messages += other.messages
        self.message_bytes += other.message_bytes
        self.rejects += other.rejects


def message_bodies(chunk: Chunk, job: Job, cleaned: Cleaned) -> Iterator[str]:
    """Yield a chunk's record batches as message bodies, filling in `cleaned` on the way."""
    settings = job.settings
    rows = clean_rows(chunk, job, cleaned)
    for group in pack(rows, len(job.head), settings.rows_per_message, settings.max_message_bytes):
        cleaned.rows_ok += len(group)
        cleaned.messages += 1
        body = close(job.head, group)
        cleaned.message_bytes += len(body)
        yield body


def clean_rows(chunk: Chunk, job: Job, cleaned: Cleaned) -> Iterator[str]:
    """Yield the encoded rows of a chunk that can be cleaned; the others become rejects.

    Most rows of real files need no cleaning. For those one look at the whole line replaces sixteen at its cells,
    and putting quotes around its delimiters makes it JSON; everything else takes the exact way.
    """
    dialect = chunk.dialect
    delimiter = dialect.delimiter
    space_before, space_behind = f" {delimiter}", f"{delimiter} "
    tab = delimiter == "\t"
    header = delimiter.join(dialect.header)
    delimiters = len(job.columns) - 1
    # No field of a line this short can be too large, nor its row, whatever its characters.
    short = min(job.settings.max_field_bytes, job.row_limit // 2) // 4
    row = chunk.first_row - 1
    for offset, record, reason in chunk.records():
        row += 1
        try:
            text = record.decode("utf-8")
        except UnicodeDecodeError:
            reason = reason if chunk.overlong else Reason.UNDECODABLE_BYTES  # noqa: PLW2901
        if reason is not None:
            cleaned.rejects.append(reject(row, chunk.offset + offset, reason, record))
            continue
        if (
            len(text) <= short
            and text[:1] != " "
            and text[-1:] != " "
            and is_tidy(text.replace("\t", ",") if tab else text)
        ):
            if '"' not in text:
                plain = "\\" not in text and space_before not in text and space_behind not in text and text != header
                if plain and text.count(delimiter) == delimiters and text.strip(delimiter):
                    yield f'[{row},"{text.replace(delimiter, _QUOTED_COMMA)}"]'
                    continue
            # A quoted tab is no delimiter, and not tidy.
            elif not tab and (encoded := _encode_quoted(row, text, dialect, delimiters)) is not None:
                yield encoded
                continue
        outcome = clean_record(row, text, job, dialect)
        if isinstance(outcome, Reason):
            cleaned.rejects.append(reject(row, chunk.offset + offset, outcome, record))
        else:
            yield outcome
    cleaned.rows += row - chunk.first_row + 1


def _encode_quoted(row: int, text: str, dialect: Dialect, delimiters: int) -> str | None:
    """Return a tidy record with quotes encoded; None where a closer look is needed after all."""
    cells = [field.strip() for field in split_fields(text, dialect.delimiter)]
    if len(cells) != delimiters + 1 or not any(cells) or tuple(cells) == dialect.header:
        return None
    encoded = encode_row(row, cells)
    # Text before and after a closing quote may have brought two spaces together.
    return encoded if "  " not in encoded else None


_QUOTED_COMMA = '","'


def clean_record(row: int, text: str, job: Job, dialect: Dialect) -> str | Reason:
    """Return one record cleaned and encoded, or the reason for which it is rejected."""
    fields = split_fields(text.removeprefix("\ufeff"), dialect.delimiter)
    cells = [f if is_tidy(f) and f[:1] != " " and f[-1:] != " " else clean_cell(f) for f in fields]
    if not any(cells):
        return Reason.EMPTY_ROW
    if len(fields) != len(job.columns):
        return Reason.WRONG_ARITY
    if tuple(cells) == dialect.header:
        return Reason.REPEATED_HEADER
    limit = job.settings.max_field_bytes
    if any(len(f) * 4 > limit and len(f.encode("utf-8")) > limit for f in fields):
        return Reason.FIELD_TOO_LARGE
    encoded = encode_row(row, cells)
    if len(encoded) * 4 > job.row_limit and len(encoded.encode("utf-8")) > job.row_limit:
        return Reason.ROW_TOO_LARGE
    return encoded
