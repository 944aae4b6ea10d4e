"""Asynchronous invocation: an event is accepted, run, retried twice, and then goes to its destination."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from harness.lambda_service.activity import Deadlines, Work
from harness.lambda_service.aws import AwsCallError, AwsClient
from harness.lambda_service.environment import Outcome
from harness.lambda_service.model import AsyncConfig, Function
from harness.lambda_service.pool import EnvironmentPool, Throttled

_log = logging.getLogger(__name__)
THROTTLE_BACKOFF_SECONDS = (0.2, 5.0)
"""First and longest wait of a throttled asynchronous event. AWS backs off from 1 s to 5 min; a local queue of
events has no neighbours to spare."""


class Destinations:
    """Sends records of failed or finished work to SQS queues by ARN; counts what could not be sent."""

    def __init__(self, client: AwsClient) -> None:
        self.sent = 0
        self.lost = 0
        self._client = client

    async def send(self, arn: str, record: Mapping[str, Any]) -> None:
        """Send one record to the queue named by `arn`; a refusal is logged and counted, never raised."""
        try:
            _, _, _, _, account, name = arn.split(":", 5)
            url = await self._client.call("sqs", "GetQueueUrl", {"QueueName": name, "QueueOwnerAWSAccountId": account})
            body = orjson.dumps(record).decode()
            await self._client.call("sqs", "SendMessage", {"QueueUrl": url["QueueUrl"], "MessageBody": body})
            self.sent += 1
        except AwsCallError as error:
            self.lost += 1
            _log.error("destination %s did not take a record: %s", arn, error)


class AsyncInvoker:
    """Accepts events for functions and sees each one through, as Lambda's asynchronous queue does."""

    def __init__(self, pool: EnvironmentPool, destinations: Destinations, retry_delays: tuple[float, ...]) -> None:
        self._pool = pool
        self._destinations = destinations
        self._retry_delays = retry_delays
        self._configs: dict[str, AsyncConfig] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.work = Work()
        """Events accepted and not yet finished: waiting, running, or on their way to a destination."""
        self.retries = Deadlines()
        """Events that wait for their next attempt."""

    @property
    def pending(self) -> int:
        """Events accepted and not yet finished."""
        return len(self._tasks)

    def configure(self, config: AsyncConfig) -> None:
        """Set one function's retries and destinations."""
        self._configs[config.function] = config

    def accept(self, function: Function, payload: bytes) -> str:
        """Queue one event; returns the request id AWS would answer with."""
        request_id = str(uuid.uuid4())
        task = asyncio.create_task(self._run(function, payload, request_id), name=f"event {function.name}")
        self._tasks.add(task)
        self.work.take()
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self.work.finish())
        return request_id

    async def stop(self) -> None:
        """Give up events that are still running or waiting."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, function: Function, payload: bytes, request_id: str) -> None:
        config = self._configs.get(function.name, AsyncConfig(function.name))
        accepted = time.monotonic()
        attempts = 0
        while True:
            outcome = await self._invoke(function, payload, accepted + config.max_age_seconds)
            if outcome is None:
                await self._finish(
                    config.on_failure_arn, function, payload, request_id, attempts, "EventAgeExceeded", None
                )
                return
            attempts += 1
            if outcome.ok:
                await self._finish(config.on_success_arn, function, payload, request_id, attempts, "Success", outcome)
                return
            if attempts > config.max_retries:
                await self._finish(
                    config.on_failure_arn,
                    function,
                    payload,
                    request_id,
                    attempts,
                    "RetriesExhausted",
                    outcome,
                )
                return
            delay = self._retry_delays[min(attempts, len(self._retry_delays)) - 1]
            with self.retries.within(delay):
                await asyncio.sleep(delay)

    async def _invoke(self, function: Function, payload: bytes, expires: float) -> Outcome | None:
        """Invoke until not throttled; None when the event grew too old for that."""
        wait, longest = THROTTLE_BACKOFF_SECONDS
        while time.monotonic() < expires:
            try:
                return await self._pool.invoke(function.name, payload)
            except Throttled:
                await asyncio.sleep(wait)
                wait = min(longest, wait * 2)
        return None

    async def _finish(
        self,
        arn: str,
        function: Function,
        payload: bytes,
        request_id: str,
        attempts: int,
        condition: str,
        outcome: Outcome | None,
    ) -> None:
        if not arn:
            return
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": timestamp(),
            "requestContext": {
                "requestId": request_id,
                "functionArn": f"{function.arn}:$LATEST",
                "condition": condition,
                "approximateInvokeCount": attempts,
            },
            "requestPayload": orjson.loads(payload),
        }
        if outcome is not None:
            context: dict[str, Any] = {"statusCode": 200, "executedVersion": "$LATEST"}
            if not outcome.ok:
                context["functionError"] = "Unhandled"
            record["responseContext"] = context
            record["responsePayload"] = orjson.loads(outcome.payload) if outcome.payload else None
        await self._destinations.send(arn, record)


def timestamp() -> str:
    """Return the current time as Lambda writes it in destination records."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
