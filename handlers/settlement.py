"""Settles an invocation of insert, process or update: which messages failed, and which rows go on alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from handlers.aws import JsonClient
from handlers.failures import Delivery, Refused, is_alone, response, send_alone, shorten_visibility
from handlers.record_batch import RowError, record_id
from handlers.table_writer import Written
from handlers.telemetry import Work, emit


@dataclass
class Outcome:
    """What became of one message: the rows that were refused, and how many of the others are not done for lack of
    time."""

    delivery: Delivery
    refused: list[Refused] = field(default_factory=list)
    unfinished: int = 0

    def count(self, work: Work) -> None:
        """Add the message's rows to its source's counters."""
        rows, failed = len(self.delivery.batch.rows), len(self.refused) + self.unfinished
        work.rows_in += rows
        work.rows_failed += failed
        work.rows_ok += rows - failed


@dataclass(frozen=True)
class Origin:
    """The queue that an invocation's messages came from, `retry_delay` in seconds, `deadline` in monotonic ones."""

    sqs: JsonClient
    queue_url: str
    retry_delay: int
    deadline: float


def settle(outcomes: Sequence[Outcome], bad: Sequence[dict[str, Any]], origin: Origin) -> dict[str, Any]:
    """Return the partial batch response, after sending refused rows alone; `bad` are records that are no batches.

    A message whose rows could not all be done for lack of time fails whole, and so does one whose refused rows could
    not be sent alone: doing rows twice is harmless, losing one is not.
    """
    failed = [record["messageId"] for record in bad]
    shortened = [record["receiptHandle"] for record in bad]
    for outcome in outcomes:
        delivery, refused = outcome.delivery, outcome.refused
        if outcome.unfinished:
            failed.append(delivery.message_id)
        elif refused and is_alone(delivery):
            failed.append(delivery.message_id)
            shortened.append(delivery.receipt_handle)
        elif refused and not send_alone(origin.sqs, origin.queue_url, delivery, refused, origin.deadline):
            failed.append(delivery.message_id)
    if shortened:
        shorten_visibility(origin.sqs, origin.queue_url, shortened, origin.retry_delay)
    return response(failed)


@dataclass(frozen=True)
class Attempt:
    """One invocation's messages and what became of their rows in the table.

    `keys` are record ids in the order of `written`'s positions; `absent` those that had no item to update;
    `spent_ms` went into writing, `started_ms` is Unix time.
    """

    stage: str
    good: list[Delivery]
    bad: list[dict[str, Any]]
    keys: list[str]
    written: Written
    spent_ms: float
    started_ms: int
    absent: frozenset[str] = frozenset()

    def outcomes(self) -> list[Outcome]:
        """Return what became of each message."""
        late = {self.keys[i] for i in self.written.unwritten}
        reasons = {
            self.keys[i]: RowError(self.stage, "refused_by_table", text[:300])
            for i, text in self.written.invalid.items()
        }
        reasons |= {key: RowError(self.stage, "item_does_not_exist", "") for key in self.absent}
        if not late and not reasons:
            return [Outcome(delivery) for delivery in self.good]
        outcomes = []
        for delivery in self.good:
            keys = [record_id(delivery.batch.source_id, row[0]) for row in delivery.batch.rows]
            refused = [
                Refused(row, reasons[key]) for key, row in zip(keys, delivery.batch.rows, strict=True) if key in reasons
            ]
            outcomes.append(Outcome(delivery, refused, sum(key in late for key in keys)))
        return outcomes


def settle_written(attempt: Attempt, origin: Origin, context: Any) -> dict[str, Any]:
    """Settle an attempt to write rows to the table, and report it; returns the partial batch response."""
    outcomes = attempt.outcomes()
    answer = settle(outcomes, attempt.bad, origin)
    works: dict[str, Work] = {}
    for outcome in outcomes:
        source_id = outcome.delivery.batch.source_id
        work = works.setdefault(source_id, Work(source_id, started_ms=attempt.started_ms))
        outcome.count(work)
        work.messages += 1
    for work in works.values():
        work.milliseconds["Write"] = attempt.spent_ms / len(works)
    emit(list(works.values()), context)
    return answer
