"""process: applies the business rule to record batches and passes them on to the finished queue."""

from __future__ import annotations

from functools import cache
from typing import Any

from handlers.aws import JsonClient, client, deadline_of
from handlers.business_rule import ProcessingError, rule_for
from handlers.failures import (
    Delivery,
    Refused,
    Unsent,
    deliveries,
    hasten,
    is_alone,
    response,
    send_alone,
    send_batches,
)
from handlers.init_phase import prepare
from handlers.record_batch import RowError, close, encode_head, encode_row, pack
from handlers.settings import Settings
from handlers.telemetry import Work, emit

STAGE = "process"


@cache
def settings() -> Settings:
    """Return the environment's settings; raises SettingsError."""
    found = Settings.from_environment()
    found.require("process_queue_url", "finished_queue_url")
    return found


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process every row of the event's messages; returns the partial batch response."""
    return run(event, client("sqs"), settings(), context)


def run(event: dict[str, Any], sqs: JsonClient, config: Settings, context: Any) -> dict[str, Any]:
    """Process the messages of one event with the given queue client."""
    deadline = deadline_of(context)
    good, bad = deliveries(event)
    works: dict[str, Work] = {}
    bodies: list[str] = []
    owners: list[int] = []
    refused: list[list[Refused]] = []
    for index, delivery in enumerate(good):
        work = works.setdefault(delivery.batch.source_id, Work(delivery.batch.source_id))
        with work.phase("Rule"):
            made, rejected = process(delivery, config)
        work.rows_in += len(delivery.batch.rows)
        work.messages += len(made)
        work.bytes += sum(map(len, made))
        bodies += made
        owners += [index] * len(made)
        refused.append(rejected)
    timer = next(iter(works.values()), Work(""))
    with timer.phase("Send"):
        unsent = send_batches(sqs, config.finished_queue_url, bodies, deadline)
    late = {owners[u.index] for u in unsent if not u.error.about_content}
    for one in unsent:
        if one.error.about_content:
            refused[owners[one.index]] += refused_by_queue(good[owners[one.index]], one)
    failed = [record["messageId"] for record in bad]
    hurried = [record["receiptHandle"] for record in bad]
    for index, delivery in enumerate(good):
        rejected = refused[index]
        work = works[delivery.batch.source_id]
        if index in late:
            failed.append(delivery.message_id)
            work.rows_failed += len(delivery.batch.rows)
            continue
        work.rows_ok += len(delivery.batch.rows) - len(rejected)
        work.rows_failed += len(rejected)
        if rejected and is_alone(delivery):
            failed.append(delivery.message_id)
            hurried.append(delivery.receipt_handle)
        elif rejected and not send_alone(sqs, config.process_queue_url, delivery, rejected, deadline):
            failed.append(delivery.message_id)
    if hurried:
        hasten(sqs, config.process_queue_url, hurried, config.retry_delay)
    emit(list(works.values()), context)
    return response(failed)


def process(delivery: Delivery, config: Settings) -> tuple[list[str], list[Refused]]:
    """Return the message bodies for the finished queue, and the rows that the rule refuses."""
    batch = delivery.batch
    rule = rule_for(batch.columns)
    head = encode_head(batch.source_id, batch.columns + rule.attributes, batch.source)
    rejected: list[Refused] = []

    def rows() -> Any:
        for row in batch.rows:
            number, *cells = row
            try:
                added = rule.apply(cells)
            except ProcessingError as error:
                rejected.append(Refused(row, RowError(STAGE, error.reason, error.detail)))
            except Exception as error:  # noqa: BLE001  a rule that fails on one row must not stop the others
                rejected.append(Refused(row, RowError(STAGE, "rule_failed", type(error).__name__)))
            else:
                yield encode_row(number, (*cells, *added))

    size = len(head) if head.isascii() else len(head.encode("utf-8"))
    packed = pack(rows(), size, config.rows_per_message, config.max_message_bytes)
    return [close(head, group) for group in packed], rejected


def refused_by_queue(delivery: Delivery, unsent: Unsent) -> list[Refused]:
    """Return the rows of a delivery that the next queue does not take."""
    numbers = {row[0] for row in unsent.rows}
    error = RowError(STAGE, "refused_by_queue", f"{unsent.error.code}: {unsent.error.message}"[:300])
    return [Refused(row, error) for row in delivery.batch.rows if row[0] in numbers]


prepare("sqs")
