"""S3 notifications: read from the internal queue that stands in for the channel from S3 to Lambda."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote_plus

import orjson

from harness.lambda_service.activity import Work
from harness.lambda_service.aws import AwsCallError, AwsClient
from harness.lambda_service.invoker import AsyncInvoker
from harness.lambda_service.model import NotificationQueue, NotificationRoute
from harness.lambda_service.pool import EnvironmentPool
from harness.lambda_service.tasks import spawn

_log = logging.getLogger(__name__)


def matching(routes: Iterable[NotificationRoute], record: Mapping[str, Any]) -> list[NotificationRoute]:
    """Return the routes one S3 event record takes: bucket, event type, prefix and suffix must fit."""
    event = f"s3:{str(record.get('eventName', '')).removeprefix('s3:')}"
    bucket = record["s3"]["bucket"]["name"]
    key = unquote_plus(record["s3"]["object"]["key"])
    return [
        route
        for route in routes
        if route.bucket == bucket
        and any(fnmatchcase(event, pattern) for pattern in route.events)
        and key.startswith(route.prefix)
        and key.endswith(route.suffix)
    ]


class NotificationPoller:
    """Turns S3 events into asynchronous invocations, one per record and route, as S3 does."""

    def __init__(
        self, queue: NotificationQueue, client: AwsClient, pool: EnvironmentPool, invoker: AsyncInvoker
    ) -> None:
        self._queue = queue
        self._client = client
        self._pool = pool
        self._invoker = invoker
        self._task: asyncio.Task[None] | None = None
        self.work = Work()
        """Messages in hand: received, and neither deleted nor left to come back."""

    @property
    def queue_url(self) -> str:
        """The queue that is polled."""
        return self._queue.queue_url

    def start(self) -> None:
        """Start polling."""
        self._task = spawn(self._run(), "S3 notifications")

    async def stop(self) -> None:
        """Stop polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._poll()
            except AwsCallError as error:
                _log.warning("S3 notifications: %s", error)
                await asyncio.sleep(1.0)

    async def _poll(self) -> None:
        answer = await self._client.call(
            "sqs",
            "ReceiveMessage",
            {"QueueUrl": self._queue.queue_url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 5},
        )
        for message in answer.get("Messages") or []:
            with self.work.one():
                # S3 announces itself with a test event that has no records.
                for record in orjson.loads(message["Body"]).get("Records") or []:
                    self._dispatch(record)
                await self._client.call(
                    "sqs",
                    "DeleteMessage",
                    {"QueueUrl": self._queue.queue_url, "ReceiptHandle": message["ReceiptHandle"]},
                )

    def _dispatch(self, record: Mapping[str, Any]) -> None:
        for route in matching(self._queue.routes, record):
            function = self._pool.get(route.function)
            if function is None:
                _log.error("S3 notification names the unknown function %s", route.function)
                continue
            self._invoker.accept(function, orjson.dumps({"Records": [record]}))
