"""Processes of the engine: each in a group of its own, known to the guard; some are started again when they end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from harness.errors import EngineError

_log = logging.getLogger(__name__)

STOP_SECONDS = 10.0
MAX_RESTARTS = 5
RESTART_WINDOW_SECONDS = 30.0
"""A process that ends more than MAX_RESTARTS times within this many seconds has a defect that starting it again does
not mend."""


class Child:
    """A process of the engine in a group of its own, registered for the guard.

    `graceful` says whether it has anything to do before it ends; the others are killed at once.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], work_dir: Path, *, graceful: bool) -> None:
        self.name = name
        self._graceful = graceful
        self.process = process
        self.log = work_dir / f"{name}.log"
        self._pid_file = work_dir / "pids" / str(process.pid)
        self._pid_file.write_text(name)

    def check(self) -> None:
        """Raise EngineError with the end of its log when the process is gone."""
        code = self.process.poll()
        if code is not None:
            raise EngineError(
                f"the {self.name} process ended with {_status(code)}",
                hint=f"last lines of its log:\n{tail(self.log)}",
            )

    def stop(self) -> None:
        """Ask the process to stop, then kill its whole group; safe to call twice."""
        if self._graceful and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._pid_file.unlink(missing_ok=True)


def _status(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def tail(path: Path, lines: int = 12) -> str:
    """Return the last lines of a text file, or a word that there are none."""
    if not path.exists():
        return "(no log)"
    return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:]) or "(empty log)"


class Supervised:
    """A process that is started again, on the same listening socket, whenever it ends by itself.

    `start` starts it and returns when it serves; connections wait in the backlog of `listener` meanwhile. A process
    that cannot start, or ends too often, is given up: `check` says so.
    """

    def __init__(self, start: Callable[[], Child], listener: socket.socket) -> None:
        self._start = start
        self._listener = listener
        self._lock = threading.Lock()
        self._stopping = False
        self._failure: EngineError | None = None
        self._ends: list[float] = []
        self.restarts = 0
        try:
            self._child = start()
        except BaseException:
            listener.close()
            raise
        self.name = self._child.name
        self._thread = threading.Thread(target=self._watch, name=f"watch of {self.name}", daemon=True)
        self._thread.start()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that runs now."""
        return self._child.process

    def check(self) -> None:
        """Raise EngineError when the process has been given up."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop the process and close its socket; safe to call twice."""
        with self._lock:
            self._stopping = True
            self._child.stop()
        self._listener.close()
        self._thread.join()

    def _watch(self) -> None:
        while self._failure is None:
            self._child.process.wait()
            with self._lock:
                if self._stopping:
                    return
                try:
                    self._restart()
                except EngineError as error:
                    self._failure = error

    def _restart(self) -> None:
        """Start the process again; raises EngineError when it ends too often, or as it starts."""
        now = time.monotonic()
        self._ends = [end for end in self._ends if now - end < RESTART_WINDOW_SECONDS] + [now]
        if len(self._ends) > MAX_RESTARTS:
            self._child.check()
        _log.warning("the %s process ended with %s: started again", self.name, _status(self._child.process.returncode))
        # Its group may have more than itself in it, and the guard must forget its number.
        self._child.stop()
        self._child = self._start()
        self.restarts += 1
