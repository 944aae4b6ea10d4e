"""What is set up side by side: whose function, what makes it late, and for how long its messages stay hidden. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

HERE = Path(__file__).parent
TEMPLATE = HERE / "stack.yaml"
NAIVE_CODE = HERE / "naive"

BATCH_SECONDS = 2.5
"""How long the tables take for each BatchWriteItem, and so an invocation for a message."""

FUNCTION_TIMEOUT = 4
"""Seconds: longer than a batch takes, with room for a busy machine."""

RULE_OF_SIX = 6 * FUNCTION_TIMEOUT
"""AWS's rule: the visibility timeout is at least six times the function's time-out (AWS Lambda Developer Guide,
"Creating and configuring an Amazon SQS event source mapping")."""

CHAOS = f"""
[[rule]]
service = "dynamodb"
operation = "BatchWriteItem"
effect = "latency"
seconds = {BATCH_SECONDS}
"""
"""The rule by which the tables are slow."""


ROWS_PER_MESSAGE = 10
"""Two messages, or one twice, are one BatchWriteItem."""

WINDOW_SECONDS = 5
"""How long a mapping with a batching window gathers messages. They are hidden from when they were received, and the
function has not even begun. AWS's rule adds the window to six times the time-out."""


class Cause(StrEnum):
    """What makes a message late: the table alone, or the mapping's batching window before it."""

    TABLE = "slow table"
    WINDOW = "batching window"


PERIODS = {Cause.TABLE: 5.0, Cause.WINDOW: 15.0}
"""Seconds from one message to the next: what is delivered again has ended by then."""


@dataclass(frozen=True)
class Arrangement:
    """One way to insert: whose function, what makes its messages late, and their visibility timeout in seconds."""

    naive: bool
    cause: Cause
    visibility: int

    @property
    def name(self) -> str:
        """The words for it."""
        return f"{'naive' if self.naive else 'ours'}, {self.cause}, {self.visibility} s"

    @property
    def stack_name(self) -> str:
        """The stack that it is deployed as."""
        return f"visibility-{'naive' if self.naive else 'ours'}-{self.cause.name.lower()}-{self.visibility}"

    @property
    def code(self) -> Path | None:
        """The folder of its function's code; None for the pipeline's."""
        return NAIVE_CODE if self.naive else None

    @property
    def deployed_visibility(self) -> int:
        """The visibility timeout to deploy with: Lambda refuses a mapping to a queue that hides messages for less than
        the function's time-out. Shorter ones are set afterwards, which nothing refuses."""
        return max(self.visibility, FUNCTION_TIMEOUT)

    @property
    def period(self) -> float:
        """Seconds from one message to the next."""
        return PERIODS[self.cause]

    def parameters(self) -> Mapping[str, str]:
        """Return the parameters of the template."""
        return {
            "Handler": "naive.insert.handler" if self.naive else "handlers.insert.handler",
            "Timeout": str(FUNCTION_TIMEOUT),
            "VisibilityTimeout": str(self.deployed_visibility),
            "BatchingWindow": str(WINDOW_SECONDS if self.cause is Cause.WINDOW else 0),
            "PartialFailures": "false" if self.naive else "true",
        }


NAIVE_TABLE = tuple(Arrangement(True, Cause.TABLE, seconds) for seconds in (1, 2, 4, RULE_OF_SIX))
NAIVE_WINDOW = tuple(
    Arrangement(True, Cause.WINDOW, seconds) for seconds in (4, 6, 9, 12, RULE_OF_SIX + WINDOW_SECONDS)
)
OURS_TABLE = tuple(Arrangement(False, Cause.TABLE, seconds) for seconds in (1, RULE_OF_SIX))
OURS_WINDOW = tuple(Arrangement(False, Cause.WINDOW, seconds) for seconds in (4, RULE_OF_SIX + WINDOW_SECONDS))
ARRANGEMENTS = (*NAIVE_TABLE, *NAIVE_WINDOW, *OURS_TABLE, *OURS_WINDOW)


@dataclass(frozen=True)
class Plan:
    """For how many seconds messages are sent."""

    seconds: float

    @property
    def expected_seconds(self) -> float:
        """About how long all of it takes: start, deployment and warm-up, sending, what comes back, and the count."""
        return 22 + self.seconds


FULL, QUICK = Plan(75.0), Plan(30.0)


def due(arrangement: Arrangement, elapsed: float, plan: Plan) -> int:
    """Return how many messages have to be sent by `elapsed` seconds after the first; the last of the plan has as long
    to come to rest as all before it."""
    return int(min(elapsed, plan.seconds - arrangement.period) // arrangement.period) + 1


def messages(arrangement: Arrangement, plan: Plan) -> int:
    """Return how many messages an arrangement is sent in all."""
    return due(arrangement, plan.seconds, plan)
