"""Concurrency rules, free of I/O and of the wall clock: profiles, scaling of pollers and functions, reservations.

A profile says how fast an SQS mapping's pollers grow and how asynchronous retries are spaced. `2021` and `2026`
are AWS's documented behaviour of their time (5 pollers, then +60 a minute to 1,000: AWS Compute Blog, "Understanding
how AWS Lambda scales with Amazon SQS standard queues"; 5, then +300 a minute to 1,250: Lambda developer guide,
"Configuring scaling behavior for SQS event source mappings"); `local` starts at once with as many as suit the cores at
hand. Every `now` is a moment of one monotonic clock, in seconds.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from harness.errors import UsageError

MIN_MAXIMUM_CONCURRENCY = 2
"""The least MaximumConcurrency an SQS mapping may have (AWS::Lambda::EventSourceMapping ScalingConfig)."""

ACCOUNT_CONCURRENCY = 1000
"""Concurrent executions of an account in a Region, by default (Lambda developer guide, "Lambda quotas")."""

ENVIRONMENTS_AT_ONCE, ENVIRONMENTS_PER_SECOND = 1000, 100
"""How fast one function gets execution environments: 1,000 every 10 seconds, refilled continuously, none saved up
(Lambda developer guide, "Lambda scaling behavior"). Before November 2023 the rule was another, and the account's."""

DEFAULT_MIN_POLLERS, DEFAULT_MAX_POLLERS = 2, 200
"""Provisioned pollers of an SQS mapping where its configuration names none (Lambda API, ProvisionedPollerConfig)."""

LEAST_POLLERS, MOST_MIN_POLLERS, MOST_MAX_POLLERS = 2, 200, 10_000
"""Bounds of MinimumPollers and MaximumPollers for SQS (Lambda API, ProvisionedPollerConfig of 2026; when provisioned
pollers came, in November 2025, the most were 2,000)."""

INVOCATIONS_OF_A_POLLER, POLLS_OF_A_POLLER, BYTES_OF_A_POLLER = 10, 10, 1_000_000
"""What one provisioned poller handles: concurrent invocations; ReceiveMessage calls and bytes a second (Lambda
developer guide, "Configuring scaling behavior for SQS event source mappings")."""

POLLERS_PER_MINUTE = 100
"""How fast provisioned pollers grow: by a concurrency of 1,000 a minute, at 10 each (same page)."""

LOOK_SECONDS = 0.25
"""How often a mapping looks whether it may run more batches than it does."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0


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


def throttle_pauses() -> Iterator[float]:
    """Yield how long a poller waits at most, in seconds, after each time its batch is throttled. AWS does not document
    its own figures."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)


class TokenBucket:
    """A rate with a reserve: `capacity` at first and at most, refilled by `per_second`."""

    def __init__(self, capacity: float, per_second: float) -> None:
        self._capacity = self._balance = capacity
        self._per_second = per_second
        self._at: float | None = None

    def set_rate(self, capacity: float, per_second: float, now: float) -> None:
        """Change both from `now` on; what a larger capacity adds is there at once."""
        self._settle(now)
        self._balance += max(0.0, capacity - self._capacity)
        self._capacity, self._per_second = capacity, per_second
        self._balance = min(self._balance, capacity)

    def try_take(self, now: float) -> bool:
        """Take one if it is there; return whether it was."""
        self._settle(now)
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True

    def take(self, amount: float, now: float) -> float:
        """Take an amount in any case; return the seconds until it is paid for."""
        self._settle(now)
        self._balance -= amount
        return max(0.0, -self._balance / self._per_second)

    def _settle(self, now: float) -> None:
        if self._at is not None and now > self._at:
            self._balance = min(self._capacity, self._balance + (now - self._at) * self._per_second)
        self._at = now if self._at is None else max(now, self._at)


class FunctionScaling:
    """How fast one function may get new execution environments, whoever invokes it."""

    def __init__(self) -> None:
        self._bucket = TokenBucket(ENVIRONMENTS_AT_ONCE, ENVIRONMENTS_PER_SECOND)

    def try_start(self, now: float) -> bool:
        """Take one new environment; False means that the invocation is throttled."""
        return self._bucket.try_take(now)


class Scaling(Protocol):
    """How many batches of one SQS mapping may run at a time, and how fast its pollers may poll."""

    def observe(self, backlog: bool, now: float) -> None:
        """Note whether a poll found messages."""
        ...

    def allowed(self, now: float) -> int:
        """Return how many batches may run at `now`."""
        ...

    def take_poll(self, now: float, /) -> float:
        """Take one poll of the queue; return the seconds to wait before it."""
        ...

    def received(self, size: int, now: float, /) -> None:
        """Note how many bytes of messages a poll brought."""
        ...


