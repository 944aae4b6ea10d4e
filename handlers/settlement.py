"""Settles an invocation of insert or update: which messages failed, which rows go on alone, what is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handlers.aws import JsonClient
from handlers.failures import Delivery, Refused, hasten, is_alone, response, send_alone
from handlers.record_batch import RowError
from handlers.table_writer import Written
from handlers.telemetry import Work, emit


@dataclass(frozen=True)
class Attempt:
    """One invocation's messages and what became of their rows.

    `keys` are record ids in the order of `written`'s positions; `absent` those that had no item to update;
    `spent_ms` went into writing, `started_ms` is Unix time.
    """

    stage: str
    queue_url: str
    good: list[Delivery]
    bad: list[dict[str, Any]]
    keys: list[str]
    written: Written
    spent_ms: float
    started_ms: int
    absent: frozenset[str] = frozenset()


def settle(attempt: Attempt, sqs: JsonClient, retry_delay: int, context: Any, deadline: float) -> dict[str, Any]:
    """Return the partial batch response of an attempt, after sending refused rows alone and reporting.

    A message whose rows could not all be written for lack of time fails whole, and so does one whose refused
    rows could not be sent alone: writing rows twice is harmless, losing one is not.
    """
    late = {attempt.keys[i] for i in attempt.written.unwritten}
    reasons = {
        attempt.keys[i]: RowError(attempt.stage, "refused_by_table", text[:300])
        for i, text in attempt.written.invalid.items()
    }
    reasons |= {key: RowError(attempt.stage, "item_does_not_exist", "") for key in attempt.absent}
    failed = [record["messageId"] for record in attempt.bad]
    hurried = [record["receiptHandle"] for record in attempt.bad]
    works: dict[str, Work] = {}
    for delivery in attempt.good:
        batch = delivery.batch
        ids = [f"{batch.source_id}#{row[0]}" for row in batch.rows]
        refused = [Refused(row, reasons[key]) for key, row in zip(ids, batch.rows, strict=True) if key in reasons]
        unfinished = sum(key in late for key in ids)
        if unfinished:
            failed.append(delivery.message_id)
        elif refused and is_alone(delivery):
            failed.append(delivery.message_id)
            hurried.append(delivery.receipt_handle)
        elif refused and not send_alone(sqs, attempt.queue_url, delivery, refused, deadline):
            failed.append(delivery.message_id)
        work = works.setdefault(batch.source_id, Work(batch.source_id, started_ms=attempt.started_ms))
        work.rows_in += len(ids)
        work.rows_failed += len(refused) + unfinished
        work.rows_ok += len(ids) - len(refused) - unfinished
        work.messages += 1
    if hurried:
        hasten(sqs, attempt.queue_url, hurried, retry_delay)
    for work in works.values():
        work.milliseconds["Write"] = attempt.spent_ms / len(works)
    emit(list(works.values()), context)
    return response(failed)
