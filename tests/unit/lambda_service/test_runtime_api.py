"""The Runtime API over a socket: what the runtime is handed, what it may answer, and what a broken client does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from harness.lambda_service.model import SYNC_PAYLOAD_LIMIT
from harness.lambda_service.runtime_api import Invocation, RuntimeApi

BASE = "/2018-06-01/runtime"
EVENT = Invocation("id-1", b'{"a":1}', 123, "arn:f")


class Client:
    """One connection to an API."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, request: str, body: bytes = b"", *headers: str) -> None:
        lines = [f"{request} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
        self.writer.write("\r\n".join(lines).encode() + body)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def ask(self, request: str, body: bytes = b"", *headers: str) -> tuple[int, dict[str, str], bytes]:
        self.send(request, body, *headers)
        return await self.answer()


def run(script: Callable[[RuntimeApi, Callable[[], Awaitable[Client]]], Awaitable[None]]) -> None:
    async def main() -> None:
        api = RuntimeApi()
        host, _, port = (await api.start()).partition(":")

        async def connect() -> Client:
            return Client(*await asyncio.open_connection(host, int(port)))

        try:
            async with asyncio.timeout(20):
                await script(api, connect)
        finally:
            await api.stop()

    asyncio.run(main())


def test_runtime_is_handed_an_invocation_and_its_answer_is_taken() -> None:
    async def script(api: RuntimeApi, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        for number in range(3):
            client.send(f"GET {BASE}/invocation/next")
            await api.ready.wait()
            answer = api.offer(Invocation(f"id-{number}", b'{"a":1}', 123, "arn:f", '{"c":2}'))
            status, headers, body = await client.answer()
            assert (status, body) == (200, b'{"a":1}')
            assert headers["lambda-runtime-aws-request-id"] == f"id-{number}"
            assert headers["lambda-runtime-deadline-ms"] == "123"
            assert headers["lambda-runtime-invoked-function-arn"] == "arn:f"
            assert headers["lambda-runtime-client-context"] == '{"c":2}'
            status, _, _ = await client.ask(f"POST {BASE}/invocation/id-{number}/response", b"done")
            assert status == 202
            assert (await answer).payload == b"done"
            assert not api.ready.is_set()

    run(script)


def test_errors_have_their_type_and_every_other_answer_is_refused() -> None:
    async def script(api: RuntimeApi, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        client.send(f"GET {BASE}/invocation/next")
        await api.ready.wait()
        answer = api.offer(EVENT)
        await client.answer()
        assert (await client.ask(f"POST {BASE}/invocation/other/response"))[0] == 400
        assert (await client.ask(f"POST {BASE}/invocation/id-1/unknown"))[0] == 404
        assert (await client.ask("GET /"))[0] == 404
        assert not answer.done()
        kind = "Lambda-Runtime-Function-Error-Type: Function.Bad"
        assert (await client.ask(f"POST {BASE}/invocation/id-1/error", b"{}", kind))[0] == 202
        assert (await answer).error_type == "Function.Bad"
        assert (await client.ask(f"POST {BASE}/invocation/id-1/response"))[0] == 400
        assert (await client.ask(f"POST {BASE}/init/error", b"{}"))[0] == 202
        assert api.init_error.result().error_type == "Unhandled"

    run(script)


@pytest.mark.parametrize("extra", [0, 1])
def test_answer_of_more_than_six_megabytes_is_an_error(extra: int) -> None:
    async def script(api: RuntimeApi, connect: Callable[[], Awaitable[Client]]) -> None:
        client = await connect()
        client.send(f"GET {BASE}/invocation/next")
        await api.ready.wait()
        answer = api.offer(EVENT)
        await client.answer()
        client.send(
            f"POST {BASE}/invocation/id-1/response", b"x" * (SYNC_PAYLOAD_LIMIT + extra), "Expect: 100-continue"
        )
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.answer())[0] == (413 if extra else 202)
        assert (await answer).error_type == ("Function.ResponseSizeTooLarge" if extra else "")

    run(script)


def test_invocation_is_still_there_when_the_client_that_waited_for_it_is_gone() -> None:
    async def script(api: RuntimeApi, connect: Callable[[], Awaitable[Client]]) -> None:
        first = await connect()
        first.send(f"GET {BASE}/invocation/next")
        await api.ready.wait()
        first.writer.close()
        await first.writer.wait_closed()
        second = await connect()
        # Whatever the listener knows of the first by now, it knows before it answers the second.
        assert (await second.ask("GET /"))[0] == 404
        api.offer(EVENT)
        status, _, body = await second.ask(f"GET {BASE}/invocation/next")
        assert (status, body) == (200, EVENT.payload)

    run(script)


def test_malformed_request_is_refused_and_others_are_served() -> None:
    async def script(api: RuntimeApi, connect: Callable[[], Awaitable[Client]]) -> None:
        broken, sound = await connect(), await connect()
        broken.writer.write(b"nonsense\r\n\r\n")
        assert (await broken.answer())[0] == 400
        assert await broken.reader.read() == b""
        assert (await sound.ask("GET /", b"", "Connection: close"))[0] == 404
        assert await sound.reader.read() == b""

    run(script)
