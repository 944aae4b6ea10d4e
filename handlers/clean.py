"""clean: reads an uploaded CSV, cleans it in parallel and sends record batches to the insert queue.

The object is read in ranges and cut at record boundaries; see `handlers.clean_pool` for what happens to each chunk.

Row identities depend on the object's version and the row number alone, so running twice for one object sends the
same rows twice and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config

from handlers.aws import deadline_of
from handlers.clean_pool import CleanError, clean_all
from handlers.clean_worker import Job
from handlers.init_phase import prepare
from handlers.quarantine import Quarantine
from handlers.record_batch import Source
from handlers.settings import Settings
from handlers.splitter import BLOCK_BYTES, ObjectRejected, ObjectSplitter
from handlers.telemetry import Work, emit, logger


@cache
def settings() -> Settings:
    """Return the environment's settings; raises SettingsError."""
    found = Settings.from_environment()
    found.require("insert_queue_url", "quarantine_bucket")
    return found


@cache
def _s3() -> Any:
    return boto3.client(
        "s3",
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 5},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


@dataclass(frozen=True)
class S3Object:
    """One version of an object, read in ranges."""

    source: Source
    size: int
    selector: dict[str, str]

    def blocks(self) -> Iterator[bytes]:
        """Yield the object's bytes in blocks.

        Raises botocore's ClientError when the object is gone or replaced, CleanError when bytes are missing. A
        server may ignore the range and answer with the whole object (RFC 9110, section 14.2); that answer is then
        read piece by piece.
        """
        position = 0
        while position < self.size:
            last = min(position + BLOCK_BYTES, self.size) - 1
            answer = _s3().get_object(
                Bucket=self.source.bucket,
                Key=self.source.key,
                Range=f"bytes={position}-{last}",
                **self.selector,
            )
            if "ContentRange" in answer:
                block = answer["Body"].read()
                if len(block) != last + 1 - position:
                    raise CleanError(f"{len(block)} bytes of {last + 1 - position} were read at {position}")
                yield block
                position += len(block)
            else:
                if position:
                    raise CleanError("ranges were honoured and then ignored")
                while block := answer["Body"].read(BLOCK_BYTES):
                    yield block
                    position += len(block)
                if position != self.size:
                    raise CleanError(f"{position} bytes of {self.size} were read")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Clean every object of an S3 event; returns the row counts.

    Raises CleanError, or the AWS client's error, when an object could not be cleaned completely.
    """
    config = settings()
    deadline = deadline_of(context)
    works = []
    for record in event["Records"]:
        found = _locate(record)
        quarantine = Quarantine(_s3(), config.quarantine_bucket, config.quarantine_prefix, found.source)
        works.append(run(found.source, found.blocks(), found.size, config, quarantine, deadline))
    emit(works, context)
    return {"rows": sum(w.rows_in for w in works), "quarantined": sum(w.rows_quarantined for w in works)}


def _locate(record: dict[str, Any]) -> S3Object:
    bucket = record["s3"]["bucket"]["name"]
    key = unquote_plus(record["s3"]["object"]["key"])
    version = record["s3"]["object"].get("versionId", "")
    named = {"VersionId": version} if version and version != "null" else {}
    head = _s3().head_object(Bucket=bucket, Key=key, **named)
    etag = head["ETag"].strip('"')
    # Without versions the entity tag is the version, and reading must fail when the object was replaced.
    selector = named or {"IfMatch": head["ETag"]}
    return S3Object(Source(bucket, key, named.get("VersionId", etag)), head["ContentLength"], selector)


class RejectSink(Protocol):
    """Where rejected records go."""

    def put(self, part: int, lines: list[str]) -> None:
        """Store the rejects of one chunk."""


def run(
    source: Source,
    blocks: Iterator[bytes],
    size: int,
    config: Settings,
    quarantine: RejectSink,
    deadline: float,
) -> Work:
    """Clean one object of `size` bytes given as blocks; returns its counters once everything is durable."""
    work = Work(source.source_id, bytes=size)
    began = time.perf_counter()
    try:
        splitter = ObjectSplitter(blocks, config)
        if splitter.columns:
            work.notes["delimiter"] = splitter.dialect.name
            job = Job(source, splitter.columns, config)
            for chunk, cleaned in clean_all(splitter.chunks(), job, size, deadline):
                work.rows_in += cleaned.rows
                work.rows_ok += cleaned.rows_ok
                work.messages += cleaned.messages
                work.rows_quarantined += len(cleaned.rejects)
                if cleaned.rejects:
                    quarantine.put(chunk, cleaned.rejects)
    except ObjectRejected as rejected:
        logger().warning("object rejected", extra={"reason": rejected.reason.value, "detail": rejected.detail})
        work.notes["rejected"] = str(rejected)
        quarantine.put(0, [rejected.line])
        work.rows_in += 1
        work.rows_quarantined += 1
    work.milliseconds["Clean"] = (time.perf_counter() - began) * 1000
    return work


prepare("sqs", also=_s3)
