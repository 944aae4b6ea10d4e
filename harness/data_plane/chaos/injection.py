"""Stands before a service's `handle` function and does to its requests what the rules say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from harness.data_plane.chaos.answers import error_answer
from harness.data_plane.chaos.calls import Call, call_of
from harness.data_plane.chaos.decisions import Fired, RuleState, decide
from harness.data_plane.chaos.partial import Split, split
from harness.data_plane.chaos.rules import ANY, Drop, Error, Latency, Partial, Rule
from harness.data_plane.http_server import Answer, Handle, Headers

CONTROL_PATH = "/_chaos"
"""GET it for what was injected so far, by rule. No AWS API has it."""
OBSERVER = "harness-observer"
"""Word in the User-Agent of clients whose requests no rule touches: those that deploy, watch and audit."""
_OBSERVER_MARK = OBSERVER.encode()

Outcome = Answer | Awaitable[Answer]


class Injector:
    """The rules of one process. `clock` is in seconds; rules count from `began`, a moment of it."""

    def __init__(
        self,
        rules: tuple[Rule, ...],
        handle: Handle,
        clock: Callable[[], float] = time.monotonic,
        began: float | None = None,
    ) -> None:
        self._handle = handle
        self._clock = clock
        self._began = clock() if began is None else began
        self._all = [RuleState(rule) for rule in rules]
        self._by_operation: dict[tuple[str, str], list[RuleState]] = {}

    def handle(self, target: str, headers: Headers, body: bytes) -> Outcome:
        """Serve one request as the rules say; see `harness.data_plane.http_server.Handle`."""
        if target == CONTROL_PATH:
            return 200, ((b"Content-Type", b"application/json"),), orjson.dumps({"rules": self.report()})
        # Paths of no AWS API are those of whoever looks on.
        if target.startswith("/_") or _OBSERVER_MARK in headers.get(b"user-agent", b""):
            return self._handle(target, headers, body)
        call = call_of(target, headers, body)
        states = self._states(call) if call is not None else []
        if call is None or not states:
            return self._handle(target, headers, body)
        asked = any(state.rule.resource != ANY for state in states)
        fired = decide(states, call.resources() if asked else None, self._clock() - self._began)
        return self._inject(call, fired) if fired else self._handle(target, headers, body)

    def report(self) -> list[dict[str, int]]:
        """Return how many requests each rule matched and how many it did something to."""
        return [{"rule": s.rule.number, "matched": s.matched, "injected": s.injected} for s in self._all]

    def _states(self, call: Call) -> list[RuleState]:
        key = call.service, call.operation
        found = self._by_operation.get(key)
        if found is None:
            found = [state for state in self._all if state.covers(*key)]
            if len(self._by_operation) < 1000:
                self._by_operation[key] = found
        return found

    def _inject(self, call: Call, fired: list[Fired]) -> Outcome:
        delay = 0.0
        for one in fired:
            effect = one.state.rule.effect
            if isinstance(effect, Latency):
                one.state.injected += 1
                delay += effect.low + (effect.high - effect.low) * one.detail
        act = self._act(call, fired)
        return _later(delay, act) if delay else act()

    def _act(self, call: Call, fired: list[Fired]) -> Callable[[], Outcome]:
        """Return what the first rule does that is not about time; the request itself where there is none."""
        for one in fired:
            effect, state = one.state.rule.effect, one.state
            if isinstance(effect, Error):
                state.injected += 1
                answer = error_answer(call, effect)
                return lambda: answer
            if isinstance(effect, Drop):
                state.injected += 1
                return (lambda: self._lose(call)) if effect.after else _closed
            if isinstance(effect, Partial) and (parts := split(call, one, effect)) is not None:
                state.injected += 1
                return lambda: self._carry_out(call, parts)
        return lambda: self._handle(call.target, call.headers, call.body)

    def _lose(self, call: Call) -> Outcome:
        answer = self._handle(call.target, call.headers, call.body)
        return _closed() if isinstance(answer, tuple) else _lost(answer)

    def _carry_out(self, call: Call, parts: Split) -> Outcome:
        if parts.body is None:
            return parts.merged(None)
        answer = self._handle(parts.target, call.headers, parts.body)
        return _merge(parts, answer) if isinstance(answer, tuple) else _merged(parts, answer)


def _merge(parts: Split, answer: Answer) -> Answer:
    # What the service refuses whole it refuses whole.
    return parts.merged(answer) if answer[0] == 200 else answer


async def _merged(parts: Split, answer: Awaitable[Answer]) -> Answer:
    return _merge(parts, await answer)


async def _later(seconds: float, act: Callable[[], Outcome]) -> Answer:
    await asyncio.sleep(seconds)
    answer = act()
    return answer if isinstance(answer, tuple) else await answer


def _closed() -> Awaitable[Answer]:
    """Return an awaitable that is cancelled: the server then closes the connection without an answer."""
    closed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    closed.cancel()
    return closed


async def _lost(answer: Awaitable[Answer]) -> Answer:
    await answer
    raise asyncio.CancelledError
