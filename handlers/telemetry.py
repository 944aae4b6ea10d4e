"""What the functions say of their work: one metrics record per invocation and source object, and errors.

Never an event, never a row: 800,000 rows would drown a log group, and the data is not the log's to hold.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

if sys.platform != "win32":
    import resource

_cold = [True]


def cpu_ms() -> float | None:
    """Return this process's CPU time so far in milliseconds, ended child processes included; None on Windows."""
    if sys.platform == "win32":
        return None
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) * 1000


_cpu_before = [cpu_ms()]


def count_from_here() -> None:
    """Start counting CPU time anew: importing and making clients is not work done for rows."""
    _cpu_before[0] = cpu_ms()


@dataclass
class Work:
    """Counters of one invocation for one source; `milliseconds` per phase, `started_ms` in Unix time, `notes` what is
    to be known of the source itself."""

    source_id: str
    rows_in: int = 0
    rows_ok: int = 0
    rows_failed: int = 0
    rows_quarantined: int = 0
    bytes: int = 0
    messages: int = 0
    milliseconds: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    started_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time spent inside to phase `name`, such as "Write"."""
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - began) * 1000
            self.milliseconds[name] = self.milliseconds.get(name, 0.0) + spent


@cache
def logger() -> Logger:
    """Return the logger; service and level come from Powertools' environment variables."""
    return Logger()


def emit(works: list[Work], context: Any) -> None:
    """Write one metrics record (embedded metric format) per source of an invocation.

    CPU time is counted from the record before it, and shared equally among several sources.
    """
    cold, _cold[0] = _cold[0], False
    before, _cpu_before[0] = _cpu_before[0], cpu_ms()
    spent_cpu = None if before is None or _cpu_before[0] is None else (_cpu_before[0] - before) / max(1, len(works))
    for work in works:
        values = {
            "RowsIn": work.rows_in,
            "RowsOk": work.rows_ok,
            "RowsFailed": work.rows_failed,
            "RowsQuarantined": work.rows_quarantined,
            "Messages": work.messages,
            "Bytes": work.bytes,
        }
        notes = {
            "source_id": work.source_id,
            "started_ms": work.started_ms,
            "request_id": getattr(context, "aws_request_id", ""),
            "cold_start": cold,
            **work.notes,
        }
        times = {} if spent_cpu is None else {"CpuMs": spent_cpu}
        times |= {f"Ms{phase}": spent for phase, spent in work.milliseconds.items()}
        sys.stdout.write(_metrics_record(values, times, notes) + "\n")


def _metrics_record(values: dict[str, int], times: dict[str, float], notes: dict[str, Any]) -> str:
    """Return a line in CloudWatch's embedded metric format (CloudWatch user guide, "Specification: Embedded metric
    format"): `values` are counts, `times` milliseconds, `notes` what is no metric.

    Powertools' Metrics gives the same record, an object and its checks for each value: an eighth of `process`.
    """
    service = os.environ.get("POWERTOOLS_SERVICE_NAME")
    dimensions = {"service": service} if service else {}
    metrics = [{"Name": name, "Unit": "Bytes" if name == "Bytes" else "Count"} for name in values]
    metrics += [{"Name": name, "Unit": "Milliseconds"} for name in times]
    record = {
        "_aws": {
            "Timestamp": time.time_ns() // 1_000_000,
            "CloudWatchMetrics": [
                {
                    "Namespace": os.environ["POWERTOOLS_METRICS_NAMESPACE"],
                    "Dimensions": [list(dimensions)],
                    "Metrics": metrics,
                }
            ],
        },
        **dimensions,
        **notes,
        **{name: [float(value)] for name, value in values.items()},
        **{name: [round(spent, 3)] for name, spent in times.items()},
    }
    return json.dumps(record, separators=(",", ":"))
