"""Cleans the chunks of one object, several at a time, and finds the row that a worker cannot survive.

Each chunk is cleaned and sent by a process of its own. Lambda has no /dev/shm, so there is no Pool, Queue or Lock:
one Process and one Pipe a chunk, never more of them alive than workers, and each is joined *and closed*, because a
process that is only joined keeps two descriptors.

A worker that dies, or fails for any reason but the services it calls, takes one chunk with it. That chunk is cleaned
again in halves until the rows at fault are alone, and they are rejected. Rows that were sent before are sent again,
which their identities make harmless.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from handlers.aws import SQS_BATCH_ENTRIES, AwsError, client
from handlers.clean_worker import Chunk, Cleaned, Job, message_bodies
from handlers.cleaning import Reason
from handlers.failures import send_batches
from handlers.quarantine import reject
from handlers.record_batch import SQS_MESSAGE_LIMIT
from handlers.splitter import BLOCK_BYTES
from handlers.telemetry import logger

MB_PER_VCPU = 1769
"""Memory at which Lambda gives one virtual CPU (AWS Lambda developer guide, "Configure function memory")."""

MAX_CRASHES = 200
"""Workers of one object that may crash. A row at fault costs about 15, one for each halving of a chunk; more of them
mean that something else is wrong than a few rows, and the object fails as a whole."""


class CleanError(RuntimeError):
    """The object was not cleaned completely; the asynchronous retry does it again."""


@dataclass(frozen=True)
class _Failed:
    """A worker's failure: `why`, and whether one of its rows may be the cause."""

    why: str
    by_row: bool


def worker_count(memory_mb: int, wanted: int) -> int:
    """Return how many processes may clean at a time: `wanted`, or where that is 0 the memory's virtual CPUs, but no
    more than there are."""
    if wanted:
        return wanted
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(math.ceil(memory_mb / MB_PER_VCPU), available))


def clean_all(chunks: Iterator[Chunk], job: Job, size: int, deadline: float) -> Iterator[tuple[int, Cleaned]]:
    """Yield (chunk number, counts) of every chunk of an object of `size` bytes, in the order in which they finish.

    Raises CleanError when something other than a row keeps a chunk from being cleaned and sent.
    """
    memory = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", MB_PER_VCPU))
    workers = Workers(worker_count(memory, job.settings.clean_workers), job, deadline)
    try:
        for chunk in chunks:
            if size <= BLOCK_BYTES:
                # One chunk: a process would cost more than it brings.
                yield chunk.number, workers.clean_here(chunk)
                continue
            if workers.full:
                yield workers.finish_one()
            workers.start(chunk)
        while workers.alive:
            yield workers.finish_one()
    finally:
        workers.kill()


def clean_chunk(chunk: Chunk, job: Job, deadline: float) -> Cleaned:
    """Clean one chunk and send it; returns when every message is accepted, and every row that the queue refuses is
    among the rejects. Raises CleanError otherwise."""
    cleaned = Cleaned()
    sqs = client("sqs")
    pending: list[str] = []
    size = 0
    refused: dict[int, str] = {}

    def flush() -> None:
        for unsent in send_batches(sqs, job.settings.insert_queue_url, pending, deadline):
            if not unsent.error.about_content:
                raise CleanError(f"{len(unsent.rows)} rows were not accepted: {unsent.error}")
            refused.update((row[0], unsent.error.code) for row in unsent.rows)
        pending.clear()

    for body in message_bodies(chunk, job, cleaned):
        if pending and (len(pending) == SQS_BATCH_ENTRIES or size + len(body) > SQS_MESSAGE_LIMIT):
            flush()
            size = 0
        pending.append(body)
        size += len(body)
    flush()
    if refused:
        _reject_refused(chunk, refused, cleaned)
    return cleaned


def _reject_refused(chunk: Chunk, refused: dict[int, str], cleaned: Cleaned) -> None:
    for row, (offset, record, _) in enumerate(chunk.records(), chunk.first_row):
        if row in refused:
            line = reject(row, chunk.offset + offset, Reason.REFUSED_BY_QUEUE, record, refused[row])
            cleaned.rejects.append(line)
            cleaned.rows_ok -= 1


