"""What the functions say of their work: one metrics record per invocation and source object, and errors.

Never an event, never a row: 800,000 rows would drown a log group, and the data is not the log's to hold.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

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
        metrics = Metrics()
        for name, value in (
            ("RowsIn", work.rows_in),
            ("RowsOk", work.rows_ok),
            ("RowsFailed", work.rows_failed),
            ("RowsQuarantined", work.rows_quarantined),
            ("Messages", work.messages),
        ):
            metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
        metrics.add_metric(name="Bytes", unit=MetricUnit.Bytes, value=work.bytes)
        if spent_cpu is not None:
            metrics.add_metric(name="CpuMs", unit=MetricUnit.Milliseconds, value=round(spent_cpu, 3))
        for phase, spent in work.milliseconds.items():
            metrics.add_metric(name=f"Ms{phase}", unit=MetricUnit.Milliseconds, value=round(spent, 3))
        metrics.add_metadata(key="source_id", value=work.source_id)
        metrics.add_metadata(key="started_ms", value=work.started_ms)
        metrics.add_metadata(key="request_id", value=getattr(context, "aws_request_id", ""))
        metrics.add_metadata(key="cold_start", value=cold)
        for key, note in work.notes.items():
            metrics.add_metadata(key=key, value=note)
        metrics.flush_metrics()
