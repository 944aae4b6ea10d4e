"""Function output on its way to CloudWatch Logs: buffered, batched, one stream per execution environment."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict

from harness.lambda_service.aws import AwsCallError, AwsClient
from harness.lambda_service.tasks import spawn

FLUSH_SECONDS = 0.5
MAX_BATCH_EVENTS = 5_000
MAX_BATCH_BYTES = 1_000_000
"""PutLogEvents takes 10,000 events and 1,048,576 bytes, 26 bytes of overhead per event (API reference)."""

_EVENT_OVERHEAD = 26
_log = logging.getLogger(__name__)


class LogShipper:
    """Collects lines and ships them in the background; `dropped` counts lines the logs service refused."""

    def __init__(self, client: AwsClient) -> None:
        self.dropped = 0
        self.shipped_bytes = 0
        self.pending = 0
        """Lines queued and neither shipped nor dropped."""
        self._client = client
        self._buffers: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
        self._known: set[tuple[str, str]] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, group: str, stream: str, line: str) -> None:
        """Queue one line, stamped with the time of this call."""
        self._buffers[(group, stream)].append((time.time_ns() // 1_000_000, line))
        self.pending += 1

    def start(self) -> None:
        """Start shipping in the background."""
        self._task = spawn(self._run(), "log shipper")

    async def stop(self) -> None:
        """Ship what is left, then stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    async def flush(self) -> None:
        """Ship everything queued so far."""
        buffers, self._buffers = self._buffers, defaultdict(list)
        for (group, stream), events in buffers.items():
            for batch in _batches(events):
                await self._ship(group, stream, batch)
                self.pending -= len(batch)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def _ship(self, group: str, stream: str, events: list[tuple[int, str]]) -> None:
        try:
            await self._ensure(group, stream)
            await self._client.call(
                "logs",
                "PutLogEvents",
                {
                    "logGroupName": group,
                    "logStreamName": stream,
                    "logEvents": [{"timestamp": stamp, "message": line} for stamp, line in events],
                },
            )
            self.shipped_bytes += sum(len(line) for _, line in events)
        except AwsCallError as error:
            self.dropped += len(events)
            _log.error("lost %d log lines of %s: %s", len(events), group, error)

    async def _ensure(self, group: str, stream: str) -> None:
        if (group, stream) in self._known:
            return
        for operation, names in (
            ("CreateLogGroup", {"logGroupName": group}),
            ("CreateLogStream", {"logGroupName": group, "logStreamName": stream}),
        ):
            try:
                await self._client.call("logs", operation, names)
            except AwsCallError as error:
                if error.code != "ResourceAlreadyExistsException":
                    raise
        self._known.add((group, stream))


def _batches(events: list[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    """Split events so that no batch exceeds what PutLogEvents takes; events must be in time order."""
    batches: list[list[tuple[int, str]]] = []
    size = MAX_BATCH_BYTES
    for event in events:
        cost = len(event[1].encode("utf-8", "replace")) + _EVENT_OVERHEAD
        if not batches or size + cost > MAX_BATCH_BYTES or len(batches[-1]) == MAX_BATCH_EVENTS:
            batches.append([])
            size = 0
        batches[-1].append(event)
        size += cost
    return batches
