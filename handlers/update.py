"""update: writes the processed attributes onto existing items and marks them processed.

DynamoDB has no batched update. One UpdateItem a row costs 25 requests where a batch costs one, so the complete
item, which travels with the message, is put again. Only rows whose item exists are put (read consistently just
before): the update never creates an item. Nothing in the pipeline deletes items, which closes the gap between the
two calls; a table with other writers needs UpdateItem with a condition instead.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from handlers.aws import JsonClient, client, deadline_of
from handlers.failures import deliveries
from handlers.init_phase import prepare
from handlers.record_batch import PROCESSED, PROCESSED_AT, STATUS, Row, record_id, utc_now
from handlers.settings import Settings
from handlers.settlement import Attempt, Origin, settle_written
from handlers.table_writer import ItemEncoder, TableWriter, Written

STAGE = "update"


@cache
def settings() -> Settings:
    """Return the environment's settings; raises SettingsError."""
    found = Settings.from_environment()
    found.require("table_name", "finished_queue_url")
    return found


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Update the item of every row in the event's messages; returns the partial batch response."""
    config = settings()
    return run(event, TableWriter(client("dynamodb"), config.table_name), client("sqs"), config, context)


def run(event: dict[str, Any], table: TableWriter, sqs: JsonClient, config: Settings, context: Any) -> dict[str, Any]:
    """Update the items of one event with the given table and queue."""
    started = time.time_ns() // 1_000_000
    deadline = deadline_of(context)
    good, bad = deliveries(event)
    rows: dict[str, tuple[ItemEncoder, Row]] = {}
    now = utc_now()
    encoders: dict[tuple[str, tuple[str, ...]], ItemEncoder] = {}
    for delivery in good:
        batch = delivery.batch
        kind = batch.source_id, batch.columns
        encoder = encoders.get(kind)
        if encoder is None:
            encoder = encoders[kind] = ItemEncoder(*kind, {PROCESSED_AT: now, STATUS: PROCESSED})
        for row in batch.rows:
            rows[record_id(batch.source_id, row[0])] = (encoder, row)
    began = time.perf_counter()
    existing = table.existing(list(rows), deadline)
    if existing is None:
        keys, written = list(rows), Written(unwritten=set(range(len(rows))))
        absent: frozenset[str] = frozenset()
    else:
        keys = [key for key in rows if key in existing]
        written = table.put([encoder.encode(row) for encoder, row in map(rows.__getitem__, keys)], deadline)
        absent = frozenset(rows.keys() - existing)
    spent = (time.perf_counter() - began) * 1000
    attempt = Attempt(STAGE, good, bad, keys, written, spent, started, absent)
    return settle_written(attempt, Origin(sqs, config.finished_queue_url, config.retry_delay, deadline), context)


prepare("dynamodb", "sqs")
