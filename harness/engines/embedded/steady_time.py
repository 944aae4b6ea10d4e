"""Keeps MiniStack's queues from following a clock that is set.

Its SQS reckons visibility time-outs and delays by the time of day. When NTP or a person sets the clock back by an hour
in the middle of a run, every message in flight stays hidden for an hour more, and set forward, all of them come back at
once, each with a receive less. AWS's queues know neither, so here they reckon by a clock that nobody sets.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from harness.clocks import steady


class SteadyTime:
    """Stands in for the `time` module: `time()` starts at the time of day and goes on evenly, sleep included."""

    def __init__(self, clock: Callable[[], float] = steady, wall: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._offset = wall() - clock()

    def time(self) -> float:
        """Return Unix seconds as they would be had nobody set the clock since the start."""
        return self._offset + self._clock()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def install() -> None:
    """Give MiniStack's SQS a steady time; call it before the server starts."""
    from ministack.services import sqs

    sqs.time = SteadyTime()
