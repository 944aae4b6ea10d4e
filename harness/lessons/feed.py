"""The rows that lessons send: a generated corpus, cleaned and packed by the pipeline's own cleaner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from handlers.clean_worker import Chunk, Cleaned, Job, message_bodies
from handlers.record_batch import Source
from handlers.settings import Settings
from harness.corpus import BLOCK_ROWS, COLUMNS, CorpusSpec, corpus_bytes

ROWS_PER_MESSAGE = 25
"""One call of BatchWriteItem."""


def lesson_source(name: str) -> Source:
    """Return the object that rows would come from."""
    return Source("lesson", f"{name}.csv", "1")


def record_batches(rows: int, source: Source, rows_per_message: int = ROWS_PER_MESSAGE) -> list[str]:
    """Return the message bodies of a corpus of `rows` rows, none of which any stage would refuse; rows are numbered
    from 1."""
    job = Job(source, COLUMNS, replace(Settings(), rows_per_message=rows_per_message))
    cleaned = Cleaned()
    bodies = list(_bodies(CorpusSpec(rows=rows, quarantine=0.0, poison=0.0), job, cleaned))
    if cleaned.rows_ok != rows:
        raise RuntimeError(f"{rows} rows were generated to be cleaned, and {cleaned.rows_ok} could be")
    return bodies


def _bodies(spec: CorpusSpec, job: Job, cleaned: Cleaned) -> Iterator[str]:
    blocks = corpus_bytes(spec)
    next(blocks)  # the header
    for number, data in enumerate(blocks):
        yield from message_bodies(Chunk(number, data, number * BLOCK_ROWS + 1, 0), job, cleaned)
