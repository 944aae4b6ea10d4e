"""Cleans a file the way it is first written: a process for each chunk, each of them joined and none closed.

Lambda has no /dev/shm and so no Pool; a Process for each chunk is what is left. `join` waits for a process and reaps
it, but the Process object keeps its two descriptors until `close` or until nothing refers to it, and here a list does.
"""

from __future__ import annotations

import csv
import io
import multiprocessing
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import boto3

from .census import Census

WORKERS = 2
"""Processes that run at a time; the others have ended and are in the list."""

# Python 3.14 has another default on Linux; when this was written first, it was fork.
_mp: Any = multiprocessing.get_context("fork")
_s3 = boto3.client("s3")
_control = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_space = re.compile(r"\s+")

Started = Callable[[], None]


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Clean `key` of `bucket` in chunks of `rows` lines by the way named `way`; returns a `Census`' answer."""
    data = _s3.get_object(Bucket=event["bucket"], Key=event["key"])["Body"].read()
    chunks = list(_chunks(data, int(event["rows"])))
    census = Census()
    try:
        return census.answer(WAYS[event["way"]](chunks, census.take))
    except OSError as error:
        return census.answer(0, error.errno, str(error))


def joined(chunks: Sequence[bytes], started: Started) -> int:
    """Join each process; returns the rows of all chunks."""
    processes = []
    for chunk in chunks:
        process = _mp.Process(target=_clean, args=(chunk,))
        process.start()
        processes.append(process)
        started()
        if len(processes) >= WORKERS:
            processes[-WORKERS].join()
    for process in processes:
        process.join()
    return sum(chunk.count(b"\n") for chunk in chunks)


def piped(chunks: Sequence[bytes], started: Started) -> int:
    """Join each process, and learn by a pipe how many rows it cleaned; returns their sum."""
    processes, pipes = [], []
    for chunk in chunks:
        receiver, sender = _mp.Pipe(duplex=False)
        process = _mp.Process(target=_clean_and_tell, args=(chunk, sender))
        process.start()
        processes.append(process)
        pipes.append((receiver, sender))
        started()
        if len(processes) >= WORKERS:
            processes[-WORKERS].join()
    for process in processes:
        process.join()
    return sum(receiver.recv() for receiver, _ in pipes)


def closed(chunks: Sequence[bytes], started: Started) -> int:
    """Join each process and close it: the one line that was missing; returns the rows of all chunks."""
    processes = []
    for chunk in chunks:
        process = _mp.Process(target=_clean, args=(chunk,))
        process.start()
        processes.append(process)
        started()
        if len(processes) >= WORKERS:
            oldest = processes.pop(0)
            oldest.join()
            oldest.close()
    for process in processes:
        process.join()
        process.close()
    return sum(chunk.count(b"\n") for chunk in chunks)


WAYS = {"joined": joined, "piped": piped, "closed": closed}


def _chunks(data: bytes, rows: int) -> Iterator[bytes]:
    lines = data.splitlines(keepends=True)[1:]
    for start in range(0, len(lines), rows):
        yield b"".join(lines[start : start + rows])


def _clean(chunk: bytes) -> int:
    rows = 0
    for cells in csv.reader(io.StringIO(chunk.decode("utf-8", "replace"))):
        [_space.sub(" ", _control.sub("", cell)).strip() for cell in cells]
        rows += 1
    return rows


def _clean_and_tell(chunk: bytes, sender: Any) -> None:
    sender.send(_clean(chunk))
