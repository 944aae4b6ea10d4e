"""DynamoDB stream event source mapping: per shard and lane in order, with retries, bisection and a destination.

A shard's records are spread over `ParallelizationFactor` lanes by the hash of their key, so that every item's
changes stay in order. A lane takes its next batch only when the one before succeeded or was given up.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import zlib
from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson

from harness.lambda_service.activity import StreamPosition
from harness.lambda_service.aws import AwsCallError, AwsClient
from harness.lambda_service.environment import Outcome
from harness.lambda_service.event_sources.partial import failed_items
from harness.lambda_service.filters import compile_filters
from harness.lambda_service.invoker import Destinations, timestamp
from harness.lambda_service.model import SYNC_PAYLOAD_LIMIT, Function, StreamMapping
from harness.lambda_service.pool import EnvironmentPool, Throttled
from harness.lambda_service.tasks import spawn

_log = logging.getLogger(__name__)
_GET_RECORDS_MAX = 1000
_IDLE_POLL_SECONDS = 0.25
"""AWS polls a shard four times a second (DynamoDB developer guide, "DynamoDB Streams and Lambda triggers")."""

_SHARD_DISCOVERY_SECONDS = 10.0
_RETRY_BACKOFF_SECONDS = (0.1, 5.0)
_BUFFERED_BATCHES = 2


class StreamPoller:
    """Runs one mapping until stopped: finds the stream's shards and reads each of them."""

    def __init__(
        self,
        mapping: StreamMapping,
        function: Function,
        client: AwsClient,
        pool: EnvironmentPool,
        destinations: Destinations,
        region: str,
    ) -> None:
        self._mapping = mapping
        self._client = client
        self._runner = _BatchRunner(mapping, function, pool, destinations)
        self._region = region
        self._tasks: list[asyncio.Task[None]] = []
        self._shards: set[str] = set()
        self.position = StreamPosition()
        """How far the stream is read, and the records in hand."""

    def start(self) -> None:
        """Start polling."""
        self._tasks.append(spawn(self._discover(), f"mapping {self._mapping.mapping_id}"))

    @property
    def function(self) -> str:
        """The function that the mapping invokes."""
        return self._mapping.function

    def window_left(self) -> float:
        """Return the seconds for which records in hand may wait for their batching window at most."""
        return float(self._mapping.window_seconds) if self.position.records.open else 0.0

    def concurrency_limit(self) -> int:
        """Return how many batches may run at this moment: a lane of every shard each."""
        return len(self._shards) * self._mapping.parallelization

    async def stop(self) -> None:
        """Stop polling; the position is not kept."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _discover(self) -> None:
        position = self._mapping.starting_position
        while True:
            try:
                began = time.monotonic()
                listed = await self._list_shards()
                self.position.listed(began, listed)
                for shard in listed:
                    if shard not in self._shards:
                        self._shards.add(shard)
                        reader = _ShardReader(
                            self._mapping, shard, position, self._client, self._runner, self._region, self.position
                        )
                        self._tasks.append(spawn(reader.run(), f"shard {shard}"))
                # Shards that appear later continue the ones known: nothing of them may be skipped.
                position = "TRIM_HORIZON"
                await asyncio.sleep(_SHARD_DISCOVERY_SECONDS)
            except AwsCallError as error:
                _log.warning("stream %s: %s", self._mapping.stream_arn, error)
                await asyncio.sleep(1.0)

    async def _list_shards(self) -> list[str]:
        shards: list[str] = []
        start: dict[str, str] = {}
        while True:
            answer = await self._client.call(
                "dynamodbstreams", "DescribeStream", {"StreamArn": self._mapping.stream_arn, **start}
            )
            description = answer["StreamDescription"]
            shards += [shard["ShardId"] for shard in description.get("Shards", [])]
            last = description.get("LastEvaluatedShardId")
            if not last:
                return shards
            start = {"ExclusiveStartShardId": last}


class _ShardReader:
    """Reads one shard into its lanes, never further ahead than a few batches."""

    def __init__(
        self,
        mapping: StreamMapping,
        shard: str,
        position: str,
        client: AwsClient,
        runner: _BatchRunner,
        region: str,
        progress: StreamPosition,
    ) -> None:
        self._mapping = mapping
        self._progress = progress
        self._shard = shard
        self._position = position
        self._client = client
        self._region = region
        self._filter = compile_filters(mapping.filters)
        self._lanes = [_Lane(mapping, shard, runner, progress) for _ in range(mapping.parallelization)]
        self._last_sequence = ""

    async def run(self) -> None:
        """Read until the shard is closed and its lanes are empty."""
        lanes = [spawn(lane.run(), f"lane {i} of {self._shard}") for i, lane in enumerate(self._lanes)]
        try:
            iterator: str | None = await self._iterator()
            while iterator:
                iterator = await self._read(iterator)
            self._progress.ended(self._shard)
            await asyncio.gather(*(lane.drained() for lane in self._lanes))
        finally:
            for task in lanes:
                task.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)

    async def _read(self, iterator: str) -> str | None:
        began = time.monotonic()
        try:
            answer = await self._client.call(
                "dynamodbstreams", "GetRecords", {"ShardIterator": iterator, "Limit": _GET_RECORDS_MAX}
            )
        except AwsCallError as error:
            if error.code in ("ExpiredIteratorException", "TrimmedDataAccessException"):
                return await self._iterator()
            _log.warning("shard %s: %s", self._shard, error)
            await asyncio.sleep(1.0)
            return iterator
        records = answer.get("Records") or []
        self._progress.read(self._shard, began, len(records))
        if records:
            self._last_sequence = records[-1]["dynamodb"]["SequenceNumber"]
            await self._spread(records)
        else:
            await asyncio.sleep(_IDLE_POLL_SECONDS)
        following: str | None = answer.get("NextShardIterator")
        return following

    async def _spread(self, records: list[dict[str, Any]]) -> None:
        wanted = records if self._filter is None else [r for r in records if self._filter(r)]
        self._progress.records.finish(len(records) - len(wanted))
        for record in wanted:
            record["eventSourceARN"] = self._mapping.stream_arn
            record.setdefault("awsRegion", self._region)
            record.setdefault("eventSource", "aws:dynamodb")
        if len(self._lanes) == 1:
            await self._lanes[0].put(wanted)
            return
        shares: list[list[dict[str, Any]]] = [[] for _ in self._lanes]
        for record in wanted:
            key = orjson.dumps(record["dynamodb"]["Keys"], option=orjson.OPT_SORT_KEYS)
            shares[zlib.crc32(key) % len(self._lanes)].append(record)
        for lane, share in zip(self._lanes, shares, strict=True):
            await lane.put(share)

    async def _iterator(self) -> str:
        request: dict[str, Any] = {"StreamArn": self._mapping.stream_arn, "ShardId": self._shard}
        if self._last_sequence:
            request |= {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "SequenceNumber": self._last_sequence,
            }
        else:
            request["ShardIteratorType"] = self._position
        while True:
            try:
                answer = await self._client.call("dynamodbstreams", "GetShardIterator", request)
                return str(answer["ShardIterator"])
            except AwsCallError as error:
                if error.code == "TrimmedDataAccessException":
                    request = {
                        "StreamArn": self._mapping.stream_arn,
                        "ShardId": self._shard,
                        "ShardIteratorType": "TRIM_HORIZON",
                    }
                _log.warning("iterator of %s: %s", self._shard, error)
                await asyncio.sleep(1.0)


class _Lane:
    """An ordered share of a shard: cuts its records into batches and runs them one after another."""

    def __init__(self, mapping: StreamMapping, shard: str, runner: _BatchRunner, progress: StreamPosition) -> None:
        self._mapping = mapping
        self._progress = progress
        self._shard = shard
        self._runner = runner
        self._records: deque[dict[str, Any]] = deque()
        self._changed = asyncio.Condition()
        self._since = 0.0
        self._busy = False

    async def put(self, records: list[dict[str, Any]]) -> None:
        """Add records; waits while the lane is `_BUFFERED_BATCHES` behind."""
        async with self._changed:
            limit = self._mapping.batch_size * _BUFFERED_BATCHES
            await self._changed.wait_for(lambda: len(self._records) < limit)
            if records and not self._records:
                self._since = time.monotonic()
            self._records.extend(records)
            self._changed.notify_all()

    async def drained(self) -> None:
        """Wait until nothing is buffered or running."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._records and not self._busy)

    async def run(self) -> None:
        """Process batches for ever."""
        while True:
            batch = await self._take()
            await self._runner.process(batch, self._shard)
            self._progress.records.finish(len(batch))
            async with self._changed:
                self._busy = False
                self._changed.notify_all()

    async def _take(self) -> list[dict[str, Any]]:
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._records))
            deadline = self._since + self._mapping.window_seconds
            while len(self._records) < self._mapping.batch_size:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                try:
                    await asyncio.wait_for(self._changed.wait(), left)
                except TimeoutError:
                    break
            batch = self._cut()
            self._since = time.monotonic()
            self._busy = True
            self._changed.notify_all()
            return batch

    def _cut(self) -> list[dict[str, Any]]:
        batch: list[dict[str, Any]] = []
        size = 0
        while self._records and len(batch) < self._mapping.batch_size:
            # GetRecords is capped at 1 MB, so sizes matter only to batches larger than a few reads.
            size += len(orjson.dumps(self._records[0])) if self._mapping.batch_size > _GET_RECORDS_MAX else 0
            if batch and size > SYNC_PAYLOAD_LIMIT:
                break
            batch.append(self._records.popleft())
        return batch


