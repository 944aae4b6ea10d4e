"""capture: turns new items from the table's stream into record batches on the process queue.

The mapping's filter passes every change whose new image is `inserted`, not INSERT events alone. BatchWriteItem
cannot be conditional: when a batch is inserted twice and the second put lands after the update, the item is
`inserted` again. That put is a stream record itself, so the item is processed and updated once more: whatever the
order of deliveries, every item ends as `processed`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class _Group:
    """Rows of one source with the same columns: each one's position in the event, row number and encoded row."""

    source_id: str
    columns: tuple[str, ...]
    rows: list[tuple[int, int, str]] = field(default_factory=list)

    def messages(self, config: Settings) -> Iterator[tuple[str, dict[int, int]]]:
        """Yield the messages' bodies, each with the positions of its rows by row number."""
        head = encode_head(self.source_id, self.columns)
        start = 0
        packed = pack((text for _, _, text in self.rows), len(head), config.rows_per_message, config.max_message_bytes)
        for texts in packed:
            held = self.rows[start : start + len(texts)]
            start += len(texts)
            # A row that comes twice in a message is looked for where it comes first.
            yield close(head, texts), {row: position for position, row, _ in reversed(held)}


def run(event: dict[str, Any], sqs: JsonClient, config: Settings, context: Any) -> dict[str, Any]:
    """Send one stream batch with the given queue client."""
    deadline = deadline_of(context)
    groups, broken = _grouped(event["Records"])
    works = {group.source_id: Work(group.source_id) for group in groups}
    bodies: list[str] = []
    positions: list[dict[int, int]] = []
    for group in groups:
        work = works[group.source_id]
        work.rows_in += len(group.rows)
        for body, held in group.messages(config):
            bodies.append(body)
            positions.append(held)
            work.messages += 1
            work.bytes += len(body)
    timer = next(iter(works.values()), Work(""))
    with timer.phase("Send"):
        unsent = send_batches(sqs, config.process_queue_url, bodies, deadline)
    failed = [positions[one.index][row[0]] for one in unsent for row in one.rows]
    resume = min(failed, default=broken)
    for group in groups:
        late = 0 if resume is None else sum(position >= resume for position, _, _ in group.rows)
        works[group.source_id].rows_failed += late
        works[group.source_id].rows_ok += len(group.rows) - late
    emit(list(works.values()), context)
    return response([] if resume is None else [event["Records"][resume]["dynamodb"]["SequenceNumber"]])


def _grouped(records: Sequence[dict[str, Any]]) -> tuple[list[_Group], int | None]:
    """Return the rows of stream records by source and columns, up to the first that is none of ours, and its position.

    Everything before it is sent; Lambda then retries from there, and at last gives that record up.
    """
    groups: dict[tuple[str, tuple[str, ...]], _Group] = {}
    for position, record in enumerate(records):
        try:
            source_id, columns, row, encoded = _row(record["dynamodb"]["NewImage"])
        except (RecordBatchError, KeyError, TypeError, AttributeError) as error:
            logger().error("stream record is no row of ours", extra={"why": type(error).__name__})
            return list(groups.values()), position
        kind = source_id, columns
        group = groups.get(kind)
        if group is None:
            group = groups[kind] = _Group(*kind)
        group.rows.append((position, row, encoded))
    return list(groups.values()), None


def _row(image: dict[str, Any]) -> tuple[str, tuple[str, ...], int, str]:
    """Return source id, columns, row number and encoded row of an item; raises RecordBatchError, KeyError, TypeError
    or AttributeError for one that is no row."""
    source_id, row = parse_record_id(image[KEY]["S"])
    columns = tuple(sorted(image.keys() - _OWN))
    cells = [value for column in columns for value in image[column].values()]
    if len(cells) != len(columns):
        raise RecordBatchError("an attribute has more types than one, or none")
    if True in cells:
        # {"NULL": true} is an empty cell; see table_writer.
        cells = ["" if cell is True else cell for cell in cells]
    return source_id, columns, row, encode_row(row, cells)


prepare("sqs")
