"""Inserts the same rows four times on one engine, and counts what lies in CloudWatch Logs afterwards."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engines.base import Deployment, Engine
from harness.errors import EnvironmentProblem, StageStuck
from harness.lessons.feed import lesson_source, record_batches
from harness.lessons.functions import beside_ours
from harness.lessons.stacks import send, strings_of
from harness.queues import depth

HERE = Path(__file__).parent
TEMPLATE = HERE / "stack.yaml"
INSERTS = HERE / "inserts"

ONE, PACKED = 1, 250
"""Rows a message: of the published design, and of our template by default."""

TICK_SECONDS = 0.2
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Arrangement:
    """One way to insert: how many rows a message holds, and whether the function prints its events."""

    rows_per_message: int
    prints: bool

    @property
    def stack_name(self) -> str:
        """The stack that it is deployed as."""
        return f"logs-{'printing' if self.prints else 'silent'}-{self.rows_per_message}"

    @property
    def handler(self) -> str:
        """The function: the pipeline's, or the one that prints before it."""
        return "inserts.printing.handler" if self.prints else "handlers.insert.handler"


ARRANGEMENTS = tuple(Arrangement(rows, prints) for rows in (ONE, PACKED) for prints in (True, False))


@dataclass(frozen=True)
class Logged:
    """What an arrangement left in its log group: lines and their bytes, UTF-8, for so many rows in the table."""

    rows: int
    lines: int
    bytes: int

    @property
    def bytes_per_row(self) -> float:
        """Bytes of log for each row."""
        return self.bytes / self.rows


Progress = Callable[[float, str], None]


def insert_by_all(engine: Engine, rows: int, progress: Progress) -> dict[Arrangement, Logged]:
    """Deploy every arrangement, insert `rows` rows by each in turn, and return what each logged.

    Raises EngineError where the engine refuses, StageStuck where messages are not taken, EnvironmentProblem where rows
    are missing afterwards.
    """
    progress(0.0, "deploying")
    deployed = _deploy(engine)
    found = {}
    for number, (arrangement, deployment) in enumerate(deployed.items()):
        words = f"{arrangement.rows_per_message} rows a message, events {'' if arrangement.prints else 'not '}printed"
        progress((number + 1) / (len(deployed) + 1), words)
        bodies = record_batches(rows, lesson_source("logs"), arrangement.rows_per_message)
        found[arrangement] = _insert(engine, deployment, rows, bodies)
    return found


def _deploy(engine: Engine) -> dict[Arrangement, Deployment]:
    with tempfile.TemporaryDirectory(prefix="harness-lesson-") as folder:
        code = beside_ours(INSERTS, Path(folder))
        return {
            arrangement: engine.deploy(
                TEMPLATE, {"Handler": arrangement.handler}, stack_name=arrangement.stack_name, code=code
            )
            for arrangement in ARRANGEMENTS
        }


def _insert(engine: Engine, deployment: Deployment, rows: int, bodies: Sequence[str]) -> Logged:
    sqs, url = engine.client("sqs"), deployment.output("QueueUrl")
    send(sqs, url, bodies)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (waiting := depth(sqs, url).total) or not _quiet(engine):
        engine.check()
        if time.monotonic() > deadline:
            raise StageStuck(
                f"{waiting:,} messages still wait after {PATIENCE_SECONDS:.0f} s",
                hint="the lesson's folder has the engine's logs",
            )
        time.sleep(TICK_SECONDS)
    inserted = sum(1 for _ in strings_of(engine, deployment.output("TableName"), "record_id"))
    if inserted != rows:
        raise EnvironmentProblem(f"{inserted:,} of {rows:,} rows are in the table", hint="run the lesson again")
    lines = list(_messages(engine.client("logs"), deployment.output("LogGroupName")))
    return Logged(rows, len(lines), sum(len(line.encode()) for line in lines))


def _quiet(engine: Engine) -> bool:
    """Return whether every line has reached CloudWatch Logs; an engine that does not know is taken at its queues."""
    activity = engine.activity()
    return activity is None or activity.idle


def _messages(logs: Any, group: str) -> Iterator[str]:
    """Yield every line of a log group, once: streams are read one by one, each from its head."""
    for page in logs.get_paginator("describe_log_streams").paginate(logGroupName=group):
        for stream in page["logStreams"]:
            named = {"logGroupName": group, "logStreamName": stream["logStreamName"], "startFromHead": True}
            answer = logs.get_log_events(**named)
            while answer["events"]:
                yield from (event["message"] for event in answer["events"])
                answer = logs.get_log_events(**named, nextToken=answer["nextForwardToken"])
