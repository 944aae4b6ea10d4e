"""process: applies the business rule to record batches and passes them on to the finished queue."""

from __future__ import annotations

from functools import cache
from typing import Any

from handlers.aws import JsonClient, client, deadline_of
from handlers.business_rule import ProcessingError, rule_for
from handlers.failures import Delivery, Refused, Unsent, deliveries, send_batches
from handlers.init_phase import prepare
from handlers.record_batch import RowError, close, encode_head, encode_row, pack
from handlers.settings import Settings
from handlers.settlement import Origin, Outcome, settle
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
    works = {d.batch.source_id: Work(d.batch.source_id) for d in good}
    outcomes = [Outcome(delivery) for delivery in good]
    bodies: list[str] = []
    owners: list[Outcome] = []
    for outcome in outcomes:
        work = works[outcome.delivery.batch.source_id]
        with work.phase("Rule"):
            made, outcome.refused = process(outcome.delivery, config)
        work.messages += len(made)
        work.bytes += sum(map(len, made))
        bodies += made
        owners += [outcome] * len(made)
    timer = next(iter(works.values()), Work(""))
    with timer.phase("Send"):
        unsent = send_batches(sqs, config.finished_queue_url, bodies, deadline)
    for one in unsent:
        note_unsent(owners[one.index], one)
    answer = settle(outcomes, bad, Origin(sqs, config.process_queue_url, config.retry_delay, deadline))
    for outcome in outcomes:
        outcome.count(works[outcome.delivery.batch.source_id])
    emit(list(works.values()), context)
    return answer


def note_unsent(outcome: Outcome, unsent: Unsent) -> None:
    """Note in a message's outcome what the next queue did not take: rows for what they hold, or all of them."""
    batch = outcome.delivery.batch
    if not unsent.error.about_content:
        # The message comes again as a whole, and its refused rows with it.
        outcome.unfinished, outcome.refused = len(batch.rows), []
    elif not outcome.unfinished:
        numbers = {row[0] for row in unsent.rows}
        error = RowError(STAGE, "refused_by_queue", f"{unsent.error.code}: {unsent.error.message}"[:300])
        outcome.refused += [Refused(row, error) for row in batch.rows if row[0] in numbers]


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


prepare("sqs")
