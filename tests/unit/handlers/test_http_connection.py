"""What the functions make of a server's answer, whole, cut off or wrong."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.http_connection import HttpConnection

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def connected(*pieces: bytes) -> Iterator[HttpConnection]:
    """Yield a connection to a server that answers with `pieces`, whatever is asked, and closes."""

    def answer() -> None:
        accepted, _ = listener.accept()
        with accepted:
            accepted.recv(len(REQUEST), socket.MSG_WAITALL)
            for piece in pieces:
                accepted.sendall(piece)
            accepted.shutdown(socket.SHUT_WR)
            accepted.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer)
        server.start()
        connection = HttpConnection(urlsplit(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        try:
            yield connection
        finally:
            connection.close()
            server.join(10)


@pytest.mark.parametrize(
    ("answer", "status", "body", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
        (b"HTTP/1.1 400 Bad Request\r\ncontent-length:2\r\n\r\nno", 400, b"no", True),
        (b"HTTP/1.1 200\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", 200, b"", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding:chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nX:\r\n\r\n",
            200,
            b"abc0123456789",
            True,
        ),
    ],
)
def test_exchange_when_the_answer_is_whole_returns_it(answer: bytes, status: int, body: bytes, reusable: bool) -> None:
    with connected(answer) as connection:
        assert connection.exchange(REQUEST) == (status, body)
        assert connection.reusable is reusable


ANSWERS = (
    b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
)


@given(st.sampled_from(ANSWERS), st.data())
def test_exchange_when_the_answer_is_cut_off_anywhere_raises(answer: bytes, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(answer) - 1))
    with connected(answer[:end]) as connection, pytest.raises((OSError, http.client.HTTPException)):
        connection.exchange(REQUEST)


@given(st.sampled_from(ANSWERS), st.integers(1, 60))
def test_exchange_when_the_answer_comes_in_pieces_returns_it(answer: bytes, cut: int) -> None:
    with connected(answer[:cut], answer[cut:]) as connection:
        assert connection.exchange(REQUEST) == (200, b"hello")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_exchange_when_the_answer_is_none_raises(answer: bytes) -> None:
    with connected(answer) as connection, pytest.raises(http.client.HTTPException):
        connection.exchange(REQUEST)
