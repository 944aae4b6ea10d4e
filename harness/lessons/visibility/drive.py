"""Sends messages to all arrangements at once, in real time, waits until nothing is under way, and counts every row."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handlers.record_batch import KEY, parse_record_id
from harness.engines.base import Deployment, Engine
from harness.errors import EnvironmentProblem, StageStuck
from harness.lessons.feed import lesson_source
from harness.lessons.model import Progress
from harness.lessons.stacks import send, strings_of
from harness.lessons.visibility.arrangements import ROWS_PER_MESSAGE, TEMPLATE, Arrangement, Plan, due, messages
from harness.queues import depth

NAIVE_KEY = "row_id"
"""The attribute in which the naive function keeps what the row is; its items' own keys are new each time."""

TICK_SECONDS = 0.1
STALL_SECONDS = 120.0
"""Nothing is hidden for longer than 29 s, and no invocation takes longer than 4."""

WARM_UP_MESSAGES = 6
"""Messages that come first, so that every execution environment has started: a cold start would count as part of a
batch. In batches of two at most they start the three that run at once where messages are hidden for 1 s."""


@dataclass(frozen=True)
class Account:
    """What became of an arrangement's messages: `rows` sent, `items` in the table, of so many `distinct` rows;
    `invocations` of the function for `messages` that were sent one by one."""

    rows: int
    items: int
    distinct: int
    messages: int
    invocations: int

    @property
    def items_per_row(self) -> float:
        """Items for each row that was sent: 1 where every row is there once."""
        return self.items / self.rows

    @property
    def invocations_per_message(self) -> float:
        """How often the function ran for a message."""
        return self.invocations / self.messages

    @property
    def exact(self) -> bool:
        """Whether every row is there, and once."""
        return self.items == self.distinct == self.rows


def account(sent: int, found: Counter[int], invocations: int) -> Account:
    """Return the account of `sent` messages, of which rows were found so many times each by their numbers from 1.

    Raises EnvironmentProblem where a row was found that was never sent.
    """
    rows = sent * ROWS_PER_MESSAGE
    stray = [row for row in found if not 1 <= row <= rows]
    if stray:
        raise EnvironmentProblem(
            f"row {min(stray)} was found, but 1 to {rows} were sent",
            hint="something else wrote to the lesson's tables; run it again",
        )
    return Account(rows, found.total(), len(found), sent, invocations)


class Drive:
    """Arrangements on one engine whose tables are slow, and which nothing else uses. `name` is the rows' object."""

    def __init__(
        self, engine: Engine, plan: Plan, arrangements: Sequence[Arrangement], name: str, progress: Progress
    ) -> None:
        self._engine, self._plan, self._progress = engine, plan, progress
        self._arrangements = arrangements
        self._source = lesson_source(name).source_id
        self._deployed: dict[Arrangement, Deployment] = {}
        self._sqs: Any = engine.client("sqs")
        self._started = time.monotonic()

    def run(self, bodies: Sequence[str], warm_up: Sequence[str]) -> dict[Arrangement, Account]:
        """Deploy, warm up, send, wait and count; `warm_up` are messages of another object, counted nowhere.

        Raises StageStuck where something stays under way, EnvironmentProblem where rows are there that were not sent,
        EngineError.
        """
        for arrangement in self._arrangements:
            self._say("deploying")
            self._deployed[arrangement] = self._engine.deploy(
                TEMPLATE, arrangement.parameters(), stack_name=arrangement.stack_name, code=arrangement.code
            )
        for arrangement in self._arrangements:
            send(self._sqs, self._queue(arrangement), warm_up)
        self._await("starting functions")
        before = self._invocations()
        for arrangement in self._arrangements:
            if arrangement.visibility != arrangement.deployed_visibility:
                attributes = {"VisibilityTimeout": str(arrangement.visibility)}
                self._sqs.set_queue_attributes(QueueUrl=self._queue(arrangement), Attributes=attributes)
        self._send(bodies)
        self._await("waiting for what is delivered again")
        invoked = self._invocations()
        accounts = {}
        for arrangement in self._arrangements:
            self._say("counting every row")
            runs = invoked[arrangement] - before[arrangement]
            accounts[arrangement] = account(messages(arrangement, self._plan), self._rows(arrangement), runs)
        return accounts

    def _send(self, bodies: Sequence[str]) -> None:
        sent = dict.fromkeys(self._arrangements, 0)
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < self._plan.seconds:
            self._engine.check()
            for arrangement in self._arrangements:
                number = due(arrangement, elapsed, self._plan)
                send(self._sqs, self._queue(arrangement), bodies[sent[arrangement] : number])
                sent[arrangement] = number
            self._say(f"{sum(sent.values()):,} messages sent")
            time.sleep(TICK_SECONDS)

    def _await(self, what: str) -> None:
        """Return when no queue holds a message and no function runs."""
        deadline = time.monotonic() + STALL_SECONDS
        while waiting := self._under_way():
            self._engine.check()
            if time.monotonic() > deadline:
                raise StageStuck(
                    f"{what}: {waiting:,} messages are still under way after {STALL_SECONDS:.0f} s",
                    hint="the lesson's folder has the engine's logs",
                )
            self._say(f"{what}: {waiting:,} messages left")
            time.sleep(TICK_SECONDS)

    def _under_way(self) -> int:
        """Return how many messages lie in queues, are in a poller's hand or with a function, roughly: 0 is exact."""
        queued = sum(depth(self._sqs, self._queue(a)).total for a in self._arrangements)
        activity = self._engine.activity()
        return queued + (activity.messages + activity.running if activity is not None else 0)

    def _invocations(self) -> Mapping[Arrangement, int]:
        functions = self._engine.report().functions
        return {a: int(functions.get(f"{a.stack_name}-insert", {}).get("invocations", 0)) for a in self._arrangements}

    def _rows(self, arrangement: Arrangement) -> Counter[int]:
        attribute = NAIVE_KEY if arrangement.naive else KEY
        table = self._deployed[arrangement].output("TableName")
        named = map(parse_record_id, strings_of(self._engine, table, attribute))
        return Counter(row for source, row in named if source == self._source)

    def _queue(self, arrangement: Arrangement) -> str:
        return self._deployed[arrangement].output("QueueUrl")

    def _say(self, what: str) -> None:
        share = (time.monotonic() - self._started) / self._plan.expected_seconds
        self._progress(min(0.99, share), what)