class Workers:
    """Processes cleaning one chunk each, bounded in number."""

    def __init__(self, limit: int, job: Job, deadline: float) -> None:
        self._limit = limit
        self._job = job
        self._deadline = deadline
        # Forked children have the chunk without a copy; elsewhere than on Linux forking is not safe.
        method = "fork" if sys.platform == "linux" else "spawn"
        self._context: Any = multiprocessing.get_context(method)
        self._running: dict[Connection, tuple[Any, Chunk]] = {}
        self._crashes = 0

    @property
    def full(self) -> bool:
        """Whether as many processes are alive as may be."""
        return len(self._running) >= self._limit

    @property
    def alive(self) -> bool:
        """Whether any process is still at work."""
        return bool(self._running)

    def start(self, chunk: Chunk) -> Connection:
        """Start a process for a chunk; returns where its outcome arrives."""
        # A forked child must not share the connection.
        client("sqs").close()
        receiver: Connection
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(sender, clean_chunk, chunk, self._job, self._deadline))
        process.start()
        sender.close()
        self._running[receiver] = (process, chunk)
        return receiver

    def finish_one(self) -> tuple[int, Cleaned]:
        """Wait for a process to end and reap it; returns its chunk's number and counts. Raises CleanError."""
        ready = wait(list(self._running))[0]
        if not isinstance(ready, Connection):
            raise AssertionError("only connections are waited for")
        chunk = self._running[ready][1]
        return chunk.number, self._settled(chunk, self._reap(ready))

    def clean_here(self, chunk: Chunk) -> Cleaned:
        """Clean a chunk without a process of its own; raises CleanError."""
        return self._settled(chunk, _attempt(clean_chunk, chunk, self._job, self._deadline))

    def kill(self) -> None:
        """Kill, reap and close whatever is left, so that a failed run leaves nothing running."""
        for receiver, (process, _) in self._running.items():
            process.kill()
            process.join()
            process.close()
            receiver.close()
        self._running.clear()

    def _reap(self, receiver: Connection) -> Cleaned | _Failed:
        process, _ = self._running.pop(receiver)
        outcome: Cleaned | _Failed | None = None
        try:
            outcome = receiver.recv()
        except EOFError:
            pass
        finally:
            receiver.close()
            process.join()
            code = process.exitcode
            process.close()
        return outcome or _Failed(f"its process ended with code {code}", by_row=True)

    def _settled(self, chunk: Chunk, outcome: Cleaned | _Failed) -> Cleaned:
        """Return a chunk's counts, after finding the rows at fault where its worker failed by one."""
        if isinstance(outcome, Cleaned):
            return outcome
        self._crashes += 1
        if not outcome.by_row or self._crashes > MAX_CRASHES:
            raise CleanError(f"chunk {chunk.number}: {outcome.why}")
        halves = chunk.halves()
        if len(halves) == 1:
            return _rejected(chunk, outcome.why)
        cleaned = Cleaned()
        for half in halves:
            cleaned.add(self._settled(half, self._reap(self.start(half))))
        return cleaned


def _rejected(chunk: Chunk, why: str) -> Cleaned:
    logger().error("a row cannot be cleaned", extra={"row": chunk.first_row, "why": why[:200]})
    line = reject(chunk.first_row, chunk.offset, Reason.CLEANING_CRASHED, chunk.data, why[:200])
    return Cleaned(rows=1, rejects=[line])


def _attempt(
    target: Callable[[Chunk, Job, float], Cleaned], chunk: Chunk, job: Job, deadline: float
) -> Cleaned | _Failed:
    try:
        return target(chunk, job, deadline)
    except (CleanError, AwsError) as error:
        return _Failed(f"{type(error).__name__}: {error}", by_row=False)
    except Exception as error:  # noqa: BLE001  any other error may be one row's fault, and is told with it
        return _Failed(type(error).__name__, by_row=True)


def _work(
    sender: Connection,
    target: Callable[[Chunk, Job, float], Cleaned],
    chunk: Chunk,
    job: Job,
    deadline: float,
) -> None:
    """Body of a process: send back what `target` returns, or why it failed."""
    try:
        sender.send(_attempt(target, chunk, job, deadline))
    finally:
        sender.close()
