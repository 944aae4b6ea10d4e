"""The HTTP server under every kind of client: quick, slow, pipelining, half gone, hostile."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from harness.data_plane.http_server import Answer, Handle, Headers, HttpServer, Limits, listen

LIMITS = Limits(head=2_000, body=10_000, request_seconds=0.2, idle_seconds=0.6)
HANDLER_ANSWER: list[tuple[bytes, bytes]] = [(b"Content-Type", b"text/plain")]


def echo(target: str, headers: Headers, body: bytes) -> Answer:
    if target == "/fail":
        raise ValueError("planted")
    return 200, HANDLER_ANSWER, f"{target} ".encode() + headers.get(b"x-mark", b"") + b" " + body


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, body

    async def closed(self) -> bool:
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def serving(
    handle: Handle = echo, limits: Limits = LIMITS
) -> AsyncIterator[tuple[HttpServer, Callable[[], Awaitable[Client]]]]:
    server = HttpServer(handle, limits)
    listener, port = listen()
    await server.start(listener)
    clients: list[Client] = []

    async def connect() -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", port)))
        return clients[-1]

    try:
        yield server, connect
    finally:
        for client in clients:
            client.writer.close()
        await server.stop()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


def post(body: bytes, target: str = "/", extra: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: h\r\n%bContent-Length: %d\r\n\r\n%b" % (target.encode(), extra, len(body), body)


def test_connection_is_kept_and_requests_in_any_pieces_are_put_together() -> None:
    async def test() -> None:
        async with serving() as (_, connect):
            client = await connect()
            for _ in range(3):
                await client.send(post(b"whole", "/a?b=c", b"X-Mark: m\r\n"))
                assert await client.answer() == (
                    200,
                    {"content-type": "text/plain", "content-length": "14"},
                    b"/a?b=c m whole",
                )
            for byte in post(b"bytewise"):
                await client.send(bytes([byte]))
            assert (await client.answer())[2] == b"/  bytewise"

    run(test)


def test_pipelined_requests_are_answered_in_order_also_when_the_first_waits() -> None:
    async def test() -> None:
        first: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def handle(target: str, headers: Headers, body: bytes) -> Answer | Awaitable[Answer]:
            return first if target == "/wait" else echo(target, headers, body)

        async with serving(handle) as (_, connect):
            client, other = await connect(), await connect()
            await client.send(post(b"", "/wait") + b"".join(post(b"%d" % i) for i in range(500)))
            await other.send(post(b"other"))
            assert (await other.answer())[2] == b"/  other"
            first.set_result((200, [], b"late"))
            assert (await client.answer())[2] == b"late"
            assert [(await client.answer())[2] for _ in range(500)] == [b"/  %d" % i for i in range(500)]

    run(test)


def test_client_that_goes_away_cancels_what_it_waited_for() -> None:
    async def test() -> None:
        waits: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        async with serving(lambda *_: waits) as (server, connect):
            client = await connect()
            await client.send(post(b""))
            while server.connections != 1:
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)
            client.writer.close()
            with pytest.raises(asyncio.CancelledError):
                await waits
            assert server.connections == 0

    run(test)


def test_failing_service_is_a_500_and_the_connection_goes_on() -> None:
    async def later(target: str, headers: Headers, body: bytes) -> Answer:
        await asyncio.sleep(0)
        return echo(target, headers, body)

    async def test(handle: Handle) -> None:
        async with serving(handle) as (_, connect):
            client = await connect()
            await client.send(post(b"", "/fail") + post(b"next"))
            status, _, body = await client.answer()
            assert status == 500 and b"InternalFailure" in body and b"planted" not in body
            assert (await client.answer())[2] == b"/  next"

    run(lambda: test(echo))
    run(lambda: test(later))


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
        b"NONSENSE\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_malformed_request_is_refused_and_closed_and_others_are_served(request_bytes: bytes) -> None:
    async def test() -> None:
        async with serving() as (_, connect):
            good, bad = await connect(), await connect()
            await bad.send(post(b"before") + request_bytes)
            assert (await bad.answer())[2] == b"/  before"
            status, headers, body = await bad.answer()
            assert 400 <= status < 500 and headers["connection"] == "close" and b"__type" in body
            assert await bad.closed()
            await good.send(post(b"good"))
            assert (await good.answer())[2] == b"/  good"

    run(test)


@pytest.mark.parametrize(
    "head", [b"X: " + b"a" * 3_000, b"a" * 3_000, b"".join(b"X-%d: 1\r\n" % i for i in range(400))]
)
@pytest.mark.parametrize("ended", [True, False])
def test_head_over_the_limit_is_refused_whether_it_ends_or_not(head: bytes, ended: bool) -> None:
    async def test() -> None:
        async with serving() as (_, connect):
            client = await connect()
            await client.send(b"POST / HTTP/1.1\r\n" + head + (b": 1\r\n\r\n" if ended else b""))
            assert (await client.answer())[0] in (431, 400)
            assert await client.closed()

    run(test)


def test_body_up_to_the_limit_is_taken_and_one_byte_more_is_refused_after_it_was_read() -> None:
    async def test() -> None:
        async with serving() as (_, connect):
            client = await connect()
            await client.send(post(b"a" * LIMITS.body))
            assert len((await client.answer())[2]) == LIMITS.body + 3
            await client.send(post(b"a" * (LIMITS.body + 1)))
            status, _, body = await client.answer()
            assert status == 413 and b"10000 bytes" in body
            assert await client.closed()
            chunked = await connect()
            piece = b"3e8\r\n" + b"a" * 1000 + b"\r\n"
            await chunked.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + piece * 11 + b"0\r\n\r\n")
            assert (await chunked.answer())[0] == 413

    run(test)


def test_endless_bodies_are_not_read_for_ever() -> None:
    async def test() -> None:
        async with serving() as (_, connect):
            announced = await connect()
            await announced.send(b"POST / HTTP/1.1\r\nContent-Length: 100000000\r\n\r\nabc")
            assert (await announced.answer())[0] == 413
            assert await announced.closed()
            chunked = await connect()
            await chunked.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            with pytest.raises(ConnectionError):
                while True:
                    await chunked.send(b"ffff\r\n" + b"a" * 0xFFFF + b"\r\n")

    run(test)


def test_half_a_request_is_refused_after_a_while_and_idle_connections_are_closed_later() -> None:
    async def test() -> None:
        async with serving() as (server, connect):
            half, idle = await connect(), await connect()
            await half.send(post(b"abc")[:-1])
            assert (await half.answer())[0] == 408
            assert await half.closed()
            assert server.connections == 1
            assert await idle.closed()
            assert server.connections == 0

    run(test)


def test_connection_close_http_1_0_and_expect_100_are_heeded() -> None:
    async def test() -> None:
        async with serving() as (_, connect):
            client = await connect()
            await client.send(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"abc")
            assert (await client.answer())[2] == b"/  abc"
            await client.send(post(b"last", "/", b"Connection: close\r\n") + post(b"never"))
            assert (await client.answer())[2] == b"/  last"
            assert await client.closed()
            old = await connect()
            await old.send(b"GET /old HTTP/1.0\r\n\r\n")
            assert (await old.answer())[2] == b"/old  "
            assert await old.closed()

    run(test)


def test_client_that_does_not_read_is_not_answered_without_end() -> None:
    async def test() -> None:
        served = 0

        def handle(target: str, headers: Headers, body: bytes) -> Answer:
            nonlocal served
            served += 1
            return 200, [], bytes(100_000)

        async with serving(handle, Limits()) as (_, connect):
            client = await connect()
            client.writer.write(post(b"") * 2_000)
            for _ in range(50):
                await asyncio.sleep(0.005)
            assert 0 < served < 200
            for _ in range(2_000):
                assert len((await client.answer())[2]) == 100_000
            assert served == 2_000

    run(test)


def test_inherited_socket_is_taken_with_its_port_and_is_not_inherited_further() -> None:
    parent, port = listen()
    with parent:
        parent.set_inheritable(True)
        # As in a child, which has the descriptor but no object of it.
        inherited, same = listen(fd=os.dup(parent.fileno()))
        with inherited:
            assert same == port
            assert not inherited.get_inheritable()


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "is not a TCP socket over IPv4"),
        (lambda: socket.socket(socket.AF_UNIX), "is not a TCP socket over IPv4"),
        (socket.socket, "does not listen"),
        (lambda: socket.create_server(("127.0.0.2", 0)), "listens on 127.0.0.2, not on 127.0.0.1"),
        (tempfile.TemporaryFile, "is not a socket"),
    ],
)
def test_descriptor_that_is_no_listening_loopback_socket_is_refused_and_left_open(
    make: Callable[[], Any], wrong: str
) -> None:
    with make() as given:
        with pytest.raises(OSError, match=f"file descriptor {given.fileno()} {wrong}"):
            listen(fd=given.fileno())
        os.fstat(given.fileno())


def test_descriptor_that_is_not_open_is_refused() -> None:
    with pytest.raises(OSError, match="file descriptor 987654 is not open"):
        listen(fd=987_654)
