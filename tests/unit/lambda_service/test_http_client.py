"""The HTTP client and the AWS client on it: kept connections, broken answers, what is signed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from botocore.credentials import Credentials

from harness.lambda_service import aws
from harness.lambda_service.aws import AwsCallError, AwsClient, is_loopback
from harness.lambda_service.http_client import HttpClient, address_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


class Server:
    """Gives the planned answers, one for each request, whatever it asks; None closes instead."""

    def __init__(self, *answers: bytes | None, then_close: bool = False) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._answers = list(answers)
        self._then_close = then_close

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            self.requests.append(head + await reader.readexactly(size))
            answer = self._answers.pop(0)
            if answer is None:
                break
            writer.write(answer)
            await writer.drain()
            if self._then_close:
                break
        writer.close()


def run(server: Server, script: Callable[[HttpClient, tuple[str, int, bool]], Awaitable[None]]) -> None:
    async def main() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        server.port = listening.sockets[0].getsockname()[1]
        client = HttpClient()
        try:
            await script(client, ("127.0.0.1", server.port, False))
        finally:
            await client.close()
            listening.close()

    asyncio.run(main())


def test_requests_one_after_another_share_a_connection() -> None:
    server = Server(
        OK, b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", OK
    )

    async def script(client: HttpClient, address: Any) -> None:
        assert await client.post(address, HEAD, b"one", 5) == (200, b"{}")
        assert await client.post(address, HEAD, b"two", 5) == (400, b"abc")
        assert await client.post(address, HEAD, b"", 5) == (200, b"{}")

    run(server, script)
    assert server.connections == 1
    assert server.requests[0] == HEAD + b"Content-Length: 3\r\n\r\none"


def test_requests_at_a_time_have_connections_of_their_own() -> None:
    server = Server(*[OK] * 6)

    async def script(client: HttpClient, address: Any) -> None:
        for _ in range(2):
            await asyncio.gather(*(client.post(address, HEAD, b"x", 5) for _ in range(3)))

    run(server, script)
    assert server.connections == 3


def test_connection_that_the_server_closed_while_it_was_kept_is_replaced() -> None:
    server = Server(OK, None, OK)

    async def script(client: HttpClient, address: Any) -> None:
        await client.post(address, HEAD, b"1", 5)
        assert await client.post(address, HEAD, b"2", 5) == (200, b"{}")

    run(server, script)
    assert server.connections == 2


def test_connection_is_not_kept_when_the_server_says_so() -> None:
    server = Server(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", OK, then_close=True)

    async def script(client: HttpClient, address: Any) -> None:
        assert await client.post(address, HEAD, b"1", 5) == (200, b"")
        assert await client.post(address, HEAD, b"2", 5) == (200, b"{}")

    run(server, script)
    assert server.connections == 2


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"nonsense\r\n\r\n"])
def test_answer_that_does_not_come_whole_is_a_connection_error(answer: bytes | None) -> None:
    async def script(client: HttpClient, address: Any) -> None:
        with pytest.raises(ConnectionError):
            await client.post(address, HEAD, b"1", 5)

    server = Server(answer, then_close=True)
    run(server, script)
    assert server.connections == 1


def test_request_that_is_given_up_takes_its_connection_along() -> None:
    server = Server(b"", OK)

    async def script(client: HttpClient, address: Any) -> None:
        with pytest.raises(TimeoutError):
            await client.post(address, HEAD, b"1", 0.05)
        assert await client.post(address, HEAD, b"2", 5) == (200, b"{}")

    run(server, script)
    assert server.connections == 2


def test_refused_connection_is_an_error_that_may_pass() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        async with AwsClient({"default": f"http://127.0.0.1:{port}"}, "eu-west-1", Credentials("a", "b")) as client:
            with pytest.raises(AwsCallError) as caught:
                await client.call("sqs", "ListQueues", {})
        assert (caught.value.code, caught.value.retryable) == ("ConnectionError", True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AwsClient, "MAX_ATTEMPTS", 2)
        asyncio.run(main())


@pytest.mark.parametrize("loopback", [True, False])
def test_call_names_caller_and_region_and_is_signed_unless_on_loopback(
    loopback: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(OK)
    monkeypatch.setattr(aws, "is_loopback", lambda host: loopback)

    async def script(client: HttpClient, address: Any) -> None:
        endpoints = {"default": "http://unused", "dynamodbstreams": f"http://127.0.0.1:{server.port}"}
        async with AwsClient(endpoints, "eu-west-1", Credentials("caller", "secret")) as calls:
            assert await calls.call("dynamodbstreams", "ListStreams", {"Limit": 1}) == {}

    run(server, script)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert body == b'{"Limit":1}'
    assert headers["X-Amz-Target"] == "DynamoDBStreams_20120810.ListStreams"
    assert headers["Host"] == f"127.0.0.1:{server.port}"
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=caller/")
    assert "/eu-west-1/dynamodb/aws4_request" in headers["Authorization"]
    assert headers["Authorization"].endswith("0" * 64) is loopback
    assert ("X-Amz-Date" in headers) is not loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST")),
        *((host, False) for host in ("10.0.0.1", "localstack", "localhost.example.com", "sqs.us-east-1.amazonaws.com")),
    ],
)
def test_loopback_is_told_by_address_or_name(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_urls_give_addresses() -> None:
    assert address_of("http://h:81/a/b") == (("h", 81, False), "h:81", "/a/b")
    assert address_of("https://h") == (("h", 443, True), "h", "/")
    with pytest.raises(ValueError, match="ftp://h"):
        address_of("ftp://h")
