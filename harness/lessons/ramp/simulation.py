"""A queue's backlog, drained in virtual time under the Lambda service's own rules of scaling. Pure and deterministic.

What `event_sources/sqs.py` and `pool.py` do with a clock, a queue and processes happens here with a heap of events:
pollers are started when the mapping looks how many it may run, each takes a batch, and the invocation needs a slot of
the account and an environment. Whatever decides is the service's: `Scaling`, `ConcurrencyLedger`, `FunctionScaling`,
`admit` and `throttle_pauses` of `harness/lambda_service/concurrency.py`.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.lambda_service.concurrency import (
    ACCOUNT_CONCURRENCY,
    LOOK_SECONDS,
    ConcurrencyLedger,
    FunctionScaling,
    Scaling,
    admit,
    throttle_pauses,
)

MESSAGES_OF_A_POLL = 10
"""Messages that one ReceiveMessage brings at most (Amazon SQS API reference)."""

_FUNCTION = "insert"
_LOOKS_OF_A_SAMPLE = round(1 / LOOK_SECONDS)


@dataclass(frozen=True)
class Backlog:
    """What waits in the queue at the start, and what a batch costs: `seconds_per_message` of one environment."""

    messages: int
    batch_size: int
    seconds_per_message: float
    message_bytes: int


@dataclass(frozen=True)
class Drained:
    """How a backlog was drained; seconds from its start.

    `peak` is the most invocations at a time, first reached at `peak_at`; `received_at` is when the last message was
    received, `seconds` when the last batch ended. `messages` were processed, `environments` started, `throttles`
    counted. `samples` has (second, invocations that run) once a second and at the end.
    """

    peak: int
    peak_at: float
    received_at: float
    seconds: float
    messages: int
    environments: int
    throttles: int
    samples: Sequence[tuple[float, float]]


def drain(backlog: Backlog, scaling: Scaling, account_concurrency: int = ACCOUNT_CONCURRENCY) -> Drained:
    """Return how a mapping with this scaling drains the backlog, all of it visible at second 0.

    Nothing else runs in the account, no batch fails, and starting an environment takes no time.
    """
    return _Run(backlog, scaling, account_concurrency).result()


_Step = Callable[[float], None]


@dataclass
class _Run:
    backlog: Backlog
    scaling: Scaling
    account_concurrency: int
    samples: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = ConcurrencyLedger(self.account_concurrency)
        self.function = FunctionScaling()
        self.random = random.Random(1)
        self.steps: list[tuple[float, int, _Step]] = []
        self.count = 0
        self.left = self.backlog.messages
        self.pollers = self.warm = self.done = 0
        self.peak = self.throttles = self.environments = self.looks = 0
        self.peak_at = self.received_at = self.ended_at = 0.0

    def result(self) -> Drained:
        self._at(0.0, self._look)
        while self.steps:
            now, _, step = heapq.heappop(self.steps)
            step(now)
        self.samples.append((self.ended_at, 0.0))
        return Drained(
            self.peak,
            self.peak_at,
            self.received_at,
            self.ended_at,
            self.done,
            self.environments,
            self.throttles,
            self.samples,
        )

    def _at(self, moment: float, step: _Step) -> None:
        self.count += 1
        heapq.heappush(self.steps, (moment, self.count, step))

    def _look(self, now: float) -> None:
        """Start as many pollers as are allowed, as the mapping's supervisor does; again while anything is under way."""
        if self.done == self.backlog.messages:
            return
        while self.left and self.pollers < self.scaling.allowed(now):
            self.pollers += 1
            self._poll(now)
        if self.looks % _LOOKS_OF_A_SAMPLE == 0:
            self.samples.append((now, float(self.ledger.running(_FUNCTION))))
        self.looks += 1
        self._at(self.looks * LOOK_SECONDS, self._look)

    def _poll(self, now: float) -> None:
        polls = -(-min(self.left, self.backlog.batch_size) // MESSAGES_OF_A_POLL)
        wait = max((self.scaling.take_poll(now) for _ in range(polls)), default=0.0)
        if wait > 0:
            self._at(now + wait, self._receive)
        else:
            self._receive(now)

    def _receive(self, now: float) -> None:
        self.scaling.observe(self.left > 0, now)
        if not self.left:
            return
        messages = min(self.left, self.backlog.batch_size)
        self.left -= messages
        self.received_at = now
        self.scaling.received(messages * self.backlog.message_bytes, now)
        self._invoke(now, messages, throttle_pauses())

    def _invoke(self, now: float, messages: int, pauses: Iterator[float]) -> None:
        if not admit(self.ledger, self.function, _FUNCTION, warm=self.warm > 0, now=now):
            self.throttles += 1
            pause = next(pauses)
            again = now + self.random.uniform(pause / 2, pause)
            self._at(again, lambda moment: self._invoke(moment, messages, pauses))
            return
        if self.warm:
            self.warm -= 1
        else:
            self.environments += 1
        running = self.ledger.running(_FUNCTION)
        if running > self.peak:
            self.peak, self.peak_at = running, now
        self._at(now + messages * self.backlog.seconds_per_message, lambda moment: self._end(moment, messages))

    def _end(self, now: float, messages: int) -> None:
        self.ledger.release(_FUNCTION)
        self.warm += 1
        self.done += messages
        self.ended_at = now
        self._poll(now)
