"""The folder of `harness deploy --data`: what is kept in it, and who has it.

One engine at a time: the folder's lock is handed to the processes that write in it, so it is free only when the last
of them has ended, also after a kill.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from harness.errors import EngineError

_LOCK = "engine.lock"
_PLANS = "tables.json"
ENDING_SECONDS = 10.0
"""How long the last processes of an engine that was killed may take to end."""
_POLL_SECONDS = 0.05


class DataFolder:
    """An engine's data, held until `close`; `clock` gives monotonic seconds, `sleep` waits for some."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        ending: float = ENDING_SECONDS,
    ) -> None:
        """Make the folder where it is not there, and take it.

        Raises EngineError where another process has it, where it cannot be written, and for a folder of something else.
        """
        self.path = path.resolve()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if any(self.path.iterdir()) and not (self.path / _LOCK).is_file():
                raise EngineError(
                    f"{path} is not empty, and no folder of `harness deploy --data`", hint="name a new or empty folder"
                )
            self._descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise EngineError(f"{path} cannot be used for data: {error.strerror}") from error
        try:
            self._take(clock, sleep, ending)
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def tables(self) -> Path:
        """The folder of the tables' service."""
        return self.path / "tables"

    @property
    def queues(self) -> Path:
        """The folder of the queues' service."""
        return self.path / "queues"

    @property
    def positions(self) -> Path:
        """The folder in which the Lambda service keeps how far streams were processed."""
        return self.path / "positions"

    @property
    def plans(self) -> Path:
        """The file that says what the tables of stacks were made from."""
        return self.path / _PLANS

    @property
    def descriptor(self) -> int:
        """The open lock; whoever inherits it keeps the folder taken."""
        return self._descriptor

    def close(self) -> None:
        """Leave the folder to others, once every process that inherited the lock has ended; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self, clock: Callable[[], float], sleep: Callable[[float], None], ending: float) -> None:
        deadline = clock() + ending
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
                alive = not holder.isdigit() or psutil.pid_exists(int(holder))
                if alive or clock() >= deadline:
                    raise EngineError(
                        f"{self.path} is in use by process {holder or 'unknown'}",
                        hint="end that one first, or name another folder",
                    ) from None
                sleep(_POLL_SECONDS)
                continue
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
            return


class KeptPlans:
    """What each table was made from, by its name, so that a template that says something else is not taken for it."""

    def __init__(self, path: Path) -> None:
        """Read the file, if there is one; raises EngineError for anything else in its place."""
        self._path = path
        self._plans: dict[str, dict[str, Any]] = {}
        if not path.exists():
            return
        try:
            found = json.loads(path.read_text("utf-8"))
            self._plans = {name: {"calls": plan["calls"], "made": bool(plan["made"])} for name, plan in found.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise EngineError(f"{path} does not say what tables were made from: {error!r}") from error

    def made(self, name: str) -> list[Any] | None:
        """Return the calls by which a table was made whole; None where it was not."""
        plan = self._plans.get(name)
        return list(plan["calls"]) if plan is not None and plan["made"] else None

    def begun(self, name: str) -> bool:
        """Return whether a table was begun and not made whole."""
        plan = self._plans.get(name)
        return plan is not None and not plan["made"]

    def begin(self, name: str, calls: list[Any]) -> None:
        """Note that a table is about to be made."""
        self._put(name, {"calls": plain(calls), "made": False})

    def complete(self, name: str) -> None:
        """Note that a table is made whole."""
        self._put(name, {**self._plans[name], "made": True})

    def forget(self, name: str) -> None:
        """Note that a table is gone."""
        if self._plans.pop(name, None) is not None:
            self._write()

    def _put(self, name: str, plan: Mapping[str, Any]) -> None:
        self._plans[name] = dict(plan)
        self._write()

    def _write(self) -> None:
        new = self._path.with_suffix(".new")
        try:
            new.write_text(json.dumps(self._plans, indent=1), "utf-8")
            new.replace(self._path)
        except OSError as error:
            raise EngineError(f"{self._path} cannot be written: {error.strerror}") from error


def plain(value: Any) -> Any:
    """Return a value as it comes back from JSON."""
    return json.loads(json.dumps(value))
