"""Runs the cleaner over bytes, without any service."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from handlers.clean_worker import Chunk, Cleaned, Job, clean_rows
from handlers.record_batch import Source
from handlers.settings import Settings
from handlers.splitter import ObjectSplitter

SOURCE = Source("bucket", "key.csv", "1")


@dataclass(frozen=True)
class Outcome:
    """What became of an object: rows by number, and the quarantine lines in order."""

    columns: tuple[str, ...]
    delimiter: str
    rows: dict[int, list[str]]
    rejects: list[dict[str, Any]]
    records: int
    chunks: list[Chunk]

    @property
    def reasons(self) -> dict[str, int]:
        return dict(Counter(line["reason"] for line in self.rejects))

    @property
    def cells(self) -> list[list[str]]:
        return [self.rows[number] for number in sorted(self.rows)]


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    points = sorted({c % (len(data) + 1) for c in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(points)]


def clean_bytes(data: bytes, *, cuts: Sequence[int] = (), **settings: Any) -> Outcome:
    """Clean an object that arrives in blocks cut at `cuts`; raises ObjectRejected."""
    config = Settings(**settings)
    splitter = ObjectSplitter(iter(pieces(data, cuts)), config)
    job = Job(SOURCE, splitter.columns, config)
    rows: dict[int, list[str]] = {}
    rejects: list[dict[str, Any]] = []
    records = 0
    chunks = list(splitter.chunks())
    for chunk in chunks:
        cleaned = Cleaned()
        for text in clean_rows(chunk, job, cleaned):
            number, *cells = json.loads(text)
            assert number not in rows
            rows[number] = cells
        records += cleaned.rows
        rejects += map(json.loads, cleaned.rejects)
    return Outcome(splitter.columns, splitter.dialect.name, rows, rejects, records, chunks)
