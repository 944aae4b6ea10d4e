"""From what was measured of a job to what AWS would bill for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import ceil

from harness.cost.usage import Usage, Workload

TABLE = "table"
"""Where the tables' units stand: insert and update write to the same table, which tells no more than the sum."""

UPLOADED_TO = "clean"
"""Whose stage the uploaded objects are."""

PART_BYTES = 64 * 1024 * 1024
"""Multipart uploads have parts of this size (`harness.upload`), a request each and two more to begin and to end."""

BLOCK_BYTES = 4 * 1024 * 1024
"""The clean function reads an object by ranges of this size (`handlers.splitter`), a request each."""

NOT_AWS = "durations are this machine's: AWS's CPUs, network and services take other times"


@dataclass(frozen=True)
class FunctionUse:
    """One function's invocations, their billed milliseconds (the init phase included), its memory and architecture."""

    invocations: int
    billed_ms: int
    memory_mb: int
    arm: bool = False


@dataclass(frozen=True)
class QueueUse:
    """Requests to a stage's queue and to its dead-letter queue, by 64 KB; `empty_receives` are not in `requests`."""

    requests: int = 0
    empty_receives: int = 0


@dataclass(frozen=True)
class TableUse:
    """Capacity units of all tables, Lambda's reads of their streams, and the bytes of their items at the end.

    `provisioned` is write and read capacity where the tables are not on demand: then it is billed, and units are not.
    """

    write_units: Decimal
    read_units: Decimal
    stream_reads: int = 0
    stored_bytes: int = 0
    provisioned: tuple[int, int] | None = None


@dataclass(frozen=True)
class Measured:
    """All that was measured of a job. `seconds` is how long it took, `objects` the sizes of its uploads in bytes;
    functions, queues, log bytes and numbers of custom metrics are by stage."""

    rows: int
    seconds: float
    objects: Sequence[int]
    functions: Mapping[str, FunctionUse]
    table: TableUse
    queues: Mapping[str, QueueUse] = field(default_factory=dict)
    log_bytes: Mapping[str, int] = field(default_factory=dict)
    metrics: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def workload(measured: Measured) -> Workload:
    """Return what AWS would bill. Raises ValueError where a job has no rows, or a measure is negative."""
    hours = max(1, ceil(measured.seconds / 3600))
    stages = {stage: _lambda(use) for stage, use in measured.functions.items()}
    for stage, queue in measured.queues.items():
        stages[stage] = replace(
            stages.get(stage, Usage()),
            sqs_requests=Decimal(queue.requests + queue.empty_receives),
            sqs_empty_receives=Decimal(queue.empty_receives),
        )
    for stage, count in measured.log_bytes.items():
        stages[stage] = replace(stages.get(stage, Usage()), log_bytes=Decimal(count), log_stored_bytes=Decimal(count))
    for stage, count in measured.metrics.items():
        stages[stage] = replace(stages.get(stage, Usage()), metric_hours=Decimal(count * hours))
    stages[UPLOADED_TO] = stages.get(UPLOADED_TO, Usage()) + _objects(measured.objects)
    stages[TABLE] = _table(measured.table, hours)
    return Workload(measured.rows, stages, (NOT_AWS, *measured.notes), hours)


def _lambda(use: FunctionUse) -> Usage:
    mb_ms = Decimal(use.memory_mb * use.billed_ms)
    nothing = Decimal(0)
    return Usage(
        invocations=Decimal(use.invocations),
        billed_mb_ms_x86=nothing if use.arm else mb_ms,
        billed_mb_ms_arm=mb_ms if use.arm else nothing,
    )


def _objects(sizes: Sequence[int]) -> Usage:
    return Usage(
        s3_puts=Decimal(sum(1 if size < PART_BYTES else 2 + ceil(size / PART_BYTES) for size in sizes)),
        s3_gets=Decimal(sum(max(1, ceil(size / BLOCK_BYTES)) for size in sizes)),
        s3_stored_bytes=Decimal(sum(sizes)),
    )


def _table(table: TableUse, hours: int) -> Usage:
    usage = Usage(stream_reads_by_lambda=Decimal(table.stream_reads), table_stored_bytes=Decimal(table.stored_bytes))
    if table.provisioned is None:
        return replace(usage, write_request_units=table.write_units, read_request_units=table.read_units)
    write, read = table.provisioned
    return replace(usage, write_capacity_hours=Decimal(write * hours), read_capacity_hours=Decimal(read * hours))
