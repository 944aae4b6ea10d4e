"""What a function's processes print: read from a pipe, cut into lines, complete when an invocation ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

LINE_LIMIT = 256 * 1024
"""Bytes of one CloudWatch Logs event (CloudWatch Logs quotas); longer lines are split."""

_READ_BYTES = 64 * 1024
_DRAIN_BYTES = 8 * 1024 * 1024


class OutputPipe:
    """The pipe that is standard output and error of an execution environment.

    Give `write_end` to the process, then call `started`. `drain` returns when everything written before the call has
    been handed to `sink`, so that lines printed before an answer precede what is logged after it.
    """

    def __init__(self, sink: Callable[[str], None]) -> None:
        self._sink = sink
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._pending = bytearray()
        self._open = True
        self._loop = asyncio.get_running_loop()

    def started(self) -> None:
        """Close our copy of the write end and begin to read."""
        self._close_write_end()
        self._loop.add_reader(self._read_end, self._read)

    def drain(self) -> None:
        """Hand on what the pipe holds now, the beginning of an unfinished line excepted."""
        # A process that prints without end must not keep us here.
        for _ in range(_DRAIN_BYTES // _READ_BYTES):
            if not self._open or not self._read():
                return

    def close(self) -> None:
        """Hand on what is left and stop reading; safe to call twice."""
        if self._open:
            self.drain()
        self._finish()
        self._close_write_end()

    def _read(self) -> bool:
        """Read once; returns whether there may be more."""
        try:
            data = os.read(self._read_end, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._finish()
            return False
        self._pending += data
        *lines, rest = self._pending.split(b"\n")
        self._pending = rest
        for line in lines:
            self._emit(line)
        while len(self._pending) >= LINE_LIMIT:
            self._emit(self._pending[:LINE_LIMIT])
            del self._pending[:LINE_LIMIT]
        return True

    def _emit(self, line: bytearray) -> None:
        if line:
            self._sink(line.decode("utf-8", "replace"))

    def _finish(self) -> None:
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        self._emit(self._pending)
        self._pending = bytearray()

    def _close_write_end(self) -> None:
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1
