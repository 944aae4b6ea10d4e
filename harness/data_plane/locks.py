"""Locks of data directories: one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def lock_directory(directory: Path, name: str) -> int:
    """Make `directory` where it is not there and lock its file `name`; returns the file's descriptor, which holds the
    lock until it is closed. Raises OSError, also when another process has it."""
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise OSError(error.errno, f"{directory} is in use by another process") from error
    return descriptor
