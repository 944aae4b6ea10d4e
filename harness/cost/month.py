"""A month of files, each like one job. Pure."""

from __future__ import annotations

from dataclasses import asdict, replace
from decimal import Decimal

from harness.cost.usage import EXACT, Usage, Workload, proportion

HOURS = 720
"""Hours of a month of 30 days."""

IDLE_POLLERS, LONG_POLL_SECONDS = 5, 20
"""Lambda polls a queue with 5 long polls at once however empty it is (AWS Lambda developer guide, "Using Lambda with
Amazon SQS"), each of 20 s at most (SQS API reference, ReceiveMessage)."""

IDLE = "idle polling"


def month_of(workload: Workload, files: int) -> Workload:
    """Return what `files` such jobs a month use, all bytes kept for a month. Raises ValueError for no files.

    Empty receives are not those measured: the pollers of each queue ask all month. Custom metrics are billed for the
    hours that have a file, all of them at most; provisioned capacity is for all hours.
    """
    if files <= 0:
        raise ValueError(f"{files} files a month")
    stages = {name: _month(usage, files, workload.hours) for name, usage in workload.stages.items()}
    polled = sum(1 for usage in workload.stages.values() if usage.sqs_requests)
    if polled:
        polls = Decimal(polled * IDLE_POLLERS * HOURS * 3600 // LONG_POLL_SECONDS)
        stages[IDLE] = Usage(sqs_requests=polls, sqs_empty_receives=polls)
    return Workload(workload.rows * files, stages, workload.notes, HOURS)


def _month(usage: Usage, files: int, hours: int) -> Usage:
    busy = usage.times(Decimal(files))
    capacity = {
        name: proportion(asdict(usage)[name], HOURS, hours) for name in ("write_capacity_hours", "read_capacity_hours")
    }
    return replace(
        busy,
        **capacity,
        sqs_requests=max(Decimal(0), EXACT.subtract(busy.sqs_requests, busy.sqs_empty_receives)),
        sqs_empty_receives=Decimal(0),
        metric_hours=min(busy.metric_hours, proportion(usage.metric_hours, HOURS, hours)),
    )
