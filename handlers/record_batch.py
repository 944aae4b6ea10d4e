"""Record batches: how rows travel between the stages, and how every row is named.

A record batch is the body of one SQS message: the object the rows come from, the column names once, and the rows
as arrays that begin with their row number. The format is versioned JSON, documented in docs/architecture.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from json.encoder import encode_basestring as quote
from typing import Any

VERSION = 1

SQS_MESSAGE_LIMIT = 1024 * 1024
"""Bytes of one message and of one SendMessageBatch (Amazon SQS quotas, since August 2025)."""

LATER_BYTES = 4 * 1024
"""Bytes of a message that are kept free for what later stages add to a row: processed attributes, or why it failed."""

KEY = "record_id"
STATUS = "_status"
INSERTED_AT = "_inserted_at"
PROCESSED_AT = "_processed_at"
AMOUNT_MINOR = "_amount_minor"
AMOUNT_BASE = "_amount_base"
RISK_BAND = "_risk_band"
INSERTED = "inserted"
PROCESSED = "processed"

NUMBER_ATTRIBUTES = frozenset({AMOUNT_MINOR, AMOUNT_BASE})
"""Item attributes of type N; every other one is a string. CSV columns never begin with an underscore."""

Row = list[Any]
"""[row number, cell, cell, ...] with one cell per column."""


def utc_now() -> str:
    """Return the current time as stored in items: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class RecordBatchError(ValueError):
    """A message body is not a record batch of a version known here."""


@dataclass(frozen=True)
class Source:
    """One version of one S3 object. `version` is its VersionId, or its ETag in an unversioned bucket."""

    bucket: str
    key: str
    version: str

    @property
    def source_id(self) -> str:
        """Return the 16 hex digits that name this source in every record id: the same for every retry."""
        return blake2b(f"{self.bucket}/{self.key}/{self.version}".encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class RowError:
    """Why rows are in a message of their own: the stage that refused them, its reason, and details."""

    stage: str
    reason: str
    detail: str


@dataclass(frozen=True)
class RecordBatch:
    """Rows of one source. `source` is None after the stream, where only `source_id` is known."""

    source_id: str
    columns: tuple[str, ...]
    rows: list[Row]
    source: Source | None = None
    error: RowError | None = None


def record_id(source_id: str, row: int) -> str:
    """Return a row's identity; `row` counts the data records of the object from 1."""
    return f"{source_id}#{row}"


def parse_record_id(identity: str) -> tuple[str, int]:
    """Return source id and row number; raises RecordBatchError for anything else."""
    source_id, _, row = identity.partition("#")
    if not source_id or not (row.isascii() and row.isdigit()):
        raise RecordBatchError(f"record id {identity[:80]!r} is not <source id>#<row number>")
    return source_id, int(row)


def encode_row(row: int, cells: Iterable[str]) -> str:
    """Return one row as JSON text."""
    return f"[{row},{','.join(map(quote, cells))}]"


@lru_cache(maxsize=16)
def encode_head(
    source_id: str, columns: tuple[str, ...], source: Source | None = None, error: RowError | None = None
) -> str:
    """Return a batch's JSON text up to its first row, in ASCII; `close` ends it.

    The messages of an invocation mostly have the same: one row a message, encoding it took a tenth of `process`.
    """
    head: dict[str, Any] = {"v": VERSION, "source": {"id": source_id}, "columns": list(columns)}
    if source is not None:
        head["source"] |= {"bucket": source.bucket, "key": source.key, "version": source.version}
    if error is not None:
        head["error"] = {"stage": error.stage, "reason": error.reason, "detail": error.detail}
    # ASCII, because an object's key may hold characters that SQS refuses.
    return json.dumps(head, separators=(",", ":"))[:-1] + ',"rows":['


def row_limit(head: str) -> int:
    """Return how many bytes one encoded row may take in a message that begins with `encode_head`'s text."""
    return SQS_MESSAGE_LIMIT - len(head) - len("]}") - LATER_BYTES


def close(head: str, rows: Iterable[str]) -> str:
    """Return the whole message body from `encode_head`'s text and rows encoded by `encode_row`."""
    return f"{head}{','.join(rows)}]}}"


def encode(batch: RecordBatch) -> str:
    """Return a batch as a message body."""
    head = encode_head(batch.source_id, batch.columns, batch.source, batch.error)
    return close(head, [encode_row(row[0], row[1:]) for row in batch.rows])


def decode(body: str) -> RecordBatch:
    """Return the batch in a message body; raises RecordBatchError for anything malformed."""
    try:
        data = json.loads(body)
        if type(data) is not dict:
            raise RecordBatchError(f"not a record batch: a JSON {type(data).__name__}")
        escapes = "\\u" in body
        version = data["v"]
        if version != VERSION:
            raise RecordBatchError(f"record batch version {str(version)[:40]!r} is not {VERSION}")
        source = data["source"]
        columns = tuple(data["columns"])
        rows: list[Row] = data["rows"]
        if type(source["id"]) is not str or type(data["columns"]) is not list or type(rows) is not list:
            raise RecordBatchError("source id, columns or rows have the wrong type")
        if not _all_strings(data["columns"], escapes):
            raise RecordBatchError("a column's name is not a string")
        width = len(columns) + 1
        for row in rows:
            if len(row) != width or type(row[0]) is not int:
                raise RecordBatchError(f"a row has {len(row)} fields, {width} are needed")
            if not _all_strings(row[1:], escapes):
                raise RecordBatchError("a cell is no string, or holds half of a surrogate pair")
        known = None
        if "bucket" in source:
            known = Source(source["bucket"], source["key"], source["version"])
            if not _all_strings([known.bucket, known.key, known.version], escapes):
                raise RecordBatchError("bucket, key or version is not a string")
        error = RowError(**data["error"]) if "error" in data else None
        if error is not None and not _all_strings([error.stage, error.reason, error.detail], escapes):
            raise RecordBatchError("stage, reason or detail of the error is not a string")
        return RecordBatch(source["id"], columns, rows, known, error)
    except RecordBatchError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise RecordBatchError(f"not a record batch: {type(problem).__name__}: {problem}") from problem


def _all_strings(cells: list[Any], escapes: bool) -> bool:
    try:
        text = "".join(cells)
        if escapes:
            # Only an escape can smuggle in half of a surrogate pair, which no later call could encode.
            text.encode("utf-8")
    except (TypeError, UnicodeEncodeError):
        return False
    return True


def pack(rows: Iterable[str], head_bytes: int, max_rows: int, max_bytes: int) -> Iterator[list[str]]:
    """Group encoded rows into messages of at most `max_rows` rows and `max_bytes` UTF-8 bytes.

    A row that is larger on its own gets a message of its own. `head_bytes` is the size of the batch's head.
    """
    group: list[str] = []
    # The batch's end takes two bytes, and there is one comma fewer than rows.
    empty = head_bytes + 1
    size = empty
    for row in rows:
        # A character takes at most four bytes: their exact number matters only near the limit.
        cost = 1 + len(row)
        if size + 4 * cost > max_bytes:
            size = empty + sum(1 + len(r.encode("utf-8")) for r in group)
            cost = 1 + len(row.encode("utf-8"))
            if group and size + cost > max_bytes:
                yield group
                group, size = [], empty
        else:
            cost *= 4
        if len(group) >= max_rows:
            yield group
            group, size = [], empty
        group.append(row)
        size += cost
    if group:
        yield group
