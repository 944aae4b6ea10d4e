"""Time of a run, on a machine that may sleep meanwhile, and whose clock may be set.

Three things happen to a laptop in the middle of a run: it sleeps, its processes are stopped (a debugger, Ctrl-Z, a
paused virtual machine), its clock is set. None of them may look like a stage that is stuck, and all of them make
durations and rates worthless, which the result must say.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from harness.clocks import steady

BEAT_SECONDS = 0.5
STOPPED_SECONDS = 5.0
"""Two beats further apart than this mean that the process did not run: ten beats were missed in a row. A machine that
keeps a thread waiting for so long that only sleeps has figures that mean nothing either."""

CLOCK_SET_SECONDS = 1.0
"""Difference between wall clock and elapsed time from which the clock was set. NTP's slewing, at most 0.5 ms a second,
stays below it for half an hour."""


@dataclass(frozen=True)
class Doubt:
    """Why durations and rates of a run mean nothing; "" where nothing interfered."""

    reason: str = ""


class RunClock:
    """Counts the seconds in which this process ran, and notices those in which it did not.

    A context manager: a thread notices, twice a second, whatever the rest of the process waits for. `clock` counts
    sleep and never goes back, `running` stands still while the machine sleeps, `wall` is the time of day.
    """

    def __init__(
        self,
        clock: Callable[[], float] = steady,
        running: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock, self._running, self._wall = clock, running, wall
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = self._last = clock()
        self._running_last = running()
        self._offset = wall() - self._began
        self._set = 0.0
        self._slept = 0.0
        self._stopped = 0.0

    def __enter__(self) -> RunClock:
        self._thread = threading.Thread(target=self._beat_on, name="run clock", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def awake(self) -> float:
        """Return the seconds since the clock was made in which this process ran."""
        with self._lock:
            self._beat()
            return self._last - self._began - self._slept - self._stopped

    def doubt(self) -> Doubt:
        """Return what makes the figures void so far."""
        with self._lock:
            self._beat()
            found = []
            if self._slept:
                found.append(f"this machine slept for {self._slept:.0f} s")
            if self._stopped:
                found.append(f"the harness was stopped for {self._stopped:.0f} s")
            if abs(self._set) > CLOCK_SET_SECONDS:
                way = "forward" if self._set > 0 else "back"
                found.append(f"the clock was set {way} by {abs(self._set):.0f} s")
            return Doubt(" and ".join(found))

    def _beat_on(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with self._lock:
                self._beat()

    def _beat(self) -> None:
        now, ran = self._clock(), self._running()
        gap = now - self._last
        asleep = gap - (ran - self._running_last)
        if asleep > STOPPED_SECONDS:
            self._slept += asleep
            gap -= asleep
        if gap > STOPPED_SECONDS:
            self._stopped += gap
        self._last, self._running_last = now, ran
        moved = self._wall() - now - self._offset
        if abs(moved) > abs(self._set):
            # A clock that was set and set back has still stamped what happened in between.
            self._set = moved
