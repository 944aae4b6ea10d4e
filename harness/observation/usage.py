"""What the processes of a run use of this machine, by group: data services, Lambda service, functions, harness."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

HARNESS, FUNCTIONS, OTHER = "harness", "functions", "other"
LAMBDA_SERVICE, LOCUST = "lambda-service", "locust"


@dataclass(frozen=True)
class Usage:
    """One sample. `cpu` is cores (CPU seconds a second) since the sample before, `memory` resident bytes now, by group;
    pages that processes share count in each. `busy` and `steal` are shares of the whole machine's CPU time: used by
    anything, and withheld by a virtual machine's host.
    """

    cpu: Mapping[str, float]
    memory: Mapping[str, int]
    busy: float
    steal: float

    @property
    def memory_bytes(self) -> int:
        """Bytes of all groups together."""
        return sum(self.memory.values())


class UsageSampler:
    """Samples this process and its descendants. `groups` maps a name to the process id of each process that has a
    group of its own; descendants of the one named `lambda-service` are the functions, the rest is `other`.
    """

    def __init__(self, groups: Mapping[str, int]) -> None:
        self._own = psutil.Process()
        self._roots = {pid: name for name, pid in groups.items()}
        self._cpu = dict.fromkeys([*groups, HARNESS, *([FUNCTIONS] if LAMBDA_SERVICE in groups else [])], 0.0)
        self._first = self._seconds()
        # The most that was ever seen of each group: a process that ends takes its seconds along where nobody waits for
        # it, and one that is being waited for may be missing from a single sample.
        self._most = dict(self._first)
        self._at = time.monotonic()
        self._machine = psutil.cpu_times()

    def follow(self, name: str, pid: int) -> None:
        """Give a process that was started since, and its descendants, a group of its own.

        One that takes the place of another in its group counts on from what that one had used.
        """
        self._roots[pid] = name
        self._cpu[name] = self._most.get(name, 0.0)

    def renew(self, groups: Mapping[str, int]) -> None:
        """Follow those of `groups` whose process is another than before: it was started again."""
        for name, pid in groups.items():
            if self._roots.get(pid) != name:
                self.follow(name, pid)

    def sample(self) -> Usage:
        """Return a sample of this moment."""
        memory: dict[str, int] = {}
        found = self._seconds(memory)
        now, machine = time.monotonic(), psutil.cpu_times()
        span = max(1e-6, now - self._at)
        more = {name: max(0.0, seconds - self._most.get(name, 0.0)) for name, seconds in found.items()}
        for name, seconds in more.items():
            self._most[name] = self._most.get(name, 0.0) + seconds
        cpu = {name: round(seconds / span, 4) for name, seconds in more.items()}
        busy, steal = machine_shares(self._machine, machine)
        self._at, self._machine = now, machine
        return Usage(cpu, memory, round(busy, 4), round(steal, 4))

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU seconds of every group between the first sample and the last."""
        return {name: seconds - self._first.get(name, 0.0) for name, seconds in self._most.items()}

    def _seconds(self, memory: dict[str, int] | None = None) -> dict[str, float]:
        totals = dict(self._cpu)
        for process, group in self._members():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    own = times.user + times.system
                    ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
                    if memory is not None:
                        memory[group] = memory.get(group, 0) + process.memory_info().rss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            totals[group] = totals.get(group, 0.0) + own
            # Children that have ended are in their parent's sum: a function's workers, the service's environments.
            if group == FUNCTIONS:
                totals[group] += ended
            elif group == LAMBDA_SERVICE:
                totals[FUNCTIONS] += ended
        return totals

    def _members(self) -> Iterator[tuple[psutil.Process, str]]:
        yield self._own, HARNESS
        groups: dict[int, str] = {}
        # psutil lists every process after its parent.
        for process in self._own.children(recursive=True):
            if process.pid in self._roots:
                group = self._roots[process.pid]
            else:
                try:
                    above = groups.get(process.ppid(), OTHER)
                except psutil.NoSuchProcess:
                    continue
                group = FUNCTIONS if above == LAMBDA_SERVICE else above
            groups[process.pid] = group
            yield process, group


def machine_shares(before: Any, after: Any) -> tuple[float, float]:
    """Return the shares of CPU time between two readings of psutil.cpu_times() that were used, and that a virtual
    machine's host withheld; the second is 0 where the system does not count it (only Linux does).
    """
    # Guest times, from the ninth field on, are part of user time.
    total = sum(after[:8]) - sum(before[:8])
    if total <= 0:
        return 0.0, 0.0
    idle = sum(getattr(after, name, 0.0) - getattr(before, name, 0.0) for name in ("idle", "iowait"))
    steal = getattr(after, "steal", 0.0) - getattr(before, "steal", 0.0)
    return max(0.0, (total - idle - steal) / total), max(0.0, steal / total)
