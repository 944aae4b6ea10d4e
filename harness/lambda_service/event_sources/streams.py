"""DynamoDB stream event source mapping: shards in the order of their lineage, per shard and lane in order.

A shard's records are spread over `ParallelizationFactor` lanes by the hash of their key, so that every item's
changes stay in order. A lane takes its next batch only when the one before succeeded or was given up, and a shard's
children are read only when all its lanes are through.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import zlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson

from harness.lambda_service.activity import StreamPosition
from harness.lambda_service.aws import AwsCallError, AwsClient
from harness.lambda_service.event_sources.checkpoints import Checkpoints, Watermark
from harness.lambda_service.event_sources.events import EMPTY_EVENT_SIZE, fits, record_size
from harness.lambda_service.event_sources.projection import projection
from harness.lambda_service.event_sources.shards import Position, Shard, ShardTree
from harness.lambda_service.event_sources.stream_batches import BatchRunner, StreamRecord
from harness.lambda_service.event_sources.wire import Change, ChangeEncoder, read_page
from harness.lambda_service.filters import compile_filters, fields_of
from harness.lambda_service.invoker import Destinations
from harness.lambda_service.model import SYNC_PAYLOAD_LIMIT, Function, StreamMapping
from harness.lambda_service.pool import EnvironmentPool
from harness.lambda_service.tasks import spawn

_log = logging.getLogger(__name__)
_GET_RECORDS_MAX = 1000
_IDLE_POLL_SECONDS = 0.25
"""AWS polls a shard four times a second (DynamoDB developer guide, "DynamoDB Streams and Lambda triggers")."""

_SHARD_DISCOVERY_SECONDS = 10.0
_ERROR_PAUSE_SECONDS = 1.0
_BUFFERED_BATCHES = 2
_EXPIRED = "ExpiredIteratorException"
_TRIMMED = "TrimmedDataAccessException"
_GONE = "ResourceNotFoundException"
_INVALID = "ValidationException"


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
        wall: Callable[[], float] = time.time,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._mapping = mapping
        self._client = client
        self._checkpoints = checkpoints or Checkpoints(None)
        self._runner = BatchRunner(mapping, function, pool, destinations, wall)
        self._region = region
        self._wall = wall
        self._tasks: set[asyncio.Task[None]] = set()
        position: Position = "LATEST" if mapping.starting_position == "LATEST" else "TRIM_HORIZON"
        # Who goes on has read the stream before: whatever it does not know is new, and wanted from its beginning.
        self._shards = ShardTree("TRIM_HORIZON" if self._checkpoints.resumed else position, self._checkpoints.finished)
        self._ended = asyncio.Event()
        self.position = StreamPosition()
        """How far the stream is read, and the records in hand."""

    def start(self) -> None:
        """Start polling."""
        self._spawn(self._discover(), f"mapping {self._mapping.mapping_id}")

    @property
    def function(self) -> str:
        """The function that the mapping invokes."""
        return self._mapping.function

    def window_left(self) -> float:
        """Return the seconds for which records in hand may wait for their batching window at most."""
        return float(self._mapping.window_seconds) if self.position.records.open else 0.0

    def concurrency_limit(self) -> int:
        """Return how many batches may run at this moment: a lane of every shard that is read each."""
        return len(self._shards.reading) * self._mapping.parallelization

    async def stop(self) -> None:
        """Stop polling; checkpoints are written."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._checkpoints.write()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = spawn(work, name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _discover(self) -> None:
        """List the shards every few seconds, and at once when one has ended, which is when its children may begin."""
        while True:
            self._ended.clear()
            try:
                began = time.monotonic()
                shards = await self._list_shards()
            except AwsCallError as error:
                _log.warning("stream %s: %s", self._mapping.stream_arn, error)
                await asyncio.sleep(_ERROR_PAUSE_SECONDS)
                continue
            # Creation times are whole seconds.
            self._checkpoints.begin(float(int(self._wall())) if self._mapping.starting_position == "LATEST" else 0.0)
            ready = self._shards.ready(shards)
            self.position.listed(began, self._shards.unfinished(shards))
            for shard_id, position in ready:
                self._spawn(self._read(shard_id, position), f"shard {shard_id}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _SHARD_DISCOVERY_SECONDS)

    async def _read(self, shard_id: str, position: Position) -> None:
        reader = _ShardReader(
            self._mapping,
            shard_id,
            position,
            self._client,
            self._runner,
            self._region,
            self._listed,
            self._wall,
            self.position,
            self._checkpoints,
        )
        await reader.run()
        self._shards.finish(shard_id)
        self._checkpoints.finish(shard_id)
        self._ended.set()

    async def _listed(self, shard_id: str) -> bool:
        """Return whether the stream still has a shard; as long as it does not say, it does."""
        try:
            return any(shard.shard_id == shard_id for shard in await self._list_shards())
        except AwsCallError as error:
            _log.warning("stream %s: %s", self._mapping.stream_arn, error)
            return True

    async def _list_shards(self) -> list[Shard]:
        shards: list[Shard] = []
        start: dict[str, str] = {}
        while True:
            answer = await self._client.call(
                "dynamodbstreams", "DescribeStream", {"StreamArn": self._mapping.stream_arn, **start}
            )
            description = answer["StreamDescription"]
            shards += [Shard.from_description(shard) for shard in description.get("Shards", [])]
            last = description.get("LastEvaluatedShardId")
            if not last:
                return shards
            start = {"ExclusiveStartShardId": last}


class _ShardReader:
    """Reads one shard into its lanes, never further ahead than a few batches.

    `listed` tells whether the stream still has a shard.
    """

    def __init__(
        self,
        mapping: StreamMapping,
        shard: str,
        position: Position,
        client: AwsClient,
        runner: BatchRunner,
        region: str,
        listed: Callable[[str], Awaitable[bool]],
        wall: Callable[[], float],
        progress: StreamPosition,
        checkpoints: Checkpoints,
    ) -> None:
        self._mapping = mapping
        self._progress = progress
        self._checkpoints = checkpoints
        self._shard = shard
        self._position = position
        self._client = client
        self._encoder = ChangeEncoder(mapping.stream_arn, region)
        self._listed = listed
        self._wall = wall
        self._filter = compile_filters(mapping.filters)
        self._project = projection(fields_of(mapping.filters))
        self._watermark = Watermark(lambda number: checkpoints.reach(shard, number))
        self._lanes = [_Lane(mapping, shard, runner, self._finished) for _ in range(mapping.parallelization)]
        self._last_sequence = checkpoints.shards.get(shard, "")
        self._latest_since = 0.0
        self._not_before = checkpoints.since if checkpoints.resumed else 0.0

    async def run(self) -> None:
        """Read until the shard is closed and its lanes are empty."""
        lanes = [spawn(lane.run(), f"lane {i} of {self._shard}") for i, lane in enumerate(self._lanes)]
        try:
            iterator = await self._iterator()
            while iterator:
                iterator = await self._read(iterator)
            self._progress.ended(self._shard)
            await asyncio.gather(*(lane.drained() for lane in self._lanes))
        finally:
            for task in lanes:
                task.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)

    async def _read(self, iterator: str) -> str | None:
        """Read once; return the iterator to go on with, None at the shard's end."""
        began = time.monotonic()
        try:
            answer = await self._client.call_raw(
                "dynamodbstreams", "GetRecords", {"ShardIterator": iterator, "Limit": _GET_RECORDS_MAX}
            )
            page = read_page(answer)
            found = [self._encoder.encode(raw) for raw in page.Records or ()]
        except AwsCallError as error:
            _log.warning("shard %s: %s", self._shard, error)
            await asyncio.sleep(_IDLE_POLL_SECONDS if error.code == _EXPIRED else _ERROR_PAUSE_SECONDS)
            if error.code in (_EXPIRED, _TRIMMED, _GONE, _INVALID):
                return await self._iterator(trimmed=error.code == _TRIMMED)
            return iterator
        self._progress.read(self._shard, began, len(found))
        if found:
            self._last_sequence = found[-1][0].SequenceNumber
            await self._spread(found)
        else:
            await asyncio.sleep(_IDLE_POLL_SECONDS)
        return page.NextShardIterator

    async def _spread(self, found: list[tuple[Change, bytes]]) -> None:
        shares: list[list[StreamRecord]] = [[] for _ in self._lanes]
        for change, data in found:
            if self._filter is not None and not self._filter(self._project(data)):
                continue
            created = change.ApproximateCreationDateTime or 0.0
            if created >= self._not_before:
                shares[self._lane_of(change)].append(StreamRecord(change.SequenceNumber, created, data))
        self._progress.records.finish(len(found) - sum(map(len, shares)))
        for lane, share in zip(self._lanes, shares, strict=True):
            await lane.put(share)
        self._watermark.read(self._last_sequence, [lane.given for lane in self._lanes])
        self._finished(0)

    def _finished(self, count: int) -> None:
        """Note that a lane is through with some records."""
        self._progress.records.finish(count)
        self._watermark.finished([lane.done for lane in self._lanes])

    def _lane_of(self, change: Change) -> int:
        if len(self._lanes) == 1:
            return 0
        key = orjson.dumps(orjson.loads(bytes(change.Keys)), option=orjson.OPT_SORT_KEYS)
        return zlib.crc32(key) % len(self._lanes)

    async def _iterator(self, *, trimmed: bool = False) -> str | None:
        """Return an iterator behind the last record read, or at the oldest record if what came next was `trimmed`.

        None where the shard itself has expired.
        """
        while True:
            try:
                answer = await self._client.call("dynamodbstreams", "GetShardIterator", self._place(trimmed=trimmed))
                return str(answer["ShardIterator"])
            except AwsCallError as error:
                _log.warning("iterator of %s: %s", self._shard, error)
                if error.code == _GONE and not await self._listed(self._shard):
                    _log.warning(
                        "shard %s expired; it was read up to %s", self._shard, self._last_sequence or "nothing"
                    )
                    return None
                # A position that the shard does not know cannot be gone on from: all of it is read again.
                trimmed = trimmed or error.code in (_TRIMMED, _INVALID)
                await asyncio.sleep(_ERROR_PAUSE_SECONDS)

    def _place(self, *, trimmed: bool) -> dict[str, Any]:
        """Return the request of an iterator.

        The latest position can be asked for once only: a second time it would skip what was written in between. From
        then on the shard is read from its oldest record, and what is older than the first time is left out.
        """
        request: dict[str, Any] = {"StreamArn": self._mapping.stream_arn, "ShardId": self._shard}
        if self._last_sequence and not trimmed:
            return {
                **request,
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "SequenceNumber": self._last_sequence,
            }
        if self._position == "LATEST" and not self._latest_since:
            # Creation times are whole seconds.
            self._latest_since = float(int(self._wall()))
            return {**request, "ShardIteratorType": "LATEST"}
        self._not_before = self._latest_since or self._not_before
        return {**request, "ShardIteratorType": "TRIM_HORIZON"}


