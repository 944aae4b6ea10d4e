"""insert: writes record batches from the insert queue into the records table.

Puts are unconditional, so a batch delivered twice writes the same items twice; see `capture` for why that is
harmless even after the update.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from handlers.aws import JsonClient, client, deadline_of
from handlers.failures import deliveries
from handlers.init_phase import prepare
from handlers.record_batch import INSERTED, INSERTED_AT, STATUS, record_id, utc_now
from handlers.settings import Settings
from handlers.settlement import Attempt, Origin, settle_written
from handlers.table_writer import ItemEncoder, TableWriter

STAGE = "insert"


@cache
def settings() -> Settings:
    """Return the environment's settings; raises SettingsError."""
    found = Settings.from_environment()
    found.require("table_name", "insert_queue_url")
    return found


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write every row of the event's messages; returns the partial batch response."""
    config = settings()
    return run(
        event,
        TableWriter(client("dynamodb"), config.table_name),
        client("sqs"),
        config,
        context,
    )


def run(event: dict[str, Any], table: TableWriter, sqs: JsonClient, config: Settings, context: Any) -> dict[str, Any]:
    """Write the messages of one event with the given table and queue."""
    started = time.time_ns() // 1_000_000
    deadline = deadline_of(context)
    good, bad = deliveries(event)
    now = utc_now()
    # Several messages share one call of 25 puts, and the same row may come twice in them: the last one wins.
    requests: dict[str, str] = {}
    encoders: dict[tuple[str, tuple[str, ...]], ItemEncoder] = {}
    for delivery in good:
        batch = delivery.batch
        kind = batch.source_id, batch.columns
        encoder = encoders.get(kind)
        if encoder is None:
            encoder = encoders[kind] = ItemEncoder(*kind, {INSERTED_AT: now, STATUS: INSERTED})
        for row in batch.rows:
            requests[record_id(batch.source_id, row[0])] = encoder.encode(row)
    began = time.perf_counter()
    keys = list(requests)
    written = table.put(list(requests.values()), deadline)
    spent = (time.perf_counter() - began) * 1000
    attempt = Attempt(STAGE, good, bad, keys, written, spent, started)
    return settle_written(attempt, Origin(sqs, config.insert_queue_url, config.retry_delay, deadline), context)


prepare("dynamodb", "sqs")
