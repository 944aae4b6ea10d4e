"""How many rows fit into this machine: memory, and the disk where temporary files go."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass

import psutil

from harness.errors import EnvironmentProblem

MEMORY_PER_ROW = 1_500
"""Bytes that the embedded engine keeps in memory per row through all stages: the table's index, a message's place in
its queue, the uploaded object. 800,000 rows of 16 columns took 2.1 GB together with MEMORY_FIXED, and
2.9 GB with a message a row. See docs/operations.md."""
MEMORY_FIXED = 1_800_000_000
"""Everything else of a run: the processes and execution environments, the clean function's chunks."""

DISK_PER_ROW = 2_000
"""Bytes of the logs in which queues and tables keep a row: as inserted and as updated, and a message of each queue.
The same rows took 1.27 GB in all."""
DISK_FIXED = 200_000_000
"""The logs of a run, segments of queues that are not full, packages."""

_HINT = "close other programs, set TMPDIR to a larger disk, ask for fewer rows, or use an engine on a larger machine"


@dataclass(frozen=True)
class Room:
    """Bytes of memory, and of the disk of temporary files."""

    memory: int
    disk: int

    def __str__(self) -> str:
        return f"{self.memory / 1e9:.1f} GB of memory and {self.disk / 1e9:.1f} GB of temporary files"


def free_room() -> Room:
    """Return what is free now."""
    return Room(psutil.virtual_memory().available, shutil.disk_usage(tempfile.gettempdir()).free)


def room_for(rows: int) -> Room:
    """Return what a run of `rows` needs."""
    return Room(MEMORY_FIXED + rows * MEMORY_PER_ROW, DISK_FIXED + rows * DISK_PER_ROW)


def rows_that_fit(free: Room | None = None) -> int:
    """Return the most rows, in whole thousands, that fit into `free` (default: what is free now)."""
    room = free or free_room()
    rows = min((room.memory - MEMORY_FIXED) // MEMORY_PER_ROW, (room.disk - DISK_FIXED) // DISK_PER_ROW)
    return max(0, rows // 1000 * 1000)


def refuse_if_too_many(rows: int, subject: str = "the run") -> None:
    """Raise EnvironmentProblem where an engine that keeps its data on this machine has no room for so many rows.

    `subject` begins the message.
    """
    free = free_room()
    fits = rows_that_fit(free)
    if rows > fits:
        raise EnvironmentProblem(
            f"{subject} has {rows:,} rows, which need {room_for(rows)}; {free} are free: {fits:,} rows fit", hint=_HINT
        )
