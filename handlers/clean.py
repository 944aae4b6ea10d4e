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
from typing import Any, NamedTuple, Protocol
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


class EventError(ValueError):
    """The event is no notification of Amazon S3, so it names no object; no retry changes that."""


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
                whole = answer["ContentRange"].rpartition("/")[2]
                if whole != str(self.size):
                    raise CleanError(f"the object has {whole} bytes, its notification says {self.size}")
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

    S3's test event, which names no object, is answered with none. Raises EventError for any other event that is no S3
    notification, CleanError, or the AWS client's error, when an object could not be cleaned completely.
    """
    config = settings()
    deadline = deadline_of(context)
    if isinstance(event, dict) and event.get("Event") == "s3:TestEvent":
        logger().info("test event of Amazon S3 ignored")
        return {"rows": 0, "quarantined": 0}
    works = []
    for found in map(_locate, _named_objects(event)):
        quarantine = Quarantine(_s3(), config.quarantine_bucket, config.quarantine_prefix, found.source)
        works.append(run(found.source, found.blocks(), found.size, config, quarantine, deadline))
    emit(works, context)
    return {"rows": sum(w.rows_in for w in works), "quarantined": sum(w.rows_quarantined for w in works)}


class _Named(NamedTuple):
    """An object as an event names it; `version` is "" and `size` 0 where it does not say."""

    bucket: str
    key: str
    version: str
    size: int


def _named_objects(event: Any) -> list[_Named]:
    """Return every object that an S3 event names.

    Raises EventError saying what was given instead, without its contents.
    """
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records:
        what = "an event without Records" if isinstance(event, dict) else f"an event of type {type(event).__name__}"
        raise EventError(f"{what} is no notification of Amazon S3: there is no object to clean")
    named = []
    for number, record in enumerate(records):
        try:
            bucket, found = record["s3"]["bucket"]["name"], record["s3"]["object"]
            size = found.get("size")
            version = found.get("versionId") or ""
            told = size if isinstance(size, int) and size > 0 else 0
            named.append(_Named(bucket, unquote_plus(found["key"]), version, told))
        except (KeyError, TypeError, AttributeError) as error:
            raise EventError(
                f"record {number} of the event names no object of Amazon S3: {type(error).__name__} {error}"
            ) from error
    return named


def _locate(named_object: _Named) -> S3Object:
    """Return the object's size and how to read this version of it. A version's size does not change, so where the event
    tells both, S3 need not be asked."""
    bucket, key, version, size = named_object
    named = {"VersionId": version} if version and version != "null" else {}
    if named and size:
        return S3Object(Source(bucket, key, version), size, named)
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
