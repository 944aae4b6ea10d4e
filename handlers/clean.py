"""clean: reads an uploaded CSV, cleans it in parallel and sends record batches to the insert queue.

The object is read in ranges and cut at record boundaries; each chunk is cleaned and sent by a process of its own.
Lambda has no /dev/shm, so there is no Pool, Queue or Lock: one Process and one Pipe a chunk, never more of them
alive than workers, and each is joined *and closed*, because a process that is only joined keeps two descriptors.

Row identities depend on the object's version and the row number alone, so running twice for one object sends the
same rows twice and nothing else.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config

from handlers.aws import client, deadline_of, send_messages
from handlers.clean_worker import Chunk, Cleaned, Job, message_bodies
from handlers.init_phase import prepare
from handlers.quarantine import Quarantine
from handlers.record_batch import SQS_MESSAGE_LIMIT, Source
from handlers.settings import Settings
from handlers.splitter import BLOCK_BYTES, ObjectRejected, split_object
from handlers.telemetry import Work, emit, logger

MB_PER_VCPU = 1769
"""Memory at which Lambda gives one virtual CPU (AWS Lambda developer guide, "Configure function memory")."""

_SEND_MESSAGES = 10


class CleanError(RuntimeError):
    """The object was not cleaned completely; the asynchronous retry does it again."""


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


def _named_objects(event: Any) -> list[tuple[str, str, str]]:
    """Return bucket, key and version ("" where unknown) of every object that an S3 event names.

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
            named.append((bucket, unquote_plus(found["key"]), found.get("versionId") or ""))
        except (KeyError, TypeError, AttributeError) as error:
            raise EventError(
                f"record {number} of the event names no object of Amazon S3: {type(error).__name__} {error}"
            ) from error
    return named


def _locate(named_object: tuple[str, str, str]) -> S3Object:
    bucket, key, version = named_object
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
        header, chunks = split_object(blocks)
        if header:
            job = Job(source, header, config)
            for chunk, cleaned in _clean_all(chunks, job, size, deadline):
                work.rows_in += cleaned.rows
                work.rows_ok += cleaned.rows_ok
                work.messages += cleaned.messages
                work.rows_quarantined += len(cleaned.rejects)
                if cleaned.rejects:
                    quarantine.put(chunk, cleaned.rejects)
    except ObjectRejected as rejected:
        logger().warning("object rejected", extra={"reason": rejected.reason.value})
        quarantine.put(0, [rejected.line])
        work.rows_in += 1
        work.rows_quarantined += 1
    work.milliseconds["Clean"] = (time.perf_counter() - began) * 1000
    return work


def worker_count(config: Settings) -> int:
    """Return how many processes may clean at a time: the memory's virtual CPUs, but no more than there are."""
    if config.clean_workers:
        return config.clean_workers
    memory = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", MB_PER_VCPU))
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(math.ceil(memory / MB_PER_VCPU), available))


def _clean_all(chunks: Iterator[Chunk], job: Job, size: int, deadline: float) -> Iterator[tuple[int, Cleaned]]:
    """Yield (chunk number, counts) of every chunk, in the order in which they finish."""
    if size <= BLOCK_BYTES:
        # One chunk: a process would cost more than it brings.
        for chunk in chunks:
            yield chunk.number, clean_chunk(chunk, job, deadline)
        return
    pool = _Workers(worker_count(job.settings), job, deadline)
    try:
        for chunk in chunks:
            if pool.full:
                yield pool.finish_one()
            pool.start(chunk)
        while pool.alive:
            yield pool.finish_one()
    finally:
        pool.kill()


def clean_chunk(chunk: Chunk, job: Job, deadline: float) -> Cleaned:
    """Clean one chunk and send it; returns when every message is accepted. Raises CleanError otherwise."""
    cleaned = Cleaned()
    sqs = client("sqs")
    pending: list[str] = []
    size = 0

    def flush() -> None:
        failed = send_messages(sqs, job.settings.insert_queue_url, pending, deadline)
        if failed:
            raise CleanError(f"{len(failed)} messages were not accepted: {failed[0][1]}")
        pending.clear()

    for body in message_bodies(chunk, job, cleaned):
        if pending and (len(pending) == _SEND_MESSAGES or size + len(body) > SQS_MESSAGE_LIMIT):
            flush()
            size = 0
        pending.append(body)
        size += len(body)
    flush()
    return cleaned


class _Workers:
    """Processes cleaning one chunk each, bounded in number."""

    def __init__(self, limit: int, job: Job, deadline: float) -> None:
        self._limit = limit
        self._job = job
        self._deadline = deadline
        # Forked children have the chunk without a copy; elsewhere than on Linux forking is not safe.
        method = "fork" if sys.platform == "linux" else "spawn"
        self._context: Any = multiprocessing.get_context(method)
        self._running: dict[Connection, tuple[Any, int]] = {}
        client("sqs").close()

    @property
    def full(self) -> bool:
        """Whether as many processes are alive as may be."""
        return len(self._running) >= self._limit

    @property
    def alive(self) -> bool:
        """Whether any process is still at work."""
        return bool(self._running)

    def start(self, chunk: Chunk) -> None:
        """Start a process for a chunk."""
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(sender, clean_chunk, chunk, self._job, self._deadline))
        process.start()
        sender.close()
        self._running[receiver] = (process, chunk.number)

    def finish_one(self) -> tuple[int, Cleaned]:
        """Wait for a process to end and reap it; raises CleanError when it failed or died."""
        ready = wait(list(self._running))[0]
        if not isinstance(ready, Connection):
            raise AssertionError("only connections are waited for")
        process, number = self._running.pop(ready)
        try:
            result = ready.recv()
        except EOFError:
            result = None
        finally:
            ready.close()
            process.join()
            code = process.exitcode
            process.close()
        if isinstance(result, Cleaned):
            return number, result
        raise CleanError(f"chunk {number}: {result or f'its process ended with code {code}'}")

    def kill(self) -> None:
        """Kill, reap and close whatever is left, so that a failed run leaves nothing running."""
        for receiver, (process, _) in self._running.items():
            process.kill()
            process.join()
            process.close()
            receiver.close()
        self._running.clear()


def _work(
    sender: Connection,
    target: Callable[[Chunk, Job, float], Cleaned],
    chunk: Chunk,
    job: Job,
    deadline: float,
) -> None:
    """Body of a process: send back what `target` returns, or why it failed."""
    try:
        sender.send(target(chunk, job, deadline))
    except Exception as error:  # noqa: BLE001  told to the parent, which raises it
        sender.send(f"{type(error).__name__}: {error}")
    finally:
        sender.close()


prepare("sqs", also=_s3)
