"""Cleans the same file in the same chunks with the pipeline's own processes (`handlers/clean_pool.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3

from handlers.aws import deadline_of
from handlers.clean_pool import clean_all
from handlers.clean_worker import Chunk, Job
from handlers.record_batch import Source
from handlers.settings import Settings
from handlers.splitter import split_object

from .census import Census

_s3 = boto3.client("s3")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Clean `key` of `bucket` in chunks of `rows` records and send what comes of them; returns a `Census`' answer."""
    bucket, key = event["bucket"], event["key"]
    data = _s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    settings = Settings.from_environment()
    columns, chunks = split_object(iter([data]), settings)
    job = Job(Source(bucket, key, "1"), columns, settings)
    census = Census()
    rows = 0
    try:
        small = _counted(_cut(chunks, int(event["rows"])), census)
        for _, cleaned in clean_all(small, job, len(data), deadline_of(context)):
            rows += cleaned.rows
    except OSError as error:
        return census.answer(rows, error.errno, str(error))
    return census.answer(rows)


def _cut(chunks: Iterator[Chunk], rows: int) -> Iterator[Chunk]:
    """Yield the same records in chunks of `rows`, far smaller than the pipeline's own."""
    number = 0
    for chunk in chunks:
        offsets = [offset for offset, _, _ in chunk.records()]
        for start in range(0, len(offsets), rows):
            begin, end = offsets[start], offsets[start + rows] if start + rows < len(offsets) else len(chunk.data)
            yield replace(
                chunk,
                number=number,
                data=chunk.data[begin:end],
                first_row=chunk.first_row + start,
                offset=chunk.offset + begin,
            )
            number += 1


def _counted(chunks: Iterator[Chunk], census: Census) -> Iterator[Chunk]:
    """Yield the chunks; the next one is asked for when the process of the one before has started."""
    for chunk in chunks:
        yield chunk
        census.take()