class _Backlog:
    """Since when polls have found messages. With none for a minute it is over, as pollers scale down that find an empty
    queue."""

    IDLE_RESET_SECONDS = 60.0

    def __init__(self) -> None:
        self._since: float | None = None
        self._last = 0.0

    def observe(self, backlog: bool, now: float) -> None:
        """Note whether a poll found messages."""
        if backlog:
            if self._since is None:
                self._since = now
            self._last = now
        elif self._since is not None and now - self._last >= self.IDLE_RESET_SECONDS:
            self._since = None

    def minutes(self, now: float) -> float:
        """Return for how many minutes the backlog has lasted, 0.0 without one."""
        return 0.0 if self._since is None else (now - self._since) / 60.0


class PollerScaling(_Backlog):
    """The scaling that every SQS mapping has by default: the ramp of a profile.

    Feed it `observe(backlog, now)` after every poll; read `allowed(now)` before starting a batch. With no
    backlog for a minute it falls back to the start.
    """

    def __init__(self, profile: Profile, max_concurrency: int | None) -> None:
        super().__init__()
        ceiling = profile.ceiling if max_concurrency is None else min(profile.ceiling, max_concurrency)
        self._profile = profile
        self._ceiling = max(1, ceiling)

    def allowed(self, now: float) -> int:
        """Return how many batches may run at `now`."""
        grown = self._profile.start + int(self.minutes(now) * self._profile.per_minute)
        return min(grown, self._ceiling)

    def take_poll(self, _: float, /) -> float:
        """Return 0.0: pollers of this kind poll as fast as they process."""
        return 0.0

    def received(self, _: int, __: float, /) -> None:
        """Do nothing: pollers of this kind have no limit of bytes."""


class ProvisionedPollers(_Backlog):
    """The scaling of a mapping with ProvisionedPollerConfig: `least` pollers are there always, more come while a
    backlog lasts, at most `most`; each handles 10 invocations at a time, 10 polls and 1 MB a second."""

    def __init__(self, least: int = DEFAULT_MIN_POLLERS, most: int = DEFAULT_MAX_POLLERS) -> None:
        super().__init__()
        self._least, self._most = least, max(least, most)
        self._polls = TokenBucket(least * POLLS_OF_A_POLLER, least * POLLS_OF_A_POLLER)
        self._bytes = TokenBucket(least * BYTES_OF_A_POLLER, least * BYTES_OF_A_POLLER)

    def pollers(self, now: float) -> int:
        """Return how many pollers there are at `now`."""
        return min(self._most, self._least + int(self.minutes(now) * POLLERS_PER_MINUTE))

    def allowed(self, now: float) -> int:
        """Return how many batches may run at `now`."""
        return self.pollers(now) * INVOCATIONS_OF_A_POLLER

    def take_poll(self, now: float, /) -> float:
        """Take one poll of the queue; return the seconds to wait before it, for polls and bytes taken so far."""
        pollers = self.pollers(now)
        self._polls.set_rate(pollers * POLLS_OF_A_POLLER, pollers * POLLS_OF_A_POLLER, now)
        self._bytes.set_rate(pollers * BYTES_OF_A_POLLER, pollers * BYTES_OF_A_POLLER, now)
        return max(self._polls.take(1, now), self._bytes.take(0, now))

    def received(self, size: int, now: float, /) -> None:
        """Note how many bytes of messages a poll brought; they delay the polls that follow."""
        self._bytes.take(size, now)


def scaling_of(
    profile: Profile, max_concurrency: int | None = None, provisioned: tuple[int, int] | None = None
) -> Scaling:
    """Return the scaling of a mapping; `provisioned` is its least and most pollers, None where it has none.

    A profile without a ramp has what suits this machine, provisioned or not: its pollers are at most as many as the
    mapping would have on AWS.
    """
    if provisioned is None:
        return PollerScaling(profile, max_concurrency)
    if profile.per_minute == 0:
        return PollerScaling(profile, provisioned[1] * INVOCATIONS_OF_A_POLLER)
    return ProvisionedPollers(*provisioned)


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


def admit(ledger: ConcurrencyLedger, scaling: FunctionScaling, function: str, *, warm: bool, now: float) -> bool:
    """Take a slot for an invocation, and a new environment where none is `warm`; False means throttled."""
    if not ledger.try_acquire(function):
        return False
    if warm or scaling.try_start(now):
        return True
    ledger.release(function)
    return False
