"""Which files are finished, and when each was: from the functions' telemetry. Pure.

Telemetry counts deliveries, and SQS delivers at least once. A message that is delivered twice counts its rows twice,
so a file whose counts add up may still wait for other rows: while a load runs, "finished" is what the counts say, good
enough for a backlog. The time that stays is taken at the end instead, once the queues are empty and the audit
has looked at every row: the end of the file's *last* successful update. Where nothing was delivered twice that is
exactly the last durable row; where something was, it may be late and is never early.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.load.pool import Expectation
from harness.telemetry import SourceTotals

BySource = Mapping[str, SourceTotals]
"""One source's sums by stage."""

_NOTHING = SourceTotals()


def finished_rows(totals: BySource, expected: Expectation, receives: int) -> int:
    """Return how many rows of a file seem to have reached their end.

    `receives` is the queues' maxReceiveCount. A row bound for a dead-letter queue is refused once among its
    neighbours and then `receives` times alone; only then does it count.
    """
    update, clean = totals.get("update", _NOTHING), totals.get("clean", _NOTHING)
    rows = min(update.rows_ok, expected.updated) + min(clean.rows_quarantined, expected.quarantined)
    for stage, count in expected.dead.items():
        rows += min(count, totals.get(stage, _NOTHING).rows_failed // (1 + receives))
    return rows


def finished_at(totals: BySource, expected: Expectation) -> float:
    """Return when the last row of a file that seems finished was durable, in Unix seconds, as known so far."""
    stamps = [totals.get("update", _NOTHING).ok_ms, totals.get("clean", _NOTHING).ended_ms]
    stamps += [totals.get(stage, _NOTHING).failed_ms for stage in expected.dead]
    return max(stamps) / 1000


def completed_at(totals: BySource, rows: int, quarantined: int, dead: Mapping[str, int]) -> float | None:
    """Return when the last row of a file was durable, in Unix seconds; None where its rows do not add up.

    For use at the end. `quarantined` and `dead` (by stage) are the rows that were found there. A dead letter's own
    time is not recorded by SQS; the last refusal of a row by that stage stands for it.
    """
    update, clean = totals.get("update", _NOTHING), totals.get("clean", _NOTHING)
    if min(update.rows_ok, rows) + quarantined + sum(dead.values()) < rows:
        return None
    stamps = [update.ok_ms, clean.ended_ms]
    stamps += [totals.get(stage, _NOTHING).failed_ms for stage, count in dead.items() if count]
    return max(stamps) / 1000 or None


def redelivered_rows(totals: BySource, expected: Expectation) -> int:
    """Return how many rows of a file were updated more often than once: deliveries beyond the expected."""
    return max(0, totals.get("update", _NOTHING).rows_ok - expected.updated)
