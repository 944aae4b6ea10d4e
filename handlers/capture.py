"""capture: turns new items from the table's stream into record batches on the process queue.

The mapping's filter passes every change whose new image is `inserted`, not INSERT events alone. BatchWriteItem
cannot be conditional: when a batch is inserted twice and the second put lands after the update, the item is
`inserted` again. That put is a stream record itself, so the item is processed and updated once more: whatever the
order of deliveries, every item ends as `processed`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from handlers.aws import JsonClient, client, deadline_of
from handlers.failures import response, send_batches
from handlers.init_phase import prepare
from handlers.record_batch import (
    KEY,
    STATUS,
    RecordBatchError,
    close,
    encode_head,
    encode_row,
    pack,
    parse_record_id,
)
from handlers.settings import Settings
from handlers.telemetry import Work, emit, logger

_OWN = frozenset({KEY, STATUS})


@cache
def settings() -> Settings:
    """Return the environment's settings; raises SettingsError."""
    found = Settings.from_environment()
    found.require("process_queue_url")
    return found


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Send the new items of one stream batch to the process queue; returns the partial batch response.

    For a stream that response names one record, the first whose item is not durable in the queue.
    """
    return run(event, client("sqs"), settings(), context)


def run(event: dict[str, Any], sqs: JsonClient, config: Settings, context: Any) -> dict[str, Any]:
    """Send one stream batch with the given queue client."""
    deadline = deadline_of(context)
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[int, int, str]]] = {}
    works: dict[str, Work] = {}
    broken: int | None = None
    for position, record in enumerate(event["Records"]):
        try:
            image = record["dynamodb"]["NewImage"]
            source_id, row = parse_record_id(image[KEY]["S"])
            columns = tuple(sorted(image.keys() - _OWN))
            cells = [value for column in columns for value in image[column].values()]
            if len(cells) != len(columns):
                raise RecordBatchError("an attribute has more types than one, or none")
            if True in cells:
                # {"NULL": true} is an empty cell; see table_writer.
                cells = ["" if cell is True else cell for cell in cells]
            encoded = encode_row(row, cells)
        except (RecordBatchError, KeyError, TypeError) as error:
            # Everything before it is sent; Lambda then retries from here, and at last gives this record up.
            logger().error("stream record is no row of ours", extra={"why": type(error).__name__})
            broken = position
            break
        groups.setdefault((source_id, columns), []).append((position, row, encoded))
    bodies: list[str] = []
    positions: list[dict[int, int]] = []
    for (source_id, columns), rows in groups.items():
        head = encode_head(source_id, columns)
        work = works.setdefault(source_id, Work(source_id))
        work.rows_in += len(rows)
        start = 0
        packed = pack((text for _, _, text in rows), len(head), config.rows_per_message, config.max_message_bytes)
        for group in packed:
            bodies.append(close(head, group))
            # A row that comes twice in a message is looked for where it comes first.
            positions.append({row: position for position, row, _ in reversed(rows[start : start + len(group)])})
            start += len(group)
            work.messages += 1
            work.bytes += len(bodies[-1])
        work.rows_ok = work.rows_in
    timer = next(iter(works.values()), Work(""))
    with timer.phase("Send"):
        unsent = send_batches(sqs, config.process_queue_url, bodies, deadline)
    failed = [positions[one.index][row[0]] for one in unsent for row in one.rows]
    if broken is not None:
        failed.append(broken)
    if not failed:
        emit(list(works.values()), context)
        return response([])
    resume = min(failed)
    for (source_id, _), rows in groups.items():
        late = sum(position >= resume for position, _, _ in rows)
        works[source_id].rows_failed += late
        works[source_id].rows_ok -= late
    emit(list(works.values()), context)
    return response([event["Records"][resume]["dynamodb"]["SequenceNumber"]])


prepare("sqs")
