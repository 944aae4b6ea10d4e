"""A clock that nobody can set, and that a sleeping machine does not stop."""

from __future__ import annotations

import time
from collections.abc import Callable


def _counts_sleep() -> Callable[[], float]:
    """Return a clock that never goes back and goes on while the machine sleeps, where the system has one: Linux'
    CLOCK_BOOTTIME, Darwin's CLOCK_MONOTONIC. Python's monotonic clock stands still then on both."""
    number: int | None = getattr(time, "CLOCK_BOOTTIME", None) or getattr(time, "CLOCK_MONOTONIC", None)
    if number is None:
        return time.monotonic
    return lambda: time.clock_gettime(number)


steady: Callable[[], float] = _counts_sleep()
"""Seconds that never go back and count sleep."""
