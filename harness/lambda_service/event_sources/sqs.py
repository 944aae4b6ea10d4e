"""SQS event source mapping: polls a queue, invokes with batches, deletes what succeeded.

What failed is simply not deleted: it comes back when its visibility timeout ends, and SQS counts its receives and
moves it to the dead-letter queue. So does a batch whose function was throttled for too long.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from harness.lambda_service.activity import Clock, Work
from harness.lambda_service.aws import AwsCallError, AwsClient
from harness.lambda_service.concurrency import LOOK_SECONDS, Profile, Scaling, scaling_of, throttle_pauses
from harness.lambda_service.event_sources.events import EMPTY_EVENT_SIZE, encode_event, fits, record_size
from harness.lambda_service.event_sources.partial import failed_items
from harness.lambda_service.filters import compile_filters
from harness.lambda_service.model import SYNC_PAYLOAD_LIMIT, SqsMapping
from harness.lambda_service.pool import EnvironmentPool, Throttled
from harness.lambda_service.tasks import spawn

_log = logging.getLogger(__name__)
_RECEIVE_MAX = 10
_LONG_POLL_SECONDS = 5
_ERROR_PAUSE_SECONDS = 1.0


class _Message(NamedTuple):
    """A message in hand: what names it, what deletes it, and its record as the event will hold it."""

    message_id: str
    receipt_handle: str
    data: bytes


@dataclass
class _Batch:
    """Messages gathered for one invocation, with when the first came and the size of their event in bytes; `held`
    counts those that count as open work."""

    records: list[_Message] = field(default_factory=list)
    size: int = EMPTY_EVENT_SIZE
    since: float = 0.0
    held: int = 0


class SqsPoller:
    """Runs one mapping until stopped: as many concurrent batches as its scaling allows.

    `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        mapping: SqsMapping,
        client: AwsClient,
        pool: EnvironmentPool,
        profile: Profile,
        region: str,
        clock: Clock = time.monotonic,
    ) -> None:
        self._clock = clock
        self._mapping = mapping
        self._client = client
        self._pool = pool
        self._region = region
        self._filter = compile_filters(mapping.filters, text_field="body")
        self._scaling: Scaling = scaling_of(profile, mapping.max_concurrency, mapping.provisioned_pollers)
        self._workers: list[asyncio.Task[None]] = []
        self._supervisor: asyncio.Task[None] | None = None
        self._visibility = 30.0
        self.work = Work()
        """Messages in hand: received, and neither deleted nor left to come back."""

    def start(self) -> None:
        """Start polling."""
        self._supervisor = spawn(self._supervise(), f"mapping {self._mapping.mapping_id}")

    @property
    def function(self) -> str:
        """The function that the mapping invokes."""
        return self._mapping.function

    def concurrency_limit(self) -> int:
        """Return how many batches may run at this moment."""
        return self._scaling.allowed(self._clock())

    async def stop(self) -> None:
        """Stop polling; batches being processed are cut off and will be redelivered by SQS."""
        tasks = [*self._workers, *([self._supervisor] if self._supervisor else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _supervise(self) -> None:
        self._visibility = await self._read_visibility()
        while True:
            allowed = self._scaling.allowed(self._clock())
            while len(self._workers) < allowed:
                name = f"poller {self._mapping.mapping_id} {len(self._workers)}"
                self._workers.append(spawn(self._work(len(self._workers)), name))
            await asyncio.sleep(LOOK_SECONDS)

    async def _read_visibility(self) -> float:
        while True:
            try:
                answer = await self._client.call(
                    "sqs",
                    "GetQueueAttributes",
                    {"QueueUrl": self._mapping.queue_url, "AttributeNames": ["VisibilityTimeout"]},
                )
                return float(answer["Attributes"]["VisibilityTimeout"])
            except AwsCallError as error:
                _log.warning("mapping of %s: %s", self._mapping.queue_arn, error)
                await asyncio.sleep(_ERROR_PAUSE_SECONDS)

    async def _work(self, index: int) -> None:
        """Gather and process batches for ever. A message that would overfill a batch opens the next one."""
        batch = _Batch()
        while True:
            if index >= self._scaling.allowed(self._clock()) and not batch.records:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            given = batch
            try:
                batch = await self._next(given)
            except AwsCallError as error:
                # The queue may be gone for a moment (an engine restarting) or for good: keep saying so.
                _log.warning("polling %s: %s", self._mapping.queue_url, error)
                # What was in hand is delivered again when its visibility timeout ends.
                batch = _Batch()
                await asyncio.sleep(_ERROR_PAUSE_SECONDS)
            self.work.finish(given.held - len(batch.records))
            batch.held = len(batch.records)

    async def _next(self, batch: _Batch) -> _Batch:
        """Receive once; process what makes complete batches. Returns the batch to go on with."""
        mapping = self._mapping
        if (pace := self._scaling.take_poll(self._clock())) > 0:
            await asyncio.sleep(pace)
        wait = self._wait(batch)
        room = mapping.batch_size - len(batch.records)
        messages = await self._receive(min(_RECEIVE_MAX, room), wait)
        self.work.take(len(messages))
        batch.held += len(messages)
        self._scaling.observe(bool(messages), self._clock())
        wanted = await self._wanted(messages)
        self._scaling.received(sum(len(message.data) for message in wanted), self._clock())
        for message in wanted:
            if batch.records and not fits(batch.size, message.data):
                await self._process(batch.records)
                batch = _Batch()
            _add(batch, message, self._clock())
        full = len(batch.records) >= mapping.batch_size
        waited = bool(batch.records) and self._clock() - batch.since >= mapping.window_seconds
        if full or waited:
            await self._process(batch.records)
            batch = _Batch()
        return batch

    def _wait(self, batch: _Batch) -> int:
        if not batch.records:
            return _LONG_POLL_SECONDS
        # Whole seconds are all that ReceiveMessage knows; a short poll ends a window that is nearly over.
        return max(0, int(self._mapping.window_seconds - (self._clock() - batch.since)))

    async def _receive(self, count: int, wait: int) -> list[dict[str, Any]]:
        answer = await self._client.call(
            "sqs",
            "ReceiveMessage",
            {
                "QueueUrl": self._mapping.queue_url,
                "MaxNumberOfMessages": count,
                "WaitTimeSeconds": wait,
                "AttributeNames": ["All"],
                "MessageAttributeNames": ["All"],
            },
            timeout=wait + 30.0,
        )
        messages: list[dict[str, Any]] = answer.get("Messages") or []
        return messages

    async def _wanted(self, messages: list[dict[str, Any]]) -> list[_Message]:
        """Return the messages that pass the filters; the others are deleted, as Lambda does."""
        wanted: list[_Message] = []
        unwanted: list[_Message] = []
        for message in messages:
            record = message_record(message, self._mapping.queue_arn, self._region)
            if self._filter is None or self._filter(record):
                wanted.append(_Message(record["messageId"], record["receiptHandle"], orjson.dumps(record)))
            else:
                unwanted.append(_Message(record["messageId"], record["receiptHandle"], b""))
        await self._delete(unwanted)
        return wanted

    async def _process(self, messages: list[_Message]) -> None:
        event = encode_event(message.data for message in messages)
        if len(event) > SYNC_PAYLOAD_LIMIT:
            # SQS itself takes no such message: 1 MiB makes 2 MiB of JSON at most. It is received again, until its
            # queue gives it up.
            _log.error("a message of %s makes an event of %d bytes", self._mapping.queue_url, len(event))
            return
        outcome = await self._invoke(event)
        if outcome is None or not outcome.ok:
            return
        if not self._mapping.report_failures:
            await self._delete(messages)
            return
        failed = failed_items(outcome.payload, {m.message_id for m in messages})
        if failed is not None:
            await self._delete([m for m in messages if m.message_id not in failed])

    async def _invoke(self, payload: bytes) -> Any:
        """Invoke, waiting out throttles until the messages would be visible again anyway."""
        expires = self._clock() + self._visibility
        for pause in throttle_pauses():
            if self._clock() >= expires:
                break
            try:
                return await self._pool.invoke(self._mapping.function, payload)
            except Throttled:
                await asyncio.sleep(random.uniform(pause / 2, pause))
        return None

    async def _delete(self, messages: list[_Message]) -> None:
        for start in range(0, len(messages), _RECEIVE_MAX):
            entries = [
                {"Id": str(i), "ReceiptHandle": m.receipt_handle}
                for i, m in enumerate(messages[start : start + _RECEIVE_MAX])
            ]
            answer = await self._client.call(
                "sqs", "DeleteMessageBatch", {"QueueUrl": self._mapping.queue_url, "Entries": entries}
            )
            for failure in answer.get("Failed") or []:
                # Not fatal: the message is delivered again, and consumers are idempotent.
                _log.warning("delete from %s: %s", self._mapping.queue_url, failure.get("Code"))


def message_record(message: Mapping[str, Any], queue_arn: str, region: str) -> dict[str, Any]:
    """Return the record that an event holds of a message as ReceiveMessage gives it."""
    attributes = message.get("MessageAttributes") or {}
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes") or {},
        "messageAttributes": {name: _attribute(value) for name, value in attributes.items()},
        "md5OfBody": message.get("MD5OfBody", ""),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    }


def _add(batch: _Batch, message: _Message, now: float) -> None:
    if not batch.records:
        batch.since = now
    batch.records.append(message)
    batch.size += record_size(message.data)


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    converted = {"dataType": value.get("DataType", "String")}
    if "StringValue" in value:
        converted["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        converted["binaryValue"] = value["BinaryValue"]
    return converted
