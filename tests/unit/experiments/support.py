"""What tests of loads share: files that were tried, and what a session found, without any engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.experiments.load_driver import FileOutcome, Found

from harness.audit import AuditReport
from harness.load.samples import Sample
from harness.observation.clock import Doubt
from harness.observation.usage import HARNESS

BEGAN = 1000.0


def outcome(number: int, error: str = "") -> FileOutcome:
    """A file of 100 rows, done 2 s after its intended start, or failed with `error`."""
    at = BEGAN + number
    version = "" if error else "v1"
    sample = Sample(number, 0, f"p/{number:06d}.csv", version, 100, 9, at, at, at + 0.1, error)
    return FileOutcome(sample, "" if error else f"uploads/{number}", None if error else at + 2)


def audited(rows: int, *, lost: int = 0) -> AuditReport:
    """An audit of `rows` rows, of which some are lost."""
    report = AuditReport(rows=rows, updated=rows - lost)
    for row in range(lost):
        report.add(row, "lost", "it is nowhere")
    return report


def found(outcomes: Sequence[FileOutcome], **changed: Any) -> Found:
    """What a session found of these files, all of it good but for what is `changed`."""
    rows = sum(one.sample.rows for one in outcomes if not one.sample.error)
    given: dict[str, Any] = {
        "began": BEGAN,
        "outcomes": list(outcomes),
        "audit": audited(rows),
        "totals": {},
        "rows": rows,
        "ambiguous": 0,
        "unsent": 0,
        "unreported": 0,
        "redelivered": 0,
        "log_bytes": 0,
        "seconds": 10.0,
        "settle_seconds": 1.0,
        "memory_peak": 1,
        "cpu_seconds": {HARNESS: 1.0, "locust": 1.0},
        "tracker_cpu": 0.1,
        "cpu_stolen": 0.0,
        "doubt": Doubt(),
    }
    return Found(**{**given, **changed})
