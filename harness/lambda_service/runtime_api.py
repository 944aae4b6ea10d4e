"""The Runtime API of one execution environment (version 2018-06-01), as awslambdaric speaks it.

Each environment gets a listener on a port of its own, because the runtime client knows nothing but an address:
the port is what says who asks. See the AWS Lambda developer guide, "Using the Lambda runtime API".
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from aiohttp import web

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
        self._web = web.Server(self._handle, access_log=None, keepalive_timeout=3600.0)
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen on a free loopback port; returns `host:port` for AWS_LAMBDA_RUNTIME_API."""
        self._server = await asyncio.get_running_loop().create_server(self._web, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close the listener and its connections."""
        if not self._offered.done():
            self._offered.cancel()
        if self._server is not None:
            self._server.close()
            await self._web.shutdown(timeout=0.1)

    def offer(self, invocation: Invocation) -> asyncio.Future[RuntimeAnswer]:
        """Hand an invocation to the waiting runtime; the returned future resolves with its answer.

        Call it only while `ready` is set.
        """
        self.ready.clear()
        self._current = invocation.request_id
        self._answer = asyncio.get_running_loop().create_future()
        self._offered.set_result(invocation)
        return self._answer

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path == _NEXT and request.method == "GET":
            return await self._next()
        if path == _INIT_ERROR and request.method == "POST":
            body = await request.content.read()
            if not self.init_error.done():
                self.init_error.set_result(RuntimeAnswer(body, _error_type(request)))
            return _accepted()
        if path.startswith(_PREFIX) and request.method == "POST":
            request_id, _, kind = path[len(_PREFIX) :].partition("/")
            body = await request.content.read()
            return self._take(request_id, kind, body, request)
        return web.json_response({"errorMessage": f"no {request.method} {path}"}, status=404)

    async def _next(self) -> web.StreamResponse:
        self.ready.set()
        invocation = await self._offered
        self._offered = asyncio.get_running_loop().create_future()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
            "Lambda-Runtime-Trace-Id": _trace_id(invocation.request_id),
        }
        if invocation.client_context:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        return web.Response(body=invocation.payload, content_type="application/json", headers=headers)

    def _take(self, request_id: str, kind: str, body: bytes, request: web.BaseRequest) -> web.Response:
        if self._answer is None or self._answer.done() or request_id != self._current:
            return web.json_response({"errorMessage": f"no invocation {request_id} is running"}, status=400)
        if kind == "error":
            self._answer.set_result(RuntimeAnswer(body, _error_type(request)))
        elif kind == "response" and len(body) > SYNC_PAYLOAD_LIMIT:
            message = (
                f"Response payload size ({len(body)} bytes) exceeded maximum allowed payload size "
                f"({SYNC_PAYLOAD_LIMIT} bytes)."
            )
            self._answer.set_result(RuntimeAnswer(error_body(_TOO_LARGE, message), _TOO_LARGE))
            return web.json_response({"errorMessage": message}, status=413)
        elif kind == "response":
            self._answer.set_result(RuntimeAnswer(body))
        else:
            return web.json_response({"errorMessage": f"no answer of kind {kind!r}"}, status=404)
        return _accepted()


def _trace_id(request_id: str) -> str:
    # X-Ray's format: eight digits of the time, 24 of the trace, 16 of the parent (X-Ray developer guide).
    digits = request_id.replace("-", "")
    return f"Root=1-{int(time.time()):08x}-{digits[:24]};Parent={digits[-16:]};Sampled=0"


_TOO_LARGE = "Function.ResponseSizeTooLarge"


def error_body(error_type: str, message: str) -> bytes:
    """Return the JSON body of a failed invocation, as Lambda words it."""
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()


def _error_type(request: web.BaseRequest) -> str:
    return request.headers.get("Lambda-Runtime-Function-Error-Type", "Unhandled")


def _accepted() -> web.Response:
    return web.json_response({"status": "OK"}, status=202)
