"""Warm execution environments per function, and the figures of their invocations."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hdrh.histogram import HdrHistogram

from harness.errors import EngineError
from harness.lambda_service.activity import Clock, Deadlines, Work
from harness.lambda_service.concurrency import ConcurrencyLedger, FunctionScaling, admit
from harness.lambda_service.environment import INIT_TIMEOUT_SECONDS, ExecutionEnvironment, Outcome, Sandbox
from harness.lambda_service.model import Function
from harness.lambda_service.runtime_api import error_body

_log = logging.getLogger(__name__)
IDLE_SECONDS = 300.0
"""How long an unused environment is kept. AWS does not document its own figure; 5 to 15 minutes are reported."""


class Throttled(Exception):
    """No concurrency was left for an invocation (TooManyRequestsException)."""


@dataclass
class FunctionFigures:
    """Running figures of one function; durations in milliseconds."""

    invocations: int = 0
    errors: int = 0
    timeouts: int = 0
    throttles: int = 0
    cold_starts: int = 0
    billed_ms: int = 0
    max_concurrency: int = 0
    max_memory_mb: int = 0
    max_iterator_age_ms: int = 0
    durations: HdrHistogram = field(default_factory=lambda: HdrHistogram(1, 15 * 60 * 1_000_000, 3))
    inits: HdrHistogram = field(default_factory=lambda: HdrHistogram(1, 15 * 60 * 1_000_000, 3))

    def to_json(self) -> dict[str, Any]:
        """Return plain data; percentiles are left out where nothing was recorded."""
        data: dict[str, Any] = {
            "invocations": self.invocations,
            "errors": self.errors,
            "timeouts": self.timeouts,
            "throttles": self.throttles,
            "cold_starts": self.cold_starts,
            "billed_ms": self.billed_ms,
            "max_concurrency": self.max_concurrency,
            "max_memory_mb": self.max_memory_mb,
            "max_iterator_age_ms": self.max_iterator_age_ms,
        }
        for name, histogram in (("duration_ms", self.durations), ("init_ms", self.inits)):
            if histogram.total_count:
                data[name] = {
                    "p50": histogram.get_value_at_percentile(50) / 1000,
                    "p95": histogram.get_value_at_percentile(95) / 1000,
                    "max": histogram.get_max_value() / 1000,
                }
        return data


class UnknownFunction(KeyError):
    """The function of an invocation does not exist, or no longer."""


def _not_started(error: Exception, request_id: str) -> Outcome:
    body = error_body("Sandbox.StartFailed", str(error))
    return Outcome(request_id or str(uuid.uuid4()), body, "Sandbox.StartFailed", 0.0, 0, None, 0)


class EnvironmentPool:
    """Runs invocations: takes concurrency, reuses or starts an environment, keeps the figures.

    `make` makes an environment that is not started; `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        ledger: ConcurrencyLedger,
        make: Callable[[Function, Sandbox], ExecutionEnvironment] = ExecutionEnvironment,
        clock: Clock = time.monotonic,
    ) -> None:
        self._make = make
        self._clock = clock
        self.figures: dict[str, FunctionFigures] = defaultdict(FunctionFigures)
        self._sandbox = sandbox
        self._ledger = ledger
        self._functions: dict[str, Function] = {}
        self._warm: dict[str, list[ExecutionEnvironment]] = defaultdict(list)
        self._busy: set[ExecutionEnvironment] = set()
        self._scaling: dict[str, FunctionScaling] = defaultdict(FunctionScaling)
        self.work = Work()
        """Invocations of all functions, from before their environment is taken until after it is given back."""
        self.timeouts = Deadlines(clock)
        """Invocations that run; each ends by its function's time-out."""

    def add(self, function: Function) -> None:
        """Make a function known; raises UsageError where its reservation does not fit the account."""
        self._ledger.reserve(function.name, function.reserved_concurrency)
        self._functions[function.name] = function

    def get(self, name: str) -> Function | None:
        """Return a function by name, or None."""
        return self._functions.get(name)

    async def remove(self, name: str) -> None:
        """Forget a function and close its environments, running ones included."""
        self._functions.pop(name, None)
        self._ledger.forget(name)
        self._scaling.pop(name, None)
        environments = self._warm.pop(name, []) + [e for e in self._busy if e.function.name == name]
        await asyncio.gather(*(e.close() for e in environments))

    async def invoke(
        self, name: str, payload: bytes, *, request_id: str = "", client_context: str = "", tail: bool = False
    ) -> Outcome:
        """Run one invocation, see `ExecutionEnvironment.invoke`.

        Raises Throttled without running anything, UnknownFunction for a function that is not there.
        """
        function = self._functions.get(name)
        if function is None:
            raise UnknownFunction(name)
        figures = self.figures[name]
        if not admit(self._ledger, self._scaling[name], name, warm=bool(self._warm[name]), now=self._clock()):
            figures.throttles += 1
            raise Throttled(name)
        figures.max_concurrency = max(figures.max_concurrency, self._ledger.running(name))
        longest = max(INIT_TIMEOUT_SECONDS, function.timeout) + function.timeout
        try:
            with self.work.one(), self.timeouts.within(longest):
                try:
                    environment = await self._take(function)
                except (OSError, EngineError) as error:
                    # Out of processes or memory on this machine: to the event source it is a failed invocation.
                    _log.error("no execution environment for %s: %s", name, error)
                    figures.errors += 1
                    return _not_started(error, request_id)
                try:
                    outcome = await environment.invoke(
                        payload, request_id=request_id, client_context=client_context, tail=tail
                    )
                except BaseException:
                    # Cut off in the middle: whatever the process is doing must not meet the next invocation.
                    environment.alive = False
                    raise
                finally:
                    await self._give_back(environment)
        finally:
            if name in self._functions:
                self._ledger.release(name)
        self._count(figures, outcome)
        return outcome

    def switched_off(self, name: str) -> bool:
        """Return whether a function has a reserved concurrency of 0, so that nothing of it will run."""
        return self._ledger.reserved(name) == 0

    def running(self, name: str) -> int:
        """Return how many invocations of a function run now."""
        return self._ledger.running(name)

    async def close_idle(self, now: float) -> None:
        """Close environments unused for `IDLE_SECONDS`; `now` is monotonic seconds."""
        for warm in self._warm.values():
            for environment in [e for e in warm if now - e.last_used > IDLE_SECONDS]:
                warm.remove(environment)
                await environment.close()

    async def close(self) -> None:
        """Close every environment."""
        environments = [e for warm in self._warm.values() for e in warm] + list(self._busy)
        self._warm.clear()
        await asyncio.gather(*(e.close() for e in environments))

    async def _take(self, function: Function) -> ExecutionEnvironment:
        warm = self._warm[function.name]
        while warm:
            environment = warm.pop()
            if environment.alive:
                self._busy.add(environment)
                return environment
            await environment.close()
        environment = self._make(function, self._sandbox)
        self._busy.add(environment)
        try:
            await environment.start()
        except BaseException:
            self._busy.discard(environment)
            await environment.close()
            raise
        return environment

    async def _give_back(self, environment: ExecutionEnvironment) -> None:
        self._busy.discard(environment)
        if environment.alive and environment.function.name in self._functions:
            environment.last_used = self._clock()
            self._warm[environment.function.name].append(environment)
        else:
            await environment.close()

    @staticmethod
    def _count(figures: FunctionFigures, outcome: Outcome) -> None:
        figures.invocations += 1
        figures.errors += not outcome.ok
        figures.timeouts += outcome.error_type == "Sandbox.Timedout"
        figures.billed_ms += outcome.billed_ms
        figures.max_memory_mb = max(figures.max_memory_mb, outcome.max_memory_mb)
        figures.durations.record_value(max(1, int(outcome.duration_ms * 1000)))
        if outcome.init_ms is not None:
            figures.cold_starts += 1
            figures.inits.record_value(max(1, int(outcome.init_ms * 1000)))
