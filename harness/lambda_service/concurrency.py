"""Concurrency rules, free of I/O and of the wall clock: profiles, poller scaling, reserved concurrency.

A profile says how fast an SQS mapping's pollers grow and how asynchronous retries are spaced. `2021` and `2026`
are AWS's documented behaviour of their time (FACTS: 5 pollers, then +60 a minute to 1,000; 5, then +300 a minute
to 1,250); `local` starts at once with as many as suit the cores at hand.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass

from harness.errors import UsageError

MIN_MAXIMUM_CONCURRENCY = 2
"""The least MaximumConcurrency an SQS mapping may have (AWS::Lambda::EventSourceMapping ScalingConfig)."""


@dataclass(frozen=True)
class Profile:
    """How fast pollers grow and how long asynchronous retries wait.

    `start` pollers serve a fresh backlog; `per_minute` more come while it lasts, up to `ceiling`.
    `async_retry_delays` are seconds before the first and second retry of an asynchronous invocation.
    """

    name: str
    start: int
    per_minute: int
    ceiling: int
    async_retry_delays: tuple[float, ...]


def profiles(cores: int | None = None) -> dict[str, Profile]:
    """Return the known profiles by name; `local` depends on the number of cores (default: this machine's)."""
    count = cores if cores is not None else len(os.sched_getaffinity(0)) if _has_affinity() else os.cpu_count()
    # One more than cores: while one waits for the data services, another has work for the core.
    local = (count or 1) + 1
    aws_delays = (60.0, 120.0)
    return {
        "local": Profile("local", local, 0, local, (1.0, 2.0)),
        "2021": Profile("2021", 5, 60, 1000, aws_delays),
        "2026": Profile("2026", 5, 300, 1250, aws_delays),
    }


def profile_named(name: str) -> Profile:
    """Return a profile; raises UsageError naming the known ones."""
    known = profiles()
    if name not in known:
        raise UsageError(f"concurrency profile {name!r} is not known", hint=f"choose one of {', '.join(known)}")
    return known[name]


def _has_affinity() -> bool:
    return hasattr(os, "sched_getaffinity")


class PollerScaling:
    """How many batches of one SQS mapping may run at a time, as its backlog lasts.

    Feed it `observe(backlog, now)` after every poll; read `allowed(now)` before starting a batch. With no
    backlog for a minute it falls back to the start, as pollers do that find an empty queue.
    """

    IDLE_RESET_SECONDS = 60.0

    def __init__(self, profile: Profile, max_concurrency: int | None) -> None:
        ceiling = profile.ceiling if max_concurrency is None else min(profile.ceiling, max_concurrency)
        self._profile = profile
        self._ceiling = max(1, ceiling)
        self._backlog_since: float | None = None
        self._last_backlog = 0.0

    def observe(self, backlog: bool, now: float) -> None:
        """Note whether a poll found messages; `now` is any monotonic clock in seconds."""
        if backlog:
            if self._backlog_since is None:
                self._backlog_since = now
            self._last_backlog = now
        elif self._backlog_since is not None and now - self._last_backlog >= self.IDLE_RESET_SECONDS:
            self._backlog_since = None

    def allowed(self, now: float) -> int:
        """Return how many batches may run at `now`."""
        if self._backlog_since is None:
            return min(self._profile.start, self._ceiling)
        grown = self._profile.start + int((now - self._backlog_since) / 60.0 * self._profile.per_minute)
        return min(grown, self._ceiling)


class ConcurrencyLedger:
    """Who runs how many: the account's limit, and what functions reserved of it.

    A function with a reservation never exceeds it and never draws on the rest; the others share what is not
    reserved. AWS keeps 100 unreserved; a local account may reserve everything.
    """

    def __init__(self, account_limit: int) -> None:
        self._limit = account_limit
        self._reserved: dict[str, int] = {}
        self._running: Counter[str] = Counter()

    def reserve(self, function: str, concurrency: int | None) -> None:
        """Set or clear a function's reservation; raises UsageError where the account has not that much."""
        others = sum(v for k, v in self._reserved.items() if k != function)
        if concurrency is None:
            self._reserved.pop(function, None)
            return
        if concurrency + others > self._limit:
            raise UsageError(
                f"{function} reserves {concurrency} of an account limit of {self._limit}, "
                f"of which {others} are reserved already",
                hint="lower ReservedConcurrentExecutions or raise the account limit",
            )
        self._reserved[function] = concurrency

    def reserved(self, function: str) -> int | None:
        """Return a function's reservation, or None where it has none."""
        return self._reserved.get(function)

    def forget(self, function: str) -> None:
        """Drop all that is known of a removed function."""
        self._reserved.pop(function, None)
        self._running.pop(function, None)

    def try_acquire(self, function: str) -> bool:
        """Take one slot; False means throttled."""
        reserved = self._reserved.get(function)
        if reserved is not None:
            if self._running[function] >= reserved:
                return False
        else:
            unreserved = self._limit - sum(self._reserved.values())
            used = sum(n for name, n in self._running.items() if name not in self._reserved)
            if used >= unreserved:
                return False
        self._running[function] += 1
        return True

    def release(self, function: str) -> None:
        """Give one slot back."""
        if self._running[function] <= 0:
            raise AssertionError(f"{function} released more than it acquired")
        self._running[function] -= 1

    def running(self, function: str) -> int:
        """Return how many invocations of a function hold a slot."""
        return self._running[function]
