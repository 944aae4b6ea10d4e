"""One batch of a stream mapping to its end: success, or retries, bisection, and the on-failure destination."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from harness.lambda_service.environment import Outcome
from harness.lambda_service.event_sources.events import EMPTY_EVENT_SIZE, encode_event, fits
from harness.lambda_service.event_sources.partial import failed_items
from harness.lambda_service.invoker import Destinations, timestamp
from harness.lambda_service.model import Function, StreamMapping
from harness.lambda_service.pool import EnvironmentPool, Throttled

_log = logging.getLogger(__name__)
_RETRY_BACKOFF_SECONDS = (0.1, 5.0)


class StreamRecord(NamedTuple):
    """A record as its event will hold it: JSON, with its sequence number and when it was made, in Unix seconds."""

    sequence: str
    created: float
    data: bytes


class BatchRunner:
    """Runs one batch to its end: success, or retries, bisection, and the on-failure destination.

    `wall` gives Unix seconds; records are as old as it says.
    """

    def __init__(
        self,
        mapping: StreamMapping,
        function: Function,
        pool: EnvironmentPool,
        destinations: Destinations,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._mapping = mapping
        self._function = function
        self._pool = pool
        self._destinations = destinations
        self._wall = wall

    async def process(self, records: list[StreamRecord], shard: str) -> None:
        """Return when every record was processed or given up."""
        work = deque([(records, 0)])
        pause = _RETRY_BACKOFF_SECONDS[0]
        while work:
            batch, retries = work.popleft()
            batch, expired = self._split_expired(batch)
            if expired:
                await self._give_up(expired, shard, retries, "RecordAgeExceeded", None)
            if not batch:
                continue
            if len(batch) == 1 and not fits(EMPTY_EVENT_SIZE, batch[0].data):
                # No retry can help. Kinesis' developer guide, "Handle large records": a record that makes an event of
                # more than 6 MB goes to the on-failure destination; the name of the condition is not documented.
                await self._give_up(batch, shard, retries, "RequestTooLarge", None)
                continue
            outcome = await self._invoke(batch)
            left = self._left(batch, outcome)
            if not left:
                pause = _RETRY_BACKOFF_SECONDS[0]
                continue
            progressed = len(left) < len(batch)
            if self._mapping.bisect and len(left) > 1 and not progressed:
                # Lambda does not count a bisection as a retry.
                middle = len(left) // 2
                work.appendleft((left[middle:], retries))
                work.appendleft((left[:middle], retries))
                continue
            if 0 <= self._mapping.max_retries <= retries and not progressed:
                await self._give_up(left, shard, retries + 1, "RetryAttemptsExhausted", outcome)
                continue
            work.appendleft((left, 0 if progressed else retries + 1))
            await asyncio.sleep(random.uniform(pause / 2, pause))
            pause = min(_RETRY_BACKOFF_SECONDS[1], pause * 2)

    def _left(self, batch: list[StreamRecord], outcome: Outcome) -> list[StreamRecord]:
        """Return the records still to be processed: from the lowest reported failure on."""
        if not outcome.ok:
            return batch
        if not self._mapping.report_failures:
            return []
        sequences = [record.sequence for record in batch]
        failed = failed_items(outcome.payload, set(sequences))
        if failed is None:
            return batch
        if not failed:
            return []
        return batch[min(sequences.index(f) for f in failed) :]

    async def _invoke(self, batch: list[StreamRecord]) -> Outcome:
        figures = self._pool.figures[self._function.name]
        oldest = batch[0].created
        if oldest:
            figures.max_iterator_age_ms = max(figures.max_iterator_age_ms, int((self._wall() - oldest) * 1000))
        payload = encode_event(record.data for record in batch)
        pause = _RETRY_BACKOFF_SECONDS[0]
        while True:
            try:
                return await self._pool.invoke(self._function.name, payload)
            except Throttled:
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(_RETRY_BACKOFF_SECONDS[1], pause * 2)

    def _split_expired(self, batch: list[StreamRecord]) -> tuple[list[StreamRecord], list[StreamRecord]]:
        if self._mapping.max_age_seconds < 0:
            return batch, []
        horizon = self._wall() - self._mapping.max_age_seconds
        expired = [r for r in batch if 0 < r.created < horizon]
        return ([r for r in batch if not 0 < r.created < horizon], expired) if expired else (batch, [])

    async def _give_up(
        self,
        batch: list[StreamRecord],
        shard: str,
        attempts: int,
        condition: str,
        outcome: Outcome | None,
    ) -> None:
        _log.warning("%s gave up %d stream records: %s", self._function.name, len(batch), condition)
        if self._mapping.on_failure_arn:
            record = destination_record(self._mapping, self._function, batch, shard, attempts, condition, outcome)
            await self._destinations.send(self._mapping.on_failure_arn, record)


def destination_record(
    mapping: StreamMapping,
    function: Function,
    batch: list[StreamRecord],
    shard: str,
    attempts: int,
    condition: str,
    outcome: Outcome | None,
) -> dict[str, Any]:
    """Return what Lambda sends to a stream mapping's on-failure destination: positions, never the data."""
    record: dict[str, Any] = {
        "requestContext": {
            "requestId": outcome.request_id if outcome else "",
            "functionArn": function.arn,
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": timestamp(),
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": batch[0].sequence,
            "endSequenceNumber": batch[-1].sequence,
            "approximateArrivalOfFirstRecord": _iso(batch[0].created),
            "approximateArrivalOfLastRecord": _iso(batch[-1].created),
            "batchSize": len(batch),
            "streamArn": mapping.stream_arn,
        },
    }
    if condition == "RequestTooLarge":
        del record["responseContext"]
    return record


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
