"""Commits what a request changed, all of it or nothing, also when the process dies between two files."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import orjson

from harness.data_plane.locks import lock_directory
from harness.data_plane.tables.store import TableStore

FILE = "commit.journal"


class Journal:
    """Commits stores. In a data directory, what changes several files is first written to a journal as a whole."""

    def __init__(self, directory: Path | None) -> None:
        """Finish the commit that a kill interrupted, if any; raises OSError, also when another process has it."""
        self._directory = directory
        self._fd: int | None = None
        if directory is not None:
            self._fd = lock_directory(directory, FILE)
            self._redo(directory)

    def _redo(self, directory: Path) -> None:
        assert self._fd is not None
        data = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        head, _, rest = data.partition(b"\n")
        if rest and head.isdigit() and zlib.crc32(rest) == int(head):
            index, _, content = rest.partition(b"\n")
            at = 0
            for name, offset, length in orjson.loads(index):
                path = directory / name
                # The table may be gone: a journal outlives its commit by nothing but a kill.
                if path.parent.is_dir():
                    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
                    try:
                        _write(descriptor, content[at : at + length], offset)
                    finally:
                        os.close(descriptor)
                at += length
        os.ftruncate(self._fd, 0)

    def commit(self, stores: Iterable[TableStore], atomic: bool) -> None:
        """Write what is pending in the stores; raises OSError, after which all of it is taken back.

        Without `atomic` a kill may leave some of the changes done, as it may leave a batch half done on AWS.
        """
        stores = list(stores)
        logs = [log for store in stores for log in store.dirty]
        journalled = atomic and self._fd is not None and len(logs) > 1
        try:
            if journalled:
                assert self._fd is not None and self._directory is not None
                root = self._directory
                parts = [(str(log.path.relative_to(root)), log.written, log.pending()) for log in logs if log.path]
                index = orjson.dumps([(name, offset, len(data)) for name, offset, data in parts])
                rest = index + b"\n" + b"".join(data for _, _, data in parts)
                _write(self._fd, b"%d\n%b" % (zlib.crc32(rest), rest), 0)
            ends = [(log, log.written) for log in logs]
            try:
                for log in logs:
                    log.flush()
            except OSError:
                for log, end in ends:
                    log.truncate(end)
                raise
        except OSError:
            for store in stores:
                store.rollback()
            raise
        finally:
            if journalled:
                assert self._fd is not None
                os.ftruncate(self._fd, 0)
        for store in stores:
            store.committed()

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)


def _write(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, offset)
        view = view[done:]
        offset += done