class _Lane:
    """An ordered share of a shard: cuts its records into batches and runs them one after another."""

    def __init__(
        self, mapping: StreamMapping, shard: str, runner: BatchRunner, finished: Callable[[int], None]
    ) -> None:
        self._mapping = mapping
        self._finished = finished
        self._shard = shard
        self._runner = runner
        self._records: deque[StreamRecord] = deque()
        self._size = 0
        self._changed = asyncio.Condition()
        self._since = 0.0
        self._busy = False
        self.given = 0
        """Records that were ever put in."""
        self.done = 0
        """Records that were ever processed or given up."""

    async def put(self, records: list[StreamRecord]) -> None:
        """Add records; waits while the lane is `_BUFFERED_BATCHES` behind."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._holds(_BUFFERED_BATCHES))
            if records and not self._records:
                self._since = _now()
            self._records.extend(records)
            self.given += len(records)
            self._size += sum(record_size(record.data) for record in records)
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
            self.done += len(batch)
            self._finished(len(batch))
            async with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _holds(self, batches: int) -> bool:
        """Return whether that many full batches are buffered, full by their number of records or by their size."""
        return (
            len(self._records) >= self._mapping.batch_size * batches
            or EMPTY_EVENT_SIZE + self._size >= SYNC_PAYLOAD_LIMIT * batches
        )

    async def _take(self) -> list[StreamRecord]:
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._records))
            deadline = self._since + self._mapping.window_seconds
            while not self._holds(1):
                left = deadline - _now()
                if left <= 0:
                    break
                try:
                    await asyncio.wait_for(self._changed.wait(), left)
                except TimeoutError:
                    break
            batch = self._cut()
            self._since = _now()
            self._busy = True
            self._changed.notify_all()
            return batch

    def _cut(self) -> list[StreamRecord]:
        """Take the next batch off: a record that alone exceeds the limit makes one of its own."""
        batch = [self._records.popleft()]
        size = EMPTY_EVENT_SIZE + record_size(batch[0].data)
        while self._records and len(batch) < self._mapping.batch_size and fits(size, self._records[0].data):
            batch.append(self._records.popleft())
            size += record_size(batch[-1].data)
        self._size -= size - EMPTY_EVENT_SIZE
        return batch


def _now() -> float:
    return asyncio.get_running_loop().time()
