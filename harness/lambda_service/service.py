"""The Lambda service: stacks of functions and mappings, driven over a loopback HTTP endpoint.

The endpoint serves Lambda's own `Invoke` and `PutFunctionConcurrency`, so that boto3's lambda client works
against it, and a control API (`/_control/...`) that wants the token the engine made up: upload a package, put, list
and delete stacks, get the report. `GET /_control/health` alone wants none.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import os
import time
import uuid
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from botocore.credentials import Credentials

from harness.errors import HarnessError
from harness.lambda_service import invoke_api, limits, packages
from harness.lambda_service.aws import AwsClient
from harness.lambda_service.concurrency import ConcurrencyLedger, profile_named
from harness.lambda_service.environment import ExecutionEnvironment, Sandbox
from harness.lambda_service.event_sources.checkpoints import Checkpoints
from harness.lambda_service.event_sources.s3 import NotificationPoller
from harness.lambda_service.event_sources.sqs import SqsPoller
from harness.lambda_service.event_sources.streams import StreamPoller
from harness.lambda_service.invoker import AsyncInvoker, Destinations
from harness.lambda_service.logs import LogShipper
from harness.lambda_service.model import SYNC_PAYLOAD_LIMIT, ServiceSettings, StackConfig
from harness.lambda_service.pool import EnvironmentPool, Throttled, UnknownFunction
from harness.lambda_service.tasks import spawn

_log = logging.getLogger(__name__)
TOKEN_HEADER = "X-Harness-Token"  # noqa: S105  the name of a header, not a secret
_REQUEST_ID = "x-amzn-RequestId"
Poller = SqsPoller | StreamPoller | NotificationPoller


class LambdaService:
    """All stacks of one engine. Use `run` from the service's process."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._profile = profile_named(settings.profile)
        self._ledger = ConcurrencyLedger(settings.account_concurrency)
        self._controls = limits.ControlGroups.open(f"harness-{os.getpid()}")
        self._limits = limits.detect(self._controls)
        self._client = AwsClient(settings.endpoints, settings.region, Credentials("test", "test"))
        self._logs = LogShipper(self._client)
        self._pool = EnvironmentPool(Sandbox(settings, self._controls, self._limits, self._log_line), self._ledger)
        self._destinations = Destinations(self._client)
        delays = settings.async_retry_delays or self._profile.async_retry_delays
        self._invoker = AsyncInvoker(self._pool, self._destinations, delays)
        self._stacks: dict[str, StackConfig] = {}
        self._pollers: dict[str, list[Poller]] = {}
        self._started = time.monotonic()
        self._id = uuid.uuid4().hex

    @property
    def control_folders(self) -> list[str]:
        """Control group folders to remove should this process be killed."""
        return [str(folder) for folder in self._controls.folders]

    async def start(self) -> None:
        """Open the connections and start the background work."""
        await self._client.__aenter__()
        self._logs.start()
        self._idle = spawn(self._close_idle(), "idle environments")

    async def stop(self) -> None:
        """Stop every mapping and environment, ship the logs, remove the control groups."""
        for name in list(self._stacks):
            await self._stop_pollers(name)
        await self._invoker.stop()
        self._idle.cancel()
        await asyncio.gather(self._idle, return_exceptions=True)
        await self._pool.close()
        await self._logs.stop()
        await self._client.__aexit__()
        self._controls.close()

    async def put_stack(self, stack: StackConfig) -> None:
        """Add or replace a stack; raises HarnessError where its reservations do not fit."""
        if stack.name in self._stacks:
            await self.delete_stack(stack.name)
        for function in stack.functions:
            self._pool.add(function)
        self._stacks[stack.name] = stack
        for config in stack.async_configs:
            self._invoker.configure(config)
        functions = {f.name: f for f in stack.functions}
        region = self._settings.region
        pollers: list[Poller] = []
        pollers += [
            SqsPoller(m, self._client, self._pool, self._profile, region) for m in stack.sqs_mappings if m.enabled
        ]
        pollers += [
            StreamPoller(
                m,
                functions[m.function],
                self._client,
                self._pool,
                self._destinations,
                region,
                checkpoints=Checkpoints.of_mapping(self._settings.positions_dir, m.stream_arn, m.function),
            )
            for m in stack.stream_mappings
            if m.enabled
        ]
        pollers += [NotificationPoller(q, self._client, self._pool, self._invoker) for q in stack.notification_queues]
        self._pollers[stack.name] = pollers
        for poller in pollers:
            poller.start()

    async def delete_stack(self, name: str) -> None:
        """Stop a stack's mappings and environments; unknown names are fine."""
        await self._stop_pollers(name)
        stack = self._stacks.pop(name, None)
        for function in stack.functions if stack else ():
            await self._pool.remove(function.name)
            self._invoker.forget(function.name)

    def report(self) -> dict[str, Any]:
        """Return limits in force and the figures of every function."""
        return {
            "profile": self._settings.profile,
            "limits": self._limits.describe(),
            "functions": {name: figures.to_json() for name, figures in self._pool.figures.items()},
            "log_lines_dropped": self._logs.dropped,
            "log_bytes": self._logs.shipped_bytes,
            "destination_records_sent": self._destinations.sent,
            "destination_records_lost": self._destinations.lost,
            "pending_events": self._invoker.pending,
            "uptime_seconds": round(time.monotonic() - self._started, 3),
        }

    def activity(self) -> dict[str, Any]:
        """Return what is under way at this moment, as the fields of `harness.engines.base.Activity`."""
        pollers = [poller for pollers in self._pollers.values() for poller in pollers]
        streams = [poller for poller in pollers if isinstance(poller, StreamPoller)]
        queues = [poller for poller in pollers if not isinstance(poller, StreamPoller)]
        now = time.monotonic()
        read = [stream.position.read_at() for stream in streams]
        known = [moment for moment in read if moment is not None]
        works = [self._pool.work, self._invoker.work]
        works += [poller.work for poller in queues] + [stream.position.records for stream in streams]
        waits = [self._pool.timeouts.left(), self._invoker.retries.left(), *(s.window_left() for s in streams)]
        return {
            "service": self._id,
            "now": now,
            "running": self._pool.work.open,
            "events": self._invoker.work.open,
            "messages": sum(poller.work.open for poller in queues),
            "records": sum(stream.position.records.open for stream in streams),
            "log_lines": self._logs.pending,
            "moved": sum(work.taken for work in works),
            "streams_read_at": min(known, default=now) if len(known) == len(read) else None,
            "due_seconds": max(waits),
            "queues": [poller.queue_url for poller in queues if isinstance(poller, NotificationPoller)],
            "functions": self._functions_now(pollers),
        }

    def _functions_now(self, pollers: list[Poller]) -> dict[str, dict[str, Any]]:
        """Return every function's running invocations, cold starts so far, and the concurrency allowed it now, by
        name without the stack's."""
        allowed: dict[str, int] = {}
        for poller in pollers:
            if not isinstance(poller, NotificationPoller):
                allowed[poller.function] = allowed.get(poller.function, 0) + poller.concurrency_limit()
        found = {}
        for stack in self._stacks.values():
            for function in stack.functions:
                limits_now = [n for n in (allowed.get(function.name), function.reserved_concurrency) if n is not None]
                found[function.name.removeprefix(f"{stack.name}-")] = {
                    "running": self._pool.running(function.name),
                    "cold_starts": self._pool.figures[function.name].cold_starts,
                    "limit": min(limits_now, default=None),
                }
        return found

    def application(self) -> web.Application:
        """Return the HTTP application of the service's endpoint."""
        app = web.Application(client_max_size=SYNC_PAYLOAD_LIMIT + 1024 * 1024)
        app.router.add_get("/_control/health", self._get_health)
        app.router.add_post("/_control/packages", self._guarded(self._post_package))
        app.router.add_put("/_control/stacks/{name}", self._guarded(self._put_stack))
        app.router.add_get("/_control/stacks", self._guarded(self._get_stacks))
        app.router.add_delete("/_control/stacks/{name}", self._guarded(self._delete_stack))
        app.router.add_get("/_control/report", self._guarded(self._get_report))
        app.router.add_get("/_control/activity", self._guarded(self._get_activity))
        app.router.add_post("/2015-03-31/functions/{name}/invocations", self._invoke)
        app.router.add_put("/2017-10-31/functions/{name}/concurrency", self._put_concurrency)
        return app

    def _guarded(self, handler: Any) -> Any:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get(TOKEN_HEADER, "")
            if not hmac.compare_digest(given.encode(), self._settings.token.encode()):
                return web.json_response({"message": "wrong token"}, status=403)
            try:
                response: web.StreamResponse = await handler(request)
            except HarnessError as error:
                return web.json_response({"message": str(error), "hint": error.hint}, status=400)
            return response

        return guarded

    async def _put_stack(self, request: web.Request) -> web.Response:
        await self.put_stack(StackConfig.from_json(orjson.loads(await request.read())))
        return web.json_response({})

    async def _get_stacks(self, _: web.Request) -> web.Response:
        return web.json_response({"stacks": sorted(self._stacks)})

    async def _post_package(self, request: web.Request) -> web.Response:
        try:
            package = await _body(request, packages.UPLOAD_LIMIT)
        except _TooLarge as error:
            message = f"the deployment package has {error.size} bytes, allowed are {packages.UPLOAD_LIMIT}"
            return web.json_response({"message": message}, status=413)
        root = Path(self._settings.work_dir) / "code"
        folder = await asyncio.to_thread(packages.store, root, package)
        return web.json_response({"folder": str(folder)})

    async def _get_health(self, _: web.Request) -> web.Response:
        return web.json_response({"stacks": len(self._stacks)})

    async def _delete_stack(self, request: web.Request) -> web.Response:
        await self.delete_stack(request.match_info["name"])
        return web.json_response({})

    async def _get_report(self, _: web.Request) -> web.Response:
        await self._logs.flush()
        return web.json_response(self.report())

    async def _get_activity(self, _: web.Request) -> web.Response:
        return web.json_response(self.activity())

    async def _invoke(self, request: web.Request) -> web.Response:
        # The answer's request id is the invocation's; a refusal has one of its own.
        request_id = str(uuid.uuid4())
        try:
            return await self._answer(request, request_id)
        except _TooLarge:
            return _refused(invoke_api.too_large(), request_id)
        except invoke_api.Refusal as refusal:
            return _refused(refusal, request_id)

    async def _answer(self, request: web.Request, request_id: str) -> web.Response:
        name = self._named(request, request.query.get("Qualifier", ""))
        wanted = invoke_api.parse(name, request.headers, await _body(request, SYNC_PAYLOAD_LIMIT))
        function = self._pool.get(name)
        if function is None:
            raise self._not_found(name)
        if wanted.kind == "DryRun":
            return web.Response(status=204, headers={_REQUEST_ID: request_id})
        if wanted.kind == "Event":
            request_id = self._invoker.accept(function, wanted.payload)
            return web.Response(status=202, headers={_REQUEST_ID: request_id})
        try:
            outcome = await self._pool.invoke(
                name,
                wanted.payload,
                request_id=request_id,
                client_context=wanted.client_context,
                tail=wanted.tail,
            )
        except Throttled:
            raise invoke_api.Refusal("TooManyRequestsException", "Rate Exceeded.", 429) from None
        except UnknownFunction:
            raise self._not_found(name) from None
        headers = {_REQUEST_ID: request_id, "X-Amz-Executed-Version": "$LATEST"}
        if not outcome.ok:
            # What the runtime client reports is always "Unhandled"; "Handled" was that of runtimes of old.
            headers["X-Amz-Function-Error"] = "Unhandled"
        if wanted.tail:
            headers["X-Amz-Log-Result"] = base64.b64encode(outcome.log_tail.encode()).decode()
        return web.Response(body=outcome.payload, content_type="application/json", headers=headers)

    def _named(self, request: web.Request, qualifier: str = "") -> str:
        settings = self._settings
        return invoke_api.function_name(
            request.match_info["name"], qualifier, region=settings.region, account_id=settings.account_id
        )

    def _not_found(self, name: str) -> invoke_api.Refusal:
        arn = f"arn:aws:lambda:{self._settings.region}:{self._settings.account_id}:function:{name}"
        return invoke_api.Refusal("ResourceNotFoundException", f"Function not found: {arn}", 404)

    async def _put_concurrency(self, request: web.Request) -> web.Response:
        request_id = str(uuid.uuid4())
        try:
            name = self._named(request)
            if self._pool.get(name) is None:
                raise self._not_found(name)
            value = _reservation(await request.read())
            self._ledger.reserve(name, value)
        except invoke_api.Refusal as refusal:
            return _refused(refusal, request_id)
        except HarnessError as error:
            return _refused(invoke_api.Refusal("InvalidParameterValueException", str(error), 400), request_id)
        return web.json_response({"ReservedConcurrentExecutions": value}, headers={_REQUEST_ID: request_id})

    async def _stop_pollers(self, name: str) -> None:
        await asyncio.gather(*(poller.stop() for poller in self._pollers.pop(name, [])))

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(10.0)
            await self._pool.close_idle(time.monotonic())

    def _log_line(self, environment: ExecutionEnvironment, line: str) -> None:
        self._logs.add(environment.function.log_group, environment.log_stream, line)


class _TooLarge(Exception):
    """A request's body has `size` bytes, more than it may."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


async def _body(request: web.Request, limit: int) -> bytes:
    """Return a request's body; raises _TooLarge where it exceeds `limit` bytes.

    It is read to the end all the same, because a client that still sends would not hear the refusal, but not kept.
    """
    body, size = bytearray(), 0
    async for piece in request.content.iter_chunked(1024 * 1024):
        size += len(piece)
        if size <= limit:
            body += piece
    if size > limit:
        raise _TooLarge(size)
    return bytes(body)


def _reservation(body: bytes) -> int:
    try:
        value = orjson.loads(body)["ReservedConcurrentExecutions"]
    except (ValueError, KeyError, TypeError):
        value = None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        message = "ReservedConcurrentExecutions is needed: a whole number of at least 0"
        raise invoke_api.Refusal("InvalidParameterValueException", message, 400)
    return value


def _refused(refusal: invoke_api.Refusal, request_id: str) -> web.Response:
    return web.json_response(
        {"Type": "User", "message": refusal.message, "Message": refusal.message},
        status=refusal.status,
        headers={"x-amzn-ErrorType": refusal.code, _REQUEST_ID: request_id},
    )
