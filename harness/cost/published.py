"""What the published design used, as far as its figures tell. Pure.

Published: 558,000 rows, one row a message, cleaned in 90 s and inserted on demand within 5 minutes at a concurrency of
at most 267; 6.6 TB of logs over all of its author's tests. Memory sizes, and figures of later stages, are not.
"""

from __future__ import annotations

from decimal import Decimal

from harness.cost.measured import FunctionUse, Measured, QueueUse, TableUse, workload
from harness.cost.parameters import memory_mb
from harness.cost.usage import Workload

ROWS = 558_000
CLEAN_SECONDS = 90
INSERT_SECONDS = 300
PEAK_CONCURRENCY = 267
POLLERS_AT_FIRST, POLLERS_PER_MINUTE = 5, 60
"""The ramp of SQS event source mappings in 2021 (AWS Lambda developer guide of that time)."""

BATCH = 10
"""Messages a batch: the default of an event source mapping, and the most of SendMessageBatch. Assumed."""

LOG_GB_OF_ALL_TESTS = Decimal(6_600)
"""6.6 TB, in GB as AWS bills them."""

NOTES = (
    "published: rows, one row a message, 90 s of cleaning, 300 s of inserting on demand, concurrency 267",
    "derived: insert's busy time is the whole of the pollers' ramp, an upper bound",
    "assumed: memory as ours, batches of 10, items of at most 1 KB; not published: later stages, the logs of one run",
)


def insert_busy_seconds() -> int:
    """Return the seconds that insert's environments were busy together: the area under the pollers' ramp."""
    ramp = (PEAK_CONCURRENCY - POLLERS_AT_FIRST) * 60 // POLLERS_PER_MINUTE
    return (POLLERS_AT_FIRST + PEAK_CONCURRENCY) * ramp // 2 + PEAK_CONCURRENCY * (INSERT_SECONDS - ramp)


def published_workload() -> Workload:
    """Return the published run of 558,000 rows: clean, insert, and the table."""
    batches = ROWS // BATCH
    measured = Measured(
        rows=ROWS,
        seconds=CLEAN_SECONDS + INSERT_SECONDS,
        objects=(),
        functions={
            "clean": FunctionUse(1, CLEAN_SECONDS * 1000, memory_mb("clean", {})),
            "insert": FunctionUse(batches, insert_busy_seconds() * 1000, memory_mb("insert", {})),
        },
        # Each batch is sent, received and deleted.
        queues={"insert": QueueUse(3 * batches)},
        table=TableUse(Decimal(ROWS), Decimal(0)),
    )
    known = workload(measured)
    return Workload(known.rows, known.stages, NOTES, known.hours)
