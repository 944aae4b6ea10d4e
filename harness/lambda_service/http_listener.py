"""A loopback HTTP/1.1 listener for one client that is trusted: the runtime client of an execution environment.

An asyncio protocol on httptools' parser; answers are given in the order of the requests of a connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import cast

import httptools

_log = logging.getLogger(__name__)

Answer = tuple[int, Sequence[tuple[bytes, bytes]], bytes]
"""Status, headers without Content-Length, body."""

Handle = Callable[[str, str, Mapping[bytes, bytes], bytes], Awaitable[Answer]]
"""Given method, path without query, headers (names in lower case) and body."""

_Request = tuple[str, str, Mapping[bytes, bytes], bytes, bool]


class HttpListener:
    """Serves one function on a loopback port."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen on a free port of 127.0.0.1; returns it."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self._handle, self._connections), "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Close the listener and its connections."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()


class _Connection(asyncio.Protocol):
    """One client. The parser calls the `on_...` methods while it is fed."""

    def __init__(self, handle: Handle, connections: set[_Connection]) -> None:
        self._handle = handle
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._waiting: deque[_Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._chunks: list[bytes] = []

    def close(self) -> None:
        """Close the connection without an answer."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        """Cancel what the client waited for."""
        self._connections.discard(self)
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            _log.warning("malformed HTTP request to the Runtime API: %s", error)
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self._transport.close()

    def on_message_begin(self) -> None:
        """Start a request."""
        self._url, self._headers, self._chunks = b"", {}, []

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Ask for the body of a client that waits to be asked, as curl does for large ones."""
        if self._headers.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, chunk: bytes) -> None:
        """Take a piece of the body."""
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        """Handle the request when those before it are answered."""
        path = self._url.partition(b"?")[0].decode("latin-1")
        method = self._parser.get_method().decode("latin-1")
        keep = self._parser.should_keep_alive()
        self._waiting.append((method, path, self._headers, b"".join(self._chunks), keep))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        try:
            while self._waiting:
                *request, keep = self._waiting.popleft()
                status, headers, body = await self._handle(*cast(tuple[str, str, dict[bytes, bytes], bytes], request))
                parts = [b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())]
                parts += [b"%b: %b\r\n" % header for header in headers]
                parts += [
                    b"Content-Length: %d\r\n%b\r\n" % (len(body), b"" if keep else b"Connection: close\r\n"),
                    body,
                ]
                self._transport.write(b"".join(parts))
                if not keep:
                    self._transport.close()
                    return
        except Exception:  # noqa: BLE001  the runtime sees a closed connection and ends, which its environment reports
            _log.exception("a request to the Runtime API failed")
            self._transport.abort()
        finally:
            self._task = None