class _BatchRunner:
    """Runs one batch to its end: success, or retries, bisection, and the on-failure destination."""

    def __init__(
        self,
        mapping: StreamMapping,
        function: Function,
        pool: EnvironmentPool,
        destinations: Destinations,
    ) -> None:
        self._mapping = mapping
        self._function = function
        self._pool = pool
        self._destinations = destinations

    async def process(self, records: list[dict[str, Any]], shard: str) -> None:
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

    def _left(self, batch: list[dict[str, Any]], outcome: Outcome) -> list[dict[str, Any]]:
        """Return the records still to be processed: from the lowest reported failure on."""
        if not outcome.ok:
            return batch
        if not self._mapping.report_failures:
            return []
        sequences = [r["dynamodb"]["SequenceNumber"] for r in batch]
        failed = failed_items(outcome.payload, set(sequences))
        if failed is None:
            return batch
        if not failed:
            return []
        return batch[min(sequences.index(f) for f in failed) :]

    async def _invoke(self, batch: list[dict[str, Any]]) -> Outcome:
        figures = self._pool.figures[self._function.name]
        oldest = _created(batch[0])
        if oldest:
            figures.max_iterator_age_ms = max(figures.max_iterator_age_ms, int((time.time() - oldest) * 1000))
        payload = orjson.dumps({"Records": batch})
        pause = _RETRY_BACKOFF_SECONDS[0]
        while True:
            try:
                return await self._pool.invoke(self._function.name, payload)
            except Throttled:
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(_RETRY_BACKOFF_SECONDS[1], pause * 2)

    def _split_expired(self, batch: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        if self._mapping.max_age_seconds < 0:
            return batch, []
        horizon = time.time() - self._mapping.max_age_seconds
        expired = [r for r in batch if 0 < _created(r) < horizon]
        return ([r for r in batch if not 0 < _created(r) < horizon], expired) if expired else (batch, [])

    async def _give_up(
        self,
        batch: list[dict[str, Any]],
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
    batch: list[dict[str, Any]],
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
            "startSequenceNumber": batch[0]["dynamodb"]["SequenceNumber"],
            "endSequenceNumber": batch[-1]["dynamodb"]["SequenceNumber"],
            "approximateArrivalOfFirstRecord": _iso(_created(batch[0])),
            "approximateArrivalOfLastRecord": _iso(_created(batch[-1])),
            "batchSize": len(batch),
            "streamArn": mapping.stream_arn,
        },
    }
    return record


def _created(record: Mapping[str, Any]) -> float:
    return float(record["dynamodb"].get("ApproximateCreationDateTime") or 0.0)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
