"""The SQS service: dispatches requests of both protocols, keeps long polls and timers."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from harness.data_plane.http_server import Answer, Headers
from harness.data_plane.queues import batches, limits, query_protocol, receiving, sending
from harness.data_plane.queues.broker import Broker
from harness.data_plane.queues.errors import SqsError, missing
from harness.data_plane.queues.journal import Journal, StorageError
from harness.data_plane.queues.operations import QueueOperations, Waits
from harness.data_plane.queues.paths import USAGE_PATH
from harness.data_plane.queues.polls import LongPolls
from harness.data_plane.queues.queue import Queue, over_limit
from harness.data_plane.queues.requests import Request, integer, text

_TARGET = b"AmazonSQS."
_TRACE = b"x-amzn-trace-id"
"""Header that becomes the AWSTraceHeader of messages that have none (observed on AWS). boto3 sends it in a function."""
_JSON = (b"Content-Type", b"application/x-amz-json-1.0")
_XML = ((b"Content-Type", b"text/xml"),)
_MOVE_PAUSE = 0.05
_REQUEST_PREFIX = str(uuid.uuid4())[:24].encode()
_requests = itertools.count(1)
_SURROGATES = re.compile("[\ud800-\udfff]")

Body = bytes | asyncio.Future[bytes]


@dataclass(frozen=True)
class Settings:
    """What a service is told. `url_base` begins queue URLs, for instance `http://127.0.0.1:4566`. `data` is the
    directory that keeps everything across restarts; without one, files without a name have the messages' bodies."""

    account: str = "000000000000"
    region: str = "us-east-1"
    url_base: str = "http://127.0.0.1"
    in_flight_limit: int = limits.IN_FLIGHT
    waits: Waits = field(default_factory=Waits)
    data: Path | None = None


def wall_clock() -> Callable[[], int]:
    """Return a clock of milliseconds since 1970 that never goes back."""
    offset = time.time_ns() - time.monotonic_ns()
    return lambda: (time.monotonic_ns() + offset) // 1_000_000


