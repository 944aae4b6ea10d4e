"""What is set up side by side: functions, capacities, and how long rows are sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
TEMPLATE = HERE / "stack.yaml"
NAIVE_CODE = HERE / "naive"

PUBLISHED_ROWS = 558_000
PUBLISHED_SECONDS = 300
"""The published design's file, and the time in which it was inserted on demand."""

SCALE = 5
"""Rates and capacities are the published ones divided by this, so that two cores keep up in real time. Shares stay what
they are: rows arrive and capacity accrues five times as slowly."""

ROWS_PER_SECOND = PUBLISHED_ROWS // PUBLISHED_SECONDS // SCALE
_OURS_TIMEOUT = 120
"""Seconds: 25 rows take 50 at the smallest capacity here, one row a second for two environments."""


@dataclass(frozen=True)
class Arrangement:
    """One way to insert. `write_capacity` is in WCU as published, None on demand; `naive` says by whose function."""

    name: str
    naive: bool
    write_capacity: int | None

    @property
    def stack_name(self) -> str:
        """The stack that it is deployed as."""
        return f"capacity-{'naive' if self.naive else 'ours'}-{self.write_capacity or 'on-demand'}"

    @property
    def code(self) -> Path | None:
        """The folder of its function's code; None for the pipeline's."""
        return NAIVE_CODE if self.naive else None

    def parameters(self, plan: Plan) -> Mapping[str, str]:
        """Return the parameters of the template."""
        capacity = {"BillingMode": "PAY_PER_REQUEST"}
        if self.write_capacity is not None:
            capacity = {"BillingMode": "PROVISIONED", "WriteCapacity": str(self.write_capacity // SCALE)}
        if self.naive:
            own = {
                "Handler": "naive.insert.handler",
                "VisibilityTimeout": str(plan.naive_visibility),
                "PartialFailures": "false",
            }
        else:
            own = {
                "Handler": "handlers.insert.handler",
                "Timeout": str(_OURS_TIMEOUT),
                "VisibilityTimeout": str(6 * _OURS_TIMEOUT),
                "PartialFailures": "true",
            }
        return {**capacity, **own}


NAIVE_5 = Arrangement("naive, 5 WCU", True, 5)
NAIVE_100 = Arrangement("naive, 100 WCU", True, 100)
NAIVE_ON_DEMAND = Arrangement("naive, on demand", True, None)
OURS_5 = Arrangement("ours, 5 WCU, then on demand", False, 5)
OURS_100 = Arrangement("ours, 100 WCU, then on demand", False, 100)
ARRANGEMENTS = (NAIVE_5, NAIVE_100, NAIVE_ON_DEMAND, OURS_5, OURS_100)


@dataclass(frozen=True)
class Plan:
    """How long rows are sent, in seconds, and the visibility timeout of naive queues: after three of them, what was
    throttled each time lies in the dead-letter queue."""

    seconds: int
    naive_visibility: int

    @property
    def rows(self) -> int:
        """How many rows each arrangement is sent."""
        return self.seconds * ROWS_PER_SECOND

    @property
    def expected_seconds(self) -> float:
        """About how long all of it takes: start, sending, three visibility timeouts, what waited, and the count."""
        return 10 + self.seconds + 3 * self.naive_visibility + self.seconds / 10


FULL = Plan(PUBLISHED_SECONDS, 30)
"""The published time, and SQS's default visibility timeout."""

QUICK = Plan(20, 5)
