"""The Runtime API of one execution environment (version 2018-06-01), as awslambdaric speaks it.

Each environment gets a listener on a port of its own, because the runtime client knows nothing but an address:
the port is what says who asks. See the AWS Lambda developer guide, "Using the Lambda runtime API".
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from harness.lambda_service.http_listener import Answer, HttpListener
from harness.lambda_service.model import SYNC_PAYLOAD_LIMIT

_NEXT = "/2018-06-01/runtime/invocation/next"
_INIT_ERROR = "/2018-06-01/runtime/init/error"
_PREFIX = "/2018-06-01/runtime/invocation/"


@dataclass(frozen=True)
class Invocation:
    """What the runtime is given for one invocation. `deadline_ms` is Unix time in milliseconds, `client_context` JSON
    in ASCII, or empty."""

    request_id: str
    payload: bytes
    deadline_ms: int
    function_arn: str
    client_context: str = ""


@dataclass(frozen=True)
class RuntimeAnswer:
    """What the runtime posted: a response, or an error's JSON body with its type."""

    payload: bytes
    error_type: str = ""


class RuntimeApi:
    """Serves one execution environment: hands it invocations and takes its answers.

    `ready` is set while the runtime waits in `next`, that is after its init and after every answer; `init_error`
    resolves if the function's code could not be loaded.
    """

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.init_error: asyncio.Future[RuntimeAnswer] = asyncio.get_running_loop().create_future()
        self._offered: asyncio.Future[Invocation] = asyncio.get_running_loop().create_future()
        self._answer: asyncio.Future[RuntimeAnswer] | None = None
        self._current = ""
        self._listener = HttpListener(self._handle)

    async def start(self) -> str:
        """Listen on a free loopback port; returns `host:port` for AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{await self._listener.start()}"

    async def stop(self) -> None:
        """Close the listener and its connections."""
        if not self._offered.done():
            self._offered.cancel()
        self._listener.stop()

    def offer(self, invocation: Invocation) -> asyncio.Future[RuntimeAnswer]:
        """Hand an invocation to the waiting runtime; the returned future resolves with its answer.

        Call it only while `ready` is set.
        """
        self.ready.clear()
        self._current = invocation.request_id
        self._answer = asyncio.get_running_loop().create_future()
        self._offered.set_result(invocation)
        return self._answer

    async def _handle(self, method: str, path: str, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
        if path == _NEXT and method == "GET":
            return await self._next()
        if path == _INIT_ERROR and method == "POST":
            if not self.init_error.done():
                self.init_error.set_result(RuntimeAnswer(body, _error_type(headers)))
            return _ACCEPTED
        if path.startswith(_PREFIX) and method == "POST":
            request_id, _, kind = path[len(_PREFIX) :].partition("/")
            return self._take(request_id, kind, body, headers)
        return _refused(404, f"no {method} {path}")

    async def _next(self) -> Answer:
        self.ready.set()
        # The wait ends with the connection; what is offered must not end with it.
        invocation = await asyncio.shield(self._offered)
        self._offered = asyncio.get_running_loop().create_future()
        headers = [
            (b"Content-Type", b"application/json"),
            (b"Lambda-Runtime-Aws-Request-Id", invocation.request_id.encode()),
            (b"Lambda-Runtime-Deadline-Ms", b"%d" % invocation.deadline_ms),
            (b"Lambda-Runtime-Invoked-Function-Arn", invocation.function_arn.encode()),
            (b"Lambda-Runtime-Trace-Id", _trace_id(invocation.request_id).encode()),
        ]
        if invocation.client_context:
            headers.append((b"Lambda-Runtime-Client-Context", invocation.client_context.encode()))
        return 200, headers, invocation.payload

    def _take(self, request_id: str, kind: str, body: bytes, headers: Mapping[bytes, bytes]) -> Answer:
        if self._answer is None or self._answer.done() or request_id != self._current:
            return _refused(400, f"no invocation {request_id} is running")
        if kind == "error":
            self._answer.set_result(RuntimeAnswer(body, _error_type(headers)))
        elif kind == "response" and len(body) > SYNC_PAYLOAD_LIMIT:
            message = (
                f"Response payload size ({len(body)} bytes) exceeded maximum allowed payload size "
                f"({SYNC_PAYLOAD_LIMIT} bytes)."
            )
            self._answer.set_result(RuntimeAnswer(error_body(_TOO_LARGE, message), _TOO_LARGE))
            return _refused(413, message)
        elif kind == "response":
            self._answer.set_result(RuntimeAnswer(body))
        else:
            return _refused(404, f"no answer of kind {kind!r}")
        return _ACCEPTED


def _trace_id(request_id: str) -> str:
    # X-Ray's format: eight digits of the time, 24 of the trace, 16 of the parent (X-Ray developer guide).
    digits = request_id.replace("-", "")
    return f"Root=1-{int(time.time()):08x}-{digits[:24]};Parent={digits[-16:]};Sampled=0"


_TOO_LARGE = "Function.ResponseSizeTooLarge"


def error_body(error_type: str, message: str) -> bytes:
    """Return the JSON body of a failed invocation, as Lambda words it."""
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()


def _error_type(headers: Mapping[bytes, bytes]) -> str:
    return headers.get(b"lambda-runtime-function-error-type", b"Unhandled").decode("latin-1")


_JSON = ((b"Content-Type", b"application/json"),)
_ACCEPTED: Answer = (202, _JSON, b'{"status": "OK"}')


def _refused(status: int, message: str) -> Answer:
    return status, _JSON, json.dumps({"errorMessage": message}).encode()