class QueueService:
    """All operations of SQS over one broker; `handle` is what an HTTP server needs. Make it inside an event loop.

    Raises OSError when the directory of the settings cannot be used.
    """

    def __init__(self, settings: Settings, clock: Callable[[], int] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock or wall_clock()
        self._sender = settings.account.encode()
        self._polls = LongPolls(self._loop, self._clock, self._sender)
        self._journal = Journal(settings.data)
        self.broker = Broker(
            settings.account,
            settings.region,
            self._arrived,
            in_flight_limit=settings.in_flight_limit,
            journal=self._journal,
        )
        if settings.data is not None:
            self.broker.recover()
        queues = QueueOperations(
            self.broker,
            self._clock,
            settings.url_base,
            settings.waits,
            self._polls.end_all,
            lambda hosted: self._polls.pump(hosted.queue),
            self._move,
        )
        self._find = queues.find
        self._move_timer: asyncio.TimerHandle | None = None
        # Each is given the request and the trace header.
        self._operations: dict[str, Callable[[Request, bytes], Body]] = {
            **{name: _as_json(operation) for name, operation in queues.table.items()},
            "SendMessage": self._send,
            "SendMessageBatch": self._send_batch,
            "ReceiveMessage": self._receive,
            "DeleteMessage": self._delete,
            "DeleteMessageBatch": self._delete_batch,
            "ChangeMessageVisibility": self._change_visibility,
            "ChangeMessageVisibilityBatch": self._change_visibility_batch,
        }
        self._loop.call_soon(self._move)

    def close(self) -> None:
        """Close the files."""
        self._journal.close()

    def usage(self) -> dict[str, dict[str, int]]:
        """Return the requests that SQS would have billed, by the queue's name."""
        return {hosted.queue.name: hosted.queue.meter.to_json() for hosted in self.broker.queues.values()}

    # HTTP

    def handle(self, target: str, headers: Headers, body: bytes) -> Answer | Awaitable[Answer]:
        """Answer one request; a long poll is answered later."""
        called = headers.get(b"x-amz-target")
        if called is None:
            if target == USAGE_PATH:
                return 200, (_JSON,), orjson.dumps({"Queues": self.usage()})
            return self._query(target, body, headers.get(_TRACE, b""))
        try:
            operation = self._operations.get(called[len(_TARGET) :].decode("latin-1"))
            if operation is None or not called.startswith(_TARGET):
                raise SqsError("UnknownOperationException", f"There is no operation {called.decode('latin-1')}.")
            answer = self._run(operation, _decode(body), headers.get(_TRACE, b""))
        except SqsError as error:
            return _json_error(error)
        if isinstance(answer, bytes):
            return 200, (_JSON, _request_id()), answer
        return self._later_json(answer)

    def _run(self, operation: Callable[[Request, bytes], Body], request: Request, trace: bytes) -> Body:
        """Run an operation between two commits: what could not be written before comes before anything is changed."""
        self._journal.commit()
        try:
            return operation(request, trace)
        finally:
            self._journal.commit()

    async def _later_json(self, answer: asyncio.Future[bytes]) -> Answer:
        try:
            return 200, (_JSON, _request_id()), await answer
        except SqsError as error:
            return _json_error(error)

    def _query(self, target: str, body: bytes, trace: bytes) -> Answer | Awaitable[Answer]:
        request_id = str(uuid.uuid4())
        try:
            action, request = query_protocol.parse(target, body)
            operation = self._operations.get(action)
            if operation is None:
                raise query_protocol.not_valid(action)
            answer = self._run(operation, request, trace)
        except SqsError as error:
            return error.status, _XML, query_protocol.render_error(error, request_id)
        if isinstance(answer, bytes):
            return 200, _XML, query_protocol.render(action, answer, request_id)
        return self._later_query(action, answer, request_id)

    async def _later_query(self, action: str, answer: asyncio.Future[bytes], request_id: str) -> Answer:
        try:
            return 200, _XML, query_protocol.render(action, await answer, request_id)
        except SqsError as error:
            return error.status, _XML, query_protocol.render_error(error, request_id)

    # messages

    def _send(self, request: Request, trace: bytes) -> bytes:
        queue = self._find(request).queue
        answer = sending.send(queue, self._clock(), request, trace.decode("latin-1"))
        self._changed(queue)
        return answer

    def _send_batch(self, request: Request, trace: bytes) -> bytes:
        queue = self._find(request).queue
        answer = sending.send_batch(queue, self._clock(), request, trace.decode("latin-1"))
        self._changed(queue)
        return answer

    def _receive(self, request: Request, _trace: bytes) -> Body:
        queue = self._find(request).queue
        asked = receiving.parse(queue, request)
        wait = queue.config.wait if asked.wait is None else asked.wait
        messages = receiving.receive(queue, self._clock(), asked)
        if messages or not wait:
            if not messages and not queue.config.fifo and queue.over_limit(self._clock()):
                raise over_limit()
            if not messages:
                queue.meter.empty_receives += 1
            return receiving.render(queue, messages, asked, self._sender)
        return self._polls.add(queue, asked, wait)

    def _delete(self, request: Request, _trace: bytes) -> bytes:
        queue = self._find(request).queue
        queue.delete(self._clock(), text(request, "ReceiptHandle"))
        queue.meter.others += 1
        self._changed(queue)
        return b""

    def _delete_batch(self, request: Request, _trace: bytes) -> bytes:
        queue = self._find(request).queue
        now = self._clock()
        entries = batches.entries_of(request, "DeleteMessageBatchRequestEntry")
        answer = batches.each(entries, lambda entry: queue.delete(now, text(entry, "ReceiptHandle")))
        queue.meter.others += 1
        self._changed(queue)
        return answer

    def _change_visibility(self, request: Request, _trace: bytes) -> bytes:
        queue = self._find(request).queue
        _hide(queue, self._clock(), request)
        queue.meter.others += 1
        self._changed(queue)
        return b""

    def _change_visibility_batch(self, request: Request, _trace: bytes) -> bytes:
        queue = self._find(request).queue
        now = self._clock()
        entries = batches.entries_of(request, "ChangeMessageVisibilityBatchRequestEntry")
        answer = batches.each(entries, lambda entry: _hide(queue, now, entry))
        queue.meter.others += 1
        self._changed(queue)
        return answer

    # what happens by itself

    def _changed(self, queue: Queue) -> None:
        if self._polls.waits(queue):
            self._journal.commit()
            self._polls.pump(queue)

    def _arrived(self, queue: Queue) -> None:
        """A message was moved here, in the middle of another queue's receive: look when that is over."""
        if self._polls.waits(queue):
            self._loop.call_soon(self._polls.pump, queue)

    def _move(self) -> None:
        """Run the move tasks, again and again until none runs."""
        if self._move_timer is not None:
            self._move_timer.cancel()
            self._move_timer = None
        try:
            self._journal.commit()
            running = self.broker.run_moves(self._clock())
            self._journal.commit()
        except StorageError:
            running = True
        if running:
            self._move_timer = self._loop.call_later(_MOVE_PAUSE, self._move)


def _hide(queue: Queue, now: int, request: Request) -> None:
    handle = text(request, "ReceiptHandle")
    visibility = receiving.checked_visibility(integer(request, "VisibilityTimeout"))
    if visibility is None:
        raise missing("VisibilityTimeout")
    queue.change_visibility(now, handle, visibility)


def _as_json(operation: Callable[[Request], dict[str, Any]]) -> Callable[[Request, bytes], bytes]:
    def answer(request: Request, _trace: bytes) -> bytes:
        found = operation(request)
        return orjson.dumps(found) if found else b""

    return answer


def _decode(body: bytes) -> Request:
    if not body:
        return {}
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        request = _decode_leniently(body)
    if not isinstance(request, dict):
        raise SqsError("SerializationException", "The request is not a JSON object.")
    return request


def _decode_leniently(body: bytes) -> Any:
    """Decode what the fast decoder refuses but JSON allows: lone surrogates. They become U+FFFF, which can be stored
    and given back, but in a message is refused as they would be."""
    try:
        request = json.loads(body, parse_constant=_no_constant)
        return json.loads(_SURROGATES.sub("\uffff", json.dumps(request, ensure_ascii=False)))
    except (ValueError, RecursionError) as error:
        raise SqsError("SerializationException", f"The request is not JSON: {type(error).__name__}") from None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _request_id() -> tuple[bytes, bytes]:
    """Return the header by which AWS names a request: a number under the process' own prefix, which costs next to
    nothing."""
    return b"x-amzn-RequestId", b"%b%012x" % (_REQUEST_PREFIX, next(_requests))


def _json_error(error: SqsError) -> Answer:
    kind = b"Sender" if error.status < 500 else b"Receiver"
    headers = (_JSON, _request_id(), (b"x-amzn-query-error", f"{error.code};".encode("ascii", "replace") + kind))
    body = json.dumps({"__type": f"com.amazonaws.sqs#{error.shape}", "message": error.message}).encode()
    return error.status, headers, body
