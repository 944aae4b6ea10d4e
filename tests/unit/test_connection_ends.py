"""Every client of the project against a server that ends in the middle of a request: it asks again, and is answered."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.credentials import Credentials

from handlers.aws import AwsError, JsonClient
from harness.engines.base import Endpoints
from harness.engines.clients import Clients
from harness.engines.local_session import local_session
from harness.lambda_service.aws import AwsClient

REGION = "us-east-1"
ENDS = ("at once", "after the request", "in the headers", "in the body")
BODY = b'{"QueueUrl":"http://queue/"}'
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n" % len(BODY)


class EndingServer:
    """Answers the requests of each connection until the next of `ends` says how that one is cut off."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.ends: list[str] = []
        self.cut = self.answered = 0
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while True:
                if self.ends and self.ends[0] == "at once":
                    return self._cut()
                if not _read_request(connection):
                    return None
                if self.ends:
                    if self.ends[0] == "in the headers":
                        connection.sendall(HEADERS[:20])
                    elif self.ends[0] == "in the body":
                        connection.sendall(HEADERS + BODY[:5])
                    return self._cut()
                self.answered += 1
                connection.sendall(HEADERS + BODY)

    def _cut(self) -> None:
        self.cut += 1
        self.ends.pop(0)


def _read_request(connection: socket.socket) -> bool:
    """Read a whole request; False where the client has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return False
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    (length,) = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    while len(body) < length:
        body += connection.recv(65536)
    return True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EndingServer]:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    made = EndingServer()
    yield made
    made.close()


def of_functions(url: str) -> Callable[[], Any]:
    client = JsonClient("sqs", local_session(REGION), url)
    return lambda: client.call("GetQueueUrl", '{"QueueName":"queue"}')


def of_the_lambda_service(url: str) -> Callable[[], Any]:
    async def call() -> Any:
        async with AwsClient({"default": url}, REGION, Credentials("test", "test")) as client:
            return await client.call("sqs", "GetQueueUrl", {"QueueName": "queue"})

    return lambda: asyncio.run(call())


def of_the_harness(url: str) -> Callable[[], Any]:
    client = Clients(lambda: Endpoints(url, REGION)).get("sqs")
    return lambda: client.get_queue_url(QueueName="queue")


OURS = [(client, end) for client in (of_functions, of_the_lambda_service) for end in ENDS]
BOTO3 = [(of_the_harness, end) for end in ENDS if end != "in the headers"]
"""urllib3 takes headers that were cut off for whole ones. Our services send them in one piece with what follows."""


@pytest.mark.parametrize(("client", "end"), OURS + BOTO3)
def test_call_when_its_first_connection_ends_is_repeated(
    server: EndingServer, client: Callable[[str], Callable[[], Any]], end: str
) -> None:
    server.ends = [end]
    assert client(server.url)()["QueueUrl"] == "http://queue/"
    assert (server.cut, server.answered) == (1, 1)


@pytest.mark.parametrize(("client", "end"), [*((of_functions, end) for end in ENDS), *BOTO3])
def test_call_when_its_kept_connection_ends_is_repeated(
    server: EndingServer, client: Callable[[str], Callable[[], Any]], end: str
) -> None:
    call = client(server.url)
    call()
    server.ends = [end, end]
    assert call()["QueueUrl"] == "http://queue/"
    assert server.answered == 2


def test_functions_call_when_nobody_answers_until_its_deadline_fails_as_one_to_repeat(server: EndingServer) -> None:
    client = JsonClient("sqs", local_session(REGION), server.url)
    server.ends = ["after the request"] * 1000
    with pytest.raises(AwsError) as caught:
        client.call("GetQueueUrl", "{}", deadline=0.0)
    assert (caught.value.retryable, caught.value.about_content) == (True, False)
