"""One HTTP/1.1 exchange over a connection that is kept.

`http.client` parses the headers of an answer with the e-mail package, and sends head and body apart. Here only those
headers are read that say where an answer ends.
"""

from __future__ import annotations

import http.client
import ssl
from io import BufferedReader
from urllib.parse import SplitResult

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 30.0
_LINE_BYTES = 65_536
_HEADERS = 200
"""Bounds of an answer's head, so that a server that talks nonsense cannot fill the memory."""


class HttpConnection:
    """A connection to the host of `url`, plain or TLS with the system's certificates; opened when it is made.

    Raises OSError where that fails, and so does `exchange`, or http.client's HTTPException. The connection must then
    be closed.
    """

    def __init__(self, url: SplitResult) -> None:
        host, port = url.hostname or "", url.port
        if url.scheme == "https":
            context = ssl.create_default_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=_CONNECT_SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=_CONNECT_SECONDS)
        connection.connect()
        self._connection = connection
        self._socket = connection.sock
        self._socket.settimeout(_READ_SECONDS)
        self._answers: BufferedReader = self._socket.makefile("rb")
        self.reusable = True

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a whole request and return status and body of the answer.

        `reusable` is then False where the server closes the connection. An answer that ends with its connection, and
        does not say how long it is, could have been cut off: it counts as none and raises IncompleteRead.
        """
        self._socket.sendall(request)
        status, length, chunked = self._head()
        while status < 200:
            status, length, chunked = self._head()
        if status in (204, 304):
            return status, b""
        if chunked:
            return status, self._chunks()
        if length is None:
            raise http.client.IncompleteRead(b"")
        return status, self._exactly(length)

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        self._answers.close()
        self._connection.close()

    def _head(self) -> tuple[int, int | None, bool]:
        """Read status line and headers; returns status, Content-Length if any, and whether the body is chunked."""
        first = self._line()
        version, _, rest = first.partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise http.client.BadStatusLine(repr(first[:80]))
        self.reusable = version != b"HTTP/1.0"
        length, chunked = None, False
        for _ in range(_HEADERS):
            line = self._line()
            if not line:
                return int(rest[:3]), length, chunked
            name, _, value = line.partition(b":")
            name = name.lower()
            if name == b"content-length":
                length = _number(value, 10)
            elif name == b"transfer-encoding":
                chunked = b"chunked" in value.lower()
            elif name == b"connection" and b"close" in value.lower():
                self.reusable = False
        raise http.client.HTTPException(f"got more than {_HEADERS} headers")

    def _line(self) -> bytes:
        """Return the next line without its end; raises where the connection ended in it."""
        line = self._answers.readline(_LINE_BYTES + 1)
        if not line:
            raise http.client.RemoteDisconnected("Remote end closed connection without response")
        if not line.endswith(b"\n"):
            if len(line) > _LINE_BYTES:
                raise http.client.LineTooLong("header line")
            raise http.client.IncompleteRead(line)
        return line.rstrip(b"\r\n")

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while size := _number(self._line().partition(b";")[0], 16):
            parts.append(self._exactly(size))
            self._line()
        while self._line():
            pass
        return b"".join(parts)

    def _exactly(self, size: int) -> bytes:
        data = self._answers.read(size)
        if len(data) < size:
            raise http.client.IncompleteRead(data, size - len(data))
        return data


def _number(text: bytes, base: int) -> int:
    digits = text.strip()
    # int() would take signs and underscores as well.
    if not digits.isalnum():
        raise http.client.HTTPException(f"{text[:20]!r} is no length")
    try:
        return int(digits, base)
    except ValueError as error:
        raise http.client.HTTPException(f"{text[:20]!r} is no length") from error
