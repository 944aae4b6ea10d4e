"""Sends rows to all arrangements at once, in real time, and follows them until nothing waits anywhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.engines.base import Deployment, Engine
from harness.engines.consumption import TableConsumption
from harness.errors import StageStuck
from harness.lessons.capacity.account import Account, read_account
from harness.lessons.capacity.arrangements import ROWS_PER_SECOND, TEMPLATE, Arrangement, Plan
from harness.lessons.feed import ROWS_PER_MESSAGE
from harness.lessons.model import Progress
from harness.lessons.stacks import send
from harness.queues import depth

TICK_SECONDS = 0.5
STALL_SECONDS = 780.0
"""Nothing is hidden for longer: the visibility timeout of our queues is 720 s."""


@dataclass(frozen=True)
class Sample:
    """The rows in each arrangement's table, `at` seconds after the first was sent."""

    at: float
    in_table: Mapping[Arrangement, int]


@dataclass(frozen=True)
class Observed:
    """What happened: where all rows are, and on the way there. `switched_at` is the second at which the tables of our
    arrangements were set to on demand, and `waiting` how many of their messages were queued then."""

    accounts: Mapping[Arrangement, Account]
    samples: Sequence[Sample]
    consumed: Mapping[Arrangement, TableConsumption]
    switched_at: float
    waiting: Mapping[Arrangement, int]


class Drive:
    """Arrangements on one engine, which must throttle as AWS does and be used by nothing else."""

    def __init__(self, engine: Engine, plan: Plan, arrangements: Sequence[Arrangement], progress: Progress) -> None:
        self._engine, self._plan, self._progress = engine, plan, progress
        self._arrangements = arrangements
        self._deployed: dict[Arrangement, Deployment] = {}
        self._sqs, self._dynamodb = engine.client("sqs"), engine.client("dynamodb")
        self._samples: list[Sample] = []
        self._started = self._began = time.monotonic()

    def run(self, bodies: Sequence[str]) -> Observed:
        """Deploy, send, wait, and count; raises StageStuck where messages wait and nothing moves, EngineError."""
        for arrangement in self._arrangements:
            self._say("deploying")
            self._deployed[arrangement] = self._engine.deploy(
                TEMPLATE,
                arrangement.parameters(self._plan),
                stack_name=arrangement.stack_name,
                code=arrangement.code,
            )
        self._send(bodies)
        naive = [a for a in self._arrangements if a.naive]
        ours = [a for a in self._arrangements if not a.naive]
        self._await(naive, "waiting for the last retries")
        switched_at, waiting = time.monotonic() - self._began, {a: self._waiting(a) for a in ours}
        for arrangement in ours:
            self._set_on_demand(arrangement)
        self._await(ours, "on demand: what waited arrives")
        accounts = {}
        for arrangement in self._arrangements:
            self._say("counting every row")
            accounts[arrangement] = read_account(self._engine, self._deployed[arrangement], self._plan.rows)
        return Observed(accounts, self._samples, self._consumed(), switched_at, waiting)

    def _send(self, bodies: Sequence[str]) -> None:
        """Send the bodies to every queue at the plan's rate, and sample meanwhile."""
        self._began = time.monotonic()
        sent = 0
        while sent < len(bodies):
            elapsed = time.monotonic() - self._began
            due = min(len(bodies), int(elapsed * ROWS_PER_SECOND / ROWS_PER_MESSAGE) + 1)
            for arrangement in self._arrangements:
                send(self._sqs, self._deployed[arrangement].output("QueueUrl"), bodies[sent:due])
            sent = due
            self._sample()
            self._say(f"{min(sent * ROWS_PER_MESSAGE, self._plan.rows):,} of {self._plan.rows:,} rows sent to each")
            self._sleep_since(elapsed)

    def _await(self, arrangements: Sequence[Arrangement], what: str) -> None:
        """Return when no message is left in the queues of `arrangements`: each was deleted, or is a dead letter."""
        last, since = (), time.monotonic()
        while True:
            elapsed = time.monotonic() - self._began
            sample = self._sample()
            waiting = tuple(self._waiting(a) for a in arrangements)
            if not any(waiting):
                return
            self._say(f"{what}: {sum(waiting):,} messages left")
            now: Any = (waiting, *sample.in_table.values())
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > STALL_SECONDS:
                raise StageStuck(
                    f"{sum(waiting):,} messages wait, and nothing has moved for {STALL_SECONDS:.0f} s",
                    hint="the lesson's folder has the engine's logs",
                )
            self._sleep_since(elapsed)

    def _waiting(self, arrangement: Arrangement) -> int:
        return depth(self._sqs, self._deployed[arrangement].output("QueueUrl")).total

    def _set_on_demand(self, arrangement: Arrangement) -> None:
        name = self._deployed[arrangement].output("TableName")
        self._dynamodb.update_table(TableName=name, BillingMode="PAY_PER_REQUEST")

    def _sample(self) -> Sample:
        self._engine.check()
        at = time.monotonic() - self._began
        sample = Sample(at, {a: self._items(d) for a, d in self._deployed.items()})
        self._samples.append(sample)
        return sample

    def _items(self, deployment: Deployment) -> int:
        # Our tables keep the count live; AWS updates it every six hours.
        table = self._dynamodb.describe_table(TableName=deployment.output("TableName"))["Table"]
        return int(table["ItemCount"])

    def _consumed(self) -> dict[Arrangement, TableConsumption]:
        consumption = self._engine.consumption()
        tables = consumption.tables if consumption is not None else {}
        named = {a: d.output("TableName") for a, d in self._deployed.items()}
        return {a: tables.get(name, TableConsumption()) for a, name in named.items()}

    def _say(self, what: str) -> None:
        share = (time.monotonic() - self._started) / self._plan.expected_seconds
        self._progress(min(0.99, share), what)

    def _sleep_since(self, elapsed: float) -> None:
        """Sleep until a tick after the moment `elapsed` seconds from the beginning."""
        time.sleep(max(0.0, elapsed + TICK_SECONDS - (time.monotonic() - self._began)))
