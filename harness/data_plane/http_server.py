"""A small HTTP/1.1 server for AWS APIs: an asyncio protocol on httptools' parser, loopback only, nothing else.

A service is one function, `handle(target, headers, body)`. It returns its answer, or an awaitable of it for what
must wait (a long poll); one that is cancelled closes the connection without an answer. Requests of a connection are
answered in the order in which they came, also when they are pipelined. A connection that ends cancels what it waits
for. Whatever a client sends, it gets an answer or a closed connection: sizes are bounded, malformed HTTP is refused,
and an exception of the service is an HTTP 500.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import httptools

_log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
BACKLOG = 4096
MAX_PIPELINED = 64
"""Requests of one connection that may wait for their turn before the server stops reading from it."""
DRAIN_FACTOR = 64
"""A body over the limit is read and dropped up to this many times the limit, so that the client, which may send all
of it before it reads, sees the refusal instead of a reset connection."""
SWEEP_SECONDS = 5.0

Headers = Mapping[bytes, bytes]
Answer = tuple[int, Sequence[tuple[bytes, bytes]], bytes]
"""Status, headers without Content-Length and Connection, body."""
Handle = Callable[[str, Headers, bytes], "Answer | Awaitable[Answer]"]
"""Given the request target (path and query as sent), the headers (names in lower case; of repeated ones the last) and
the body."""

_REASONS = {200: b"OK", 400: b"Bad Request", 403: b"Forbidden", 404: b"Not Found", 413: b"Payload Too Large"}
_JSON = ((b"Content-Type", b"application/x-amz-json-1.0"),)


@dataclass(frozen=True)
class Limits:
    """What a client may send. Sizes are bytes, times are seconds.

    `request_seconds` is the longest pause within a request, `idle_seconds` between requests.
    """

    head: int = 65_536
    body: int = 16 * 1024 * 1024
    request_seconds: float = 60.0
    idle_seconds: float = 3600.0


def refusal(status: int, code: str, message: str) -> Answer:
    """Return an error as the AWS JSON protocols word it. `message` must need no escaping in JSON."""
    return status, _JSON, f'{{"__type":"{code}","message":"{message}"}}'.encode()


def listen(port: int = 0, *, fd: int | None = None) -> tuple[socket.socket, int]:
    """Open a port of 127.0.0.1 (0: any that is free), or take the listening socket that this process inherited as file
    descriptor `fd`; returns the socket and its port. Raises OSError that says what is wrong.

    Separate from serving, because a service may have to know its port before it can answer. A parent that keeps a
    listening socket and hands it to each child in turn can restart the child without refusing a connection.
    """
    listener = socket.create_server((LOOPBACK, port), backlog=BACKLOG) if fd is None else _inherited(fd)
    return listener, int(listener.getsockname()[1])


def _inherited(fd: int) -> socket.socket:
    """Return the listening loopback socket of a descriptor; raises OSError for anything else, which stays open."""
    try:
        inherited = socket.socket(fileno=fd)
    except OSError as error:
        kind = "not a socket" if error.errno == errno.ENOTSOCK else "not open"
        raise OSError(error.errno, f"file descriptor {fd} is {kind}") from None
    wrong = ""
    if inherited.family != socket.AF_INET or inherited.type != socket.SOCK_STREAM:
        wrong = "is not a TCP socket over IPv4"
    elif not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        wrong = "does not listen"
    elif inherited.getsockname()[0] != LOOPBACK:
        wrong = f"listens on {inherited.getsockname()[0]}, not on {LOOPBACK}"
    if wrong:
        inherited.detach()
        raise OSError(errno.EINVAL, f"file descriptor {fd} {wrong}")
    inherited.set_inheritable(False)
    return inherited


class HttpServer:
    """Serves one function on a loopback port; see `listen`."""

    def __init__(self, handle: Handle, limits: Limits | None = None) -> None:
        self._handle = handle
        self._limits = limits or Limits()
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def start(self, listener: socket.socket) -> None:
        """Serve on a socket of `listen`."""
        raise_descriptor_limit()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(loop, self._handle, self._limits, self._connections), sock=listener, backlog=BACKLOG
        )
        self._sweeper = loop.create_task(self._sweep())

    async def stop(self) -> None:
        """Close the listener and every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()

    async def _sweep(self) -> None:
        """Close connections that have been silent for too long; one timer for all costs requests nothing."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(SWEEP_SECONDS, self._limits.request_seconds / 2))
            now = loop.time()
            for connection in list(self._connections):
                connection.close_if_silent(now)


class _Connection(asyncio.Protocol):
    """One client. The parser calls the `on_...` methods while it is fed."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, handle: Handle, limits: Limits, connections: set[_Connection]
    ) -> None:
        self._loop = loop
        self._handle = handle
        self._limits = limits
        self._connections = connections
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._parser = httptools.HttpRequestParser(self)
        # Requests (target, headers, body, keep alive) and ready answers, in the order in which they must be answered.
        self._waiting: deque[tuple[str, Headers, bytes, bool] | Answer] = deque()
        self._pending: asyncio.Future[Answer] | None = None
        self._keep_alive = True
        self._refused = False
        self._writable = True
        self._reading = True
        self._heard = loop.time()
        self._in_request = False
        self._in_head = False
        self._head_size = 0
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._chunks: list[bytes] = []
        self._body_size = 0

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Cancel what the client waited for."""
        self._connections.discard(self)
        self._waiting.clear()
        self._refused = True
        if self._pending is not None:
            self._pending.cancel()

    def eof_received(self) -> bool:
        """Close: a client that has ended (or was killed) must not be handed the messages of its long poll."""
        return False

    def data_received(self, data: bytes) -> None:
        """Feed the parser; whole requests are handled on the way."""
        self._heard = self._loop.time()
        if self._refused:
            return
        if self._in_head or not self._in_request:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(_NO_UPGRADE)
        except httptools.HttpParserError as error:
            self._refuse(refusal(400, "SerializationException", f"malformed HTTP request: {_plain(error)}"))
        if self._in_head and self._head_size > self._limits.head:
            self._refuse(_HEAD_TOO_LARGE)

    def pause_writing(self) -> None:
        """Answer no further requests while the client does not read."""
        self._writable = False
        self._pause_reading()

    def resume_writing(self) -> None:
        """Go on answering."""
        self._writable = True
        self._proceed()

    # the parser's side

    def on_message_begin(self) -> None:
        """Start a request."""
        self._in_request = self._in_head = True
        self._url = b""
        self._headers = {}
        self._chunks = []
        self._body_size = 0

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Check the size of what came and of what is announced."""
        self._in_head = False
        self._head_size = 0
        headers = self._headers
        size = len(self._url) + sum(map(len, headers)) + sum(map(len, headers.values()))
        if size > self._limits.head:
            self._refuse(_HEAD_TOO_LARGE)
            return
        if self._parser.should_upgrade():
            self._refuse(_NO_UPGRADE)
            return
        announced = headers.get(b"content-length")
        if announced is not None and int(announced) > self._limits.body * DRAIN_FACTOR:
            self._refuse(self._body_too_large())
        elif headers.get(b"expect", b"").lower() == b"100-continue" and not self._waiting and self._pending is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, chunk: bytes) -> None:
        """Take a piece of the body, unless it is over the limit already."""
        self._body_size += len(chunk)
        if self._body_size <= self._limits.body:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()
            if self._body_size > self._limits.body * DRAIN_FACTOR:
                self._refuse(self._body_too_large())

    def on_message_complete(self) -> None:
        """Handle the request, at once or when those before it are answered."""
        self._in_request = False
        if self._refused:
            return
        if self._body_size > self._limits.body:
            self._refuse(self._body_too_large())
            return
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._waiting.append((self._url.decode("latin-1"), self._headers, body, self._parser.should_keep_alive()))
        self._proceed()

    # answers

    def _proceed(self) -> None:
        """Answer what waits, until something must be waited for."""
        waiting = self._waiting
        while waiting and self._pending is None and self._writable:
            item = waiting.popleft()
            if len(item) == 3:
                self._keep_alive = False
                self._write(item)
                continue
            target, headers, body, self._keep_alive = item
            try:
                answer = self._handle(target, headers, body)
            except Exception:  # noqa: BLE001 (whatever a request does to the service, the others are served)
                _log.exception("a request failed")
                answer = _INTERNAL
            if isinstance(answer, tuple):
                self._write(answer)
            else:
                self._pending = asyncio.ensure_future(answer)
                self._pending.add_done_callback(self._finish)
        if len(waiting) > MAX_PIPELINED:
            self._pause_reading()
        elif not self._reading and self._writable and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    def _finish(self, done: asyncio.Future[Answer]) -> None:
        self._pending = None
        if done.cancelled():
            self.abort()
            return
        error = done.exception()
        if error is not None:
            _log.error("a request failed", exc_info=error)
        self._write(_INTERNAL if error is not None else done.result())
        self._proceed()

    def _write(self, answer: Answer) -> None:
        status, headers, body = answer
        parts = [b"HTTP/1.1 %d %b\r\nContent-Length: %d\r\n" % (status, _REASONS.get(status, b"Error"), len(body))]
        parts += [b"%b: %b\r\n" % header for header in headers]
        if self._keep_alive:
            parts += (b"\r\n", body)
            self._transport.write(b"".join(parts))
            return
        parts += (b"Connection: close\r\n\r\n", body)
        self._refused = True
        self._waiting.clear()
        self._transport.write(b"".join(parts))
        self._transport.close()

    def _refuse(self, answer: Answer) -> None:
        """Answer after the requests before, and close; what else the client sends is not read."""
        if self._refused:
            return
        self._refused = True
        self._waiting.append(answer)
        self._proceed()

    def _body_too_large(self) -> Answer:
        return refusal(
            413, "RequestEntityTooLargeException", f"HTTP content length exceeded {self._limits.body} bytes."
        )

    def _pause_reading(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def close_if_silent(self, now: float) -> None:
        """Close when the client has said nothing for too long and is owed nothing."""
        if self._pending is not None or self._waiting:
            return
        silent = now - self._heard
        if self._in_request and silent > self._limits.request_seconds:
            self._refuse(refusal(408, "RequestTimeout", "the request did not arrive whole in time"))
        elif silent > self._limits.idle_seconds:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection without an answer."""
        self._transport.abort()


_INTERNAL = refusal(500, "InternalFailure", "The request processing has failed because of an unknown error.")
_NO_UPGRADE = refusal(400, "SerializationException", "upgrading the protocol is not supported")
_HEAD_TOO_LARGE = refusal(431, "RequestHeaderSectionTooLargeException", "the headers of the request are too large")


def _plain(error: Exception) -> str:
    return "".join(c for c in str(error) if c.isalnum() or c in " .,-")


def raise_descriptor_limit() -> None:
    """Allow as many open connections as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
