"""What becomes of rows that fail: alone into a message of their own, and from there to the dead-letter queue.

A queue that refuses a message for what it holds refuses it for some of its rows: `send_batches` finds them.

A row that a stage refuses must not hold back or drag down its neighbours. It is sent once more, alone and with its
reason, to the stage's own queue; when it fails there it is reported as failed, so that SQS counts its receives and
moves it to the dead-letter queue: exactly this row, and why.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from handlers.aws import SQS_BATCH_ENTRIES, AwsError, JsonClient, send_messages
from handlers.record_batch import RecordBatch, RecordBatchError, Row, RowError, decode, encode
from handlers.telemetry import logger


@dataclass(frozen=True)
class Refused:
    """A row that a stage cannot take, and why."""

    row: Row
    error: RowError


@dataclass(frozen=True)
class Delivery:
    """One SQS message with its decoded batch."""

    message_id: str
    receipt_handle: str
    queue_arn: str
    batch: RecordBatch


def deliveries(event: dict[str, Any]) -> tuple[list[Delivery], list[dict[str, Any]]]:
    """Return the decodable messages of an SQS event, and the records of those that are not record batches."""
    good: list[Delivery] = []
    bad: list[dict[str, Any]] = []
    for record in event["Records"]:
        try:
            batch = decode(record["body"])
        except RecordBatchError as error:
            logger().error("undecodable message", extra={"message_id": record["messageId"], "why": str(error)[:200]})
            bad.append(record)
        else:
            good.append(Delivery(record["messageId"], record["receiptHandle"], record["eventSourceARN"], batch))
    return good, bad


def send_alone(
    sqs: JsonClient, queue_url: str, delivery: Delivery, refused: Iterable[Refused], deadline: float
) -> bool:
    """Send refused rows alone to their own stage's queue; False where one was not accepted.

    The whole message then has to fail: sending some rows twice is harmless, losing one is not.
    """
    batch = delivery.batch
    bodies = [encode(RecordBatch(batch.source_id, batch.columns, [r.row], batch.source, r.error)) for r in refused]
    return not send_messages(sqs, queue_url, bodies, deadline)


@dataclass(frozen=True)
class Unsent:
    """Rows that a queue did not take, of the message at `index`: `rows` alone when it refused what they hold,
    otherwise all of the message's."""

    index: int
    rows: list[Row]
    error: AwsError


def send_batches(sqs: JsonClient, queue_url: str, bodies: Sequence[str], deadline: float) -> list[Unsent]:
    """Send record batches; returns what was not accepted, and raises nothing for it.

    A batch that the queue refuses for its content is sent again in halves, until only the rows that it refuses are
    left: a handful of calls for each of them.
    """
    unsent: list[Unsent] = []
    for index, error in send_messages(sqs, queue_url, bodies, deadline):
        if error.about_content:
            unsent += (Unsent(index, rows, why) for rows, why in _isolate(sqs, queue_url, bodies[index], deadline))
        else:
            unsent.append(Unsent(index, decode(bodies[index]).rows, error))
    return unsent


def _isolate(sqs: JsonClient, queue_url: str, body: str, deadline: float) -> Iterator[tuple[list[Row], AwsError]]:
    failed = send_messages(sqs, queue_url, [body], deadline)
    if not failed:
        return
    ((_, error),) = failed
    batch = decode(body)
    if len(batch.rows) < 2 or not error.about_content:
        yield batch.rows, error
        return
    middle = len(batch.rows) // 2
    for rows in (batch.rows[:middle], batch.rows[middle:]):
        yield from _isolate(sqs, queue_url, encode(replace(batch, rows=rows)), deadline)


def is_alone(delivery: Delivery) -> bool:
    """Return whether a message is one that `send_alone` made: its row fails with it."""
    return delivery.batch.error is not None and len(delivery.batch.rows) == 1


def shorten_visibility(sqs: JsonClient, queue_url: str, receipt_handles: list[str], delay: int) -> None:
    """Let failed messages be received again after `delay` seconds rather than a whole visibility timeout.

    A refusal only means a longer wait, so it is logged and not raised.
    """
    for start in range(0, len(receipt_handles), SQS_BATCH_ENTRIES):
        entries = [
            {"Id": str(i), "ReceiptHandle": handle, "VisibilityTimeout": delay}
            for i, handle in enumerate(receipt_handles[start : start + SQS_BATCH_ENTRIES])
        ]
        body = json.dumps({"QueueUrl": queue_url, "Entries": entries})
        try:
            sqs.call("ChangeMessageVisibilityBatch", body, time.monotonic() + 2.0)
        except AwsError as error:
            logger().warning("visibility not changed", extra={"code": error.code})


def response(failed_message_ids: Iterable[str]) -> dict[str, Any]:
    """Return the partial batch response that names the failed messages."""
    return {"batchItemFailures": [{"itemIdentifier": m} for m in failed_message_ids]}
