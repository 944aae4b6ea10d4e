"""What a stage's handler cost: time of its invocations, the part of it spent waiting for AWS, and CPU time. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WAITING_PHASES = ("MsWrite", "MsSend")
"""Phases of `handlers.telemetry.Work` in which a handler does little but call DynamoDB or SQS."""

_REPORT = re.compile(r"REPORT RequestId: (\S+)\s+Duration: ([0-9.]+) ms")


@dataclass
class HandlerTimes:
    """Sums over the invocations of one stage, in milliseconds.

    `handler_ms` adds the durations of Lambda's REPORT lines or platform.report events, initialisation left out; only
    those of requests whose metrics records were added count, whichever of the two lines comes first. The attempts of an
    asynchronous event are one request. `cpu_ms` is None until a function reports
    its CPU time; functions older than the metric never do.
    """

    handler_ms: float = 0.0
    waiting_ms: float = 0.0
    cpu_ms: float | None = None
    _wanted: set[str] = field(default_factory=set, compare=False, repr=False)
    _reported: dict[str, float] = field(default_factory=dict, compare=False, repr=False)

    def add(self, record: Mapping[str, Any]) -> None:
        """Take one metrics record (embedded metric format) of the stage."""
        self.waiting_ms += sum(_sum(record.get(phase, 0)) for phase in WAITING_PHASES)
        if "CpuMs" in record:
            self.cpu_ms = (self.cpu_ms or 0.0) + _sum(record["CpuMs"])
        request = str(record.get("request_id", ""))
        self.handler_ms += self._reported.pop(request, 0.0)
        self._wanted.add(request)

    def report(self, message: str) -> None:
        """Take a line of Lambda's own; all but the reports of invocations are ignored."""
        reported = _reported(message)
        if reported is None:
            return
        request, duration = reported
        if request in self._wanted:
            self.handler_ms += duration
        else:
            self._reported[request] = duration


def _reported(message: str) -> tuple[str, float] | None:
    """Return the request and duration that a report tells, in either log format, or None for any other line."""
    found = _REPORT.match(message)
    if found is not None:
        return found[1], float(found[2])
    if '"platform.report"' not in message:
        return None
    try:
        event = json.loads(message)
        if event["type"] != "platform.report":
            return None
        return str(event["record"]["requestId"]), float(event["record"]["metrics"]["durationMs"])
    except (ValueError, KeyError, TypeError):
        return None  # a function's own words


def _sum(value: Any) -> float:
    return float(sum(value)) if isinstance(value, list) else float(value)
