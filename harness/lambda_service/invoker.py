"""Asynchronous invocation: an event is accepted, run, retried twice, and then goes to its destination."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from harness.lambda_service.activity import Deadlines, Work
from harness.lambda_service.aws import AwsCallError, AwsClient
from harness.lambda_service.environment import Outcome
from harness.lambda_service.model import AsyncConfig, Function
from harness.lambda_service.pool import EnvironmentPool, Throttled, UnknownFunction
from harness.lambda_service.tasks import spawn

_log = logging.getLogger(__name__)
THROTTLE_BACKOFF_SECONDS = (0.2, 5.0)
"""First and longest wait of a throttled asynchronous event. AWS backs off from 1 s to 5 min; a local queue of
events has no neighbours to spare."""

ERROR_MESSAGE_BYTES = 1024
"""How much of an error's message a dead letter has (Lambda developer guide, "Dead-letter queues")."""


class Destinations:
    """Sends records of failed or finished work to SQS queues by ARN; counts what could not be sent."""

    def __init__(self, client: AwsClient) -> None:
        self.sent = 0
        self.lost = 0
        self._client = client

    async def send(self, arn: str, record: Mapping[str, Any]) -> None:
        """Send one record to the queue named by `arn`; a refusal is logged and counted, never raised."""
        await self._send(arn, {"MessageBody": queue_text(orjson.dumps(record).decode(), escape=True)})

    async def send_event(self, arn: str, payload: bytes, attributes: Mapping[str, tuple[str, str]]) -> None:
        """Send an event itself, as a function's dead-letter queue gets it; `attributes` are name to (type, value).

        A refusal is logged and counted, never raised.
        """
        body = queue_text(payload.decode("utf-8", "replace"), escape=True)
        described = {
            name: {"DataType": kind, "StringValue": queue_text(value)} for name, (kind, value) in attributes.items()
        }
        await self._send(arn, {"MessageBody": body, "MessageAttributes": described})

    async def _send(self, arn: str, message: Mapping[str, Any]) -> None:
        try:
            _, _, _, _, account, name = arn.split(":", 5)
            url = await self._client.call("sqs", "GetQueueUrl", {"QueueName": name, "QueueOwnerAWSAccountId": account})
            await self._client.call("sqs", "SendMessage", {"QueueUrl": url["QueueUrl"], **message})
            self.sent += 1
        except AwsCallError as error:
            self.lost += 1
            _log.error("destination %s did not take a record: %s", arn, error)


@dataclass(frozen=True)
class _Event:
    """An accepted event with its one request id, and the clock's time from which it is too old."""

    function: Function
    payload: bytes
    request_id: str
    expires: float
    config: AsyncConfig


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

    def forget(self, function: str) -> None:
        """Drop a removed function's settings; its waiting events end unrun."""
        self._configs.pop(function, None)

    def accept(self, function: Function, payload: bytes) -> str:
        """Queue one event; returns the request id AWS would answer with, which all its attempts share."""
        config = self._configs.get(function.name, AsyncConfig(function.name))
        expires = time.monotonic() + config.max_age_seconds
        event = _Event(function, payload, str(uuid.uuid4()), expires, config)
        task = spawn(self._run(event), f"event {function.name}")
        self._tasks.add(task)
        self.work.take()
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self.work.finish())
        return event.request_id

    async def stop(self) -> None:
        """Give up events that are still running or waiting."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, event: _Event) -> None:
        try:
            condition, attempts, outcome = await self._see_through(event)
        except UnknownFunction:
            _log.info("event %s ends with its function %s", event.request_id, event.function.name)
            return
        good = condition == "Success"
        if not good and event.function.dead_letter_arn:
            await self._destinations.send_event(
                event.function.dead_letter_arn, event.payload, _letter_attributes(event.request_id, condition, outcome)
            )
        arn = event.config.on_success_arn if good else event.config.on_failure_arn
        if arn:
            await self._destinations.send(arn, _record(event, condition, attempts, outcome))

    async def _see_through(self, event: _Event) -> tuple[str, int, Outcome | None]:
        """Invoke until the event succeeds, is used up or too old; returns the condition, attempts and last outcome."""
        attempts, outcome = 0, None
        wait, longest = THROTTLE_BACKOFF_SECONDS
        while True:
            if self._pool.switched_off(event.function.name):
                return "ZeroReservedConcurrency", attempts, outcome
            try:
                outcome = await self._pool.invoke(event.function.name, event.payload, request_id=event.request_id)
            except Throttled:
                delay, wait = wait, min(longest, wait * 2)
            else:
                attempts += 1
                if outcome.ok:
                    return "Success", attempts, outcome
                if attempts > event.config.max_retries:
                    return "RetriesExhausted", attempts, outcome
                delay = self._retry_delays[min(attempts, len(self._retry_delays)) - 1]
                wait, _ = THROTTLE_BACKOFF_SECONDS
            if time.monotonic() + delay >= event.expires:
                # It would be too old by then: its fate is known now.
                return "EventAgeExceeded", attempts, outcome
            with self.retries.within(delay):
                await asyncio.sleep(delay)


def _record(event: _Event, condition: str, attempts: int, outcome: Outcome | None) -> dict[str, Any]:
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": timestamp(),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": f"{event.function.arn}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": embedded(event.payload),
    }
    if outcome is not None:
        context: dict[str, Any] = {"statusCode": 200, "executedVersion": "$LATEST"}
        if not outcome.ok:
            context["functionError"] = "Unhandled"
        record["responseContext"] = context
        record["responsePayload"] = embedded(outcome.payload) if outcome.payload else None
    return record


def _letter_attributes(request_id: str, condition: str, outcome: Outcome | None) -> dict[str, tuple[str, str]]:
    code, message = 429, "Rate Exceeded."
    if condition == "ZeroReservedConcurrency":
        message = "Function not invoked. Function is configured with zero reserved concurrent executions"
    elif outcome is not None:
        code, message = 200, _error_message(outcome)
    # An attribute has to say something: SQS refuses an empty one, and with it the letter.
    message = message.encode()[:ERROR_MESSAGE_BYTES].decode("utf-8", "ignore") or "(no message)"
    return {
        "RequestID": ("String", request_id),
        "ErrorCode": ("Number", str(code)),
        "ErrorMessage": ("String", message),
    }


def _error_message(outcome: Outcome) -> str:
    try:
        answer = orjson.loads(outcome.payload)
        return str(answer.get("errorMessage") or answer.get("errorType") or outcome.error_type)
    except (ValueError, AttributeError):
        return outcome.payload.decode("utf-8", "replace") or outcome.error_type


def embedded(payload: bytes) -> Any:
    """Return JSON to be put into a record as it stands, numbers and all; what is no JSON goes in as a string."""
    return orjson.Fragment(payload) if is_json(payload) else payload.decode("utf-8", "replace")


def is_json(payload: bytes) -> bool:
    """Return whether bytes are a JSON value. Python's NaN is none; escapes of lone surrogates are."""
    try:
        orjson.loads(payload)
    except ValueError:
        try:
            json.loads(payload.decode(), parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_NOT_IN_QUEUES = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def queue_text(text: str, *, escape: bool = False) -> str:
    """Return `text` without the characters that SQS refuses (outside XML 1.0): as JSON escapes, or replaced."""

    def instead(match: re.Match[str]) -> str:
        return f"\\u{ord(match.group()):04x}" if escape else "\ufffd"

    return _NOT_IN_QUEUES.sub(instead, text)


def timestamp() -> str:
    """Return the current time as Lambda writes it in destination records."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
