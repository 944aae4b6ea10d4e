"""What a run would use on AWS, before it has run: counts by the pipeline's rules, durations with room. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import ceil

from harness.cost.measured import FunctionUse, Measured, QueueUse, TableUse, workload
from harness.cost.parameters import memory_mb, number, on_arm, provisioned
from harness.cost.usage import Workload
from harness.stages import STAGES

BATCH = 10
"""Messages of a batch, and entries of a request, as the template has them."""

STREAM_BATCH = 100
"""Records of a stream's batch: far fewer than the template allows, since batches are small while rows trickle."""

MS_PER_ROW = {"clean": 0.2, "insert": 1.0, "capture": 0.2, "process": 0.2, "update": 1.5}
"""Billed milliseconds a row: several times what 2 cores of a laptop take, 0.16 published for clean, and calls of
BatchWriteItem of 25 items in 25 ms."""

MS_PER_INVOCATION = 30.0
EMPTY_RECEIVES_PER_HOUR = 3 * 5 * 180
"""Five pollers on each of three queues, a long poll of 20 s each (AWS Lambda developer guide)."""

LOG_BYTES_PER_INVOCATION = 1_500
METRICS_PER_STAGE = 10
ITEM_OVERHEAD = 700
"""Bytes of an item besides its row's: the names of sixteen columns, the key, and what the pipeline adds."""

NOTES = ("estimated: counts by the pipeline's rules, durations with room to spare, no retries",)


def estimated_workload(rows: int, file_bytes: int, parameters: Mapping[str, str]) -> Workload:
    """Return what a run of one object of `rows` rows would use, the audit's reads included. `rows` is at least 1."""
    messages = ceil(rows / number("RowsPerMessage", parameters))
    batches = ceil(messages / BATCH)
    invocations = dict.fromkeys(("insert", "process", "update"), batches)
    invocations |= {"clean": 1, "capture": 2 * ceil(rows / STREAM_BATCH)}
    unit = ceil((file_bytes / rows + ITEM_OVERHEAD) / 1024)
    read = ceil(unit / 4)
    arm = on_arm(parameters)
    functions = {
        stage.name: FunctionUse(
            invocations[stage.name],
            round(rows * MS_PER_ROW[stage.name] + invocations[stage.name] * MS_PER_INVOCATION),
            memory_mb(stage.name, parameters),
            arm,
        )
        for stage in STAGES
    }
    # Sent, received, deleted; a request for each 64 KB.
    chunks = max(1, ceil(file_bytes / max(1, batches) / 65_536))
    queue = QueueUse(3 * batches * chunks, EMPTY_RECEIVES_PER_HOUR // 3)
    measured = Measured(
        rows=rows,
        seconds=max(ms.billed_ms for ms in functions.values()) / 1000,
        objects=(file_bytes,),
        functions=functions,
        queues=dict.fromkeys(("insert", "process", "update"), queue),
        table=TableUse(
            write_units=Decimal(2 * rows * unit),
            # The update's look at its items, the audit's at every item, and the scan that counts them.
            read_units=Decimal(3 * rows * read),
            stream_reads=invocations["capture"],
            stored_bytes=rows * unit * 1024,
            provisioned=provisioned(parameters),
        ),
        log_bytes={name: count * LOG_BYTES_PER_INVOCATION for name, count in invocations.items()},
        metrics=dict.fromkeys(invocations, METRICS_PER_STAGE),
        notes=NOTES,
    )
    return workload(measured)
