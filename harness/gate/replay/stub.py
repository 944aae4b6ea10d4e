"""AWS services that answer within the process that asks, below `socket.socket`: no server, no kernel, no waiting.

The CPU time that answering takes is counted apart (`Ledger.taken_ns`), so that it can be taken off. Standard library
alone: it runs inside the process of the version that is measured.
"""

from __future__ import annotations

import io
import json
import os
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote, urlsplit

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_CHILD_REQUEST = struct.Struct("<QI32s")
"""Nanoseconds taken, entries, and operation of a request that a forked child made."""

VERSION_ID = "replay"
"""The version of every object."""


class Ledger:
    """What was asked for: requests and entries by operation, and the CPU time that answering took.

    Forked children write theirs to a file that all of them append to; `children` collects them. `kept` has the bodies
    of requests where they are to be recorded; children's are not kept. `unknown` are requests that the services here do
    not answer.
    """

    current: ClassVar[Ledger | None] = None
    """The ledger of this process."""

    def __init__(self, shared: Path) -> None:
        Ledger.current = self
        self._owner = os.getpid()
        self._file = os.open(shared, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
        self.recording = False
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.requests: Counter[str] = Counter()
        self.entries: Counter[str] = Counter()
        self.taken_ns = 0
        self.kept: list[tuple[str, str]] = []
        self.unknown: list[str] = []
        os.ftruncate(self._file, 0)

    def note(self, operation: str, entries: int, body: bytes, began_ns: int) -> None:
        """Count one request, whose answering began at `began_ns` of this thread's CPU time."""
        if os.getpid() != self._owner:
            name = operation.encode()[:32]
            os.write(self._file, _CHILD_REQUEST.pack(time.thread_time_ns() - began_ns, entries, name))
            return
        self.requests[operation] += 1
        self.entries[operation] += entries
        if self.recording:
            self.kept.append((operation, body.decode("utf-8", "replace")))
        self.taken_ns += time.thread_time_ns() - began_ns

    def children(self) -> None:
        """Add what children noted; call it once they have ended."""
        data = os.pread(self._file, os.fstat(self._file).st_size, 0)
        for taken, entries, name in _CHILD_REQUEST.iter_unpack(data):
            operation = name.rstrip(b"\0").decode()
            self.requests[operation] += 1
            self.entries[operation] += entries
            self.taken_ns += taken
        os.ftruncate(self._file, 0)


class Services:
    """The answers. `objects` maps "bucket/key" to the bytes of S3 objects."""

    def __init__(self, ledger: Ledger, objects: Mapping[str, bytes]) -> None:
        self._ledger = ledger
        self._objects = objects

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """Return the whole HTTP answer to a request, and count it."""
        began = time.thread_time_ns()
        target = headers.get("x-amz-target", "").rpartition(".")[2]
        if target:
            answering = _JSON_OPERATIONS.get(target)
            if answering is None:
                return self._refuse(target, body, began)
            entries, answer = answering(json.loads(body))
            response = _http("200 OK", json.dumps(answer).encode(), {"Content-Type": "application/x-amz-json-1.0"})
        elif method in ("GET", "HEAD", "PUT") and "x-amz-copy-source" not in headers:
            target, entries = f"{method.title()}Object", 0
            response = self._object(method, unquote(urlsplit(path).path.lstrip("/")), headers)
        else:
            return self._refuse(f"{method} of S3", body, began)
        self._ledger.note(target, entries, body, began)
        return response

    def _refuse(self, operation: str, body: bytes, began: int) -> bytes:
        self._ledger.unknown.append(operation)
        self._ledger.note(operation, 0, body, began)
        refusal = {"__type": "UnknownOperationException", "message": f"the replay does not answer {operation}"}
        return _http("400 Bad Request", json.dumps(refusal).encode(), {})

    def _object(self, method: str, name: str, headers: Mapping[str, str]) -> bytes:
        if method == "PUT":
            return _http("200 OK", b"", {"ETag": '"replay"', "x-amz-version-id": VERSION_ID})
        data = self._objects.get(name)
        if data is None:
            return _http("404 Not Found", b"", {})
        known = {"ETag": '"replay"', "x-amz-version-id": VERSION_ID, "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        if method == "HEAD":
            return _http("200 OK", b"", known | {"Content-Length": str(len(data))})
        wanted = _RANGE.fullmatch(headers.get("range", ""))
        if wanted is None:
            return _http("200 OK", data, known)
        first, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
        known["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return _http("206 Partial Content", data[first : last + 1], known)


def _http(status: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = {"Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def _batch(request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    entries = request["Entries"]
    accepted = [{"Id": e["Id"], "MessageId": f"replay-{e['Id']}", "MD5OfMessageBody": "0" * 32} for e in entries]
    return len(entries), {"Successful": accepted}


def _write(request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    return sum(map(len, request["RequestItems"].values())), {"UnprocessedItems": {}}


def _get(request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    found = {table: wanted["Keys"] for table, wanted in request["RequestItems"].items()}
    return sum(map(len, found.values())), {"Responses": found, "UnprocessedKeys": {}}


def _one(_request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    return 1, {"MessageId": "replay", "MD5OfMessageBody": "0" * 32}


def _nothing(_request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    return 1, {}


_JSON_OPERATIONS: Mapping[str, Callable[[Mapping[str, Any]], tuple[int, dict[str, Any]]]] = {
    "SendMessage": _one,
    "SendMessageBatch": _batch,
    "ChangeMessageVisibility": _nothing,
    "ChangeMessageVisibilityBatch": _batch,
    "BatchWriteItem": _write,
    "BatchGetItem": _get,
    "PutItem": _nothing,
}
"""Each returns the number of entries that a request carries, and the answer. An item that is asked for is always there,
as its key alone."""


class _Received:
    """What has come over a connection and was not yet read."""

    def __init__(self) -> None:
        self._data = io.BytesIO()
        self._size = 0

    def put(self, data: bytes) -> None:
        rest = self._data.read()
        self._data, self._size = io.BytesIO(rest + data if rest else data), len(rest) + len(data)

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)

    @property
    def empty(self) -> bool:
        return self._data.tell() == self._size


class _Reader(io.RawIOBase):
    """A file over a connection; closing it does not close the connection."""

    def __init__(self, received: _Received) -> None:
        self._received = received

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._received.readinto(buffer)


def install(services: Services) -> None:
    """Make every connection of this process one to `services`."""
    never_readable, _ = os.pipe()
    readable, end = os.pipe()
    os.close(end)

    class StubSocket:
        """What a socket's users ask of it, without one."""

        def __init__(self, *_args: Any, **_options: Any) -> None:
            self._received = _Received()
            self._request = b""
            self._continued = False

        def sendall(self, data: Any) -> None:
            self._request += bytes(data)
            while self._request:
                head = _parse(self._request)
                if head is None:
                    return
                if len(self._request) < head.start + head.length:
                    if head.expects and not self._continued:
                        self._continued = True
                        self._received.put(b"HTTP/1.1 100 Continue\r\n\r\n")
                    return
                body = self._request[head.start : head.start + head.length]
                self._request, self._continued = self._request[head.start + head.length :], False
                self._received.put(services.answer(head.method, head.path, head.headers, body))

        def send(self, data: Any) -> int:
            self.sendall(data)
            return len(data)

        def makefile(self, _mode: str = "rb", buffering: int = -1, **_options: Any) -> Any:
            reader = _Reader(self._received)
            return reader if buffering == 0 else io.BufferedReader(reader)

        def recv(self, size: int, _flags: int = 0) -> bytes:
            buffer = bytearray(size)
            return bytes(buffer[: self._received.readinto(buffer)])

        def recv_into(self, buffer: Any, _size: int = 0, _flags: int = 0) -> int:
            return self._received.readinto(buffer)

        def fileno(self) -> int:
            # A connection that could be read while nothing is asked counts as closed by the other side.
            return never_readable if self._received.empty else readable

        def __getattr__(self, name: str) -> Callable[..., None]:
            # Options and time-outs change nothing here.
            if name in ("connect", "close", "settimeout", "setsockopt", "shutdown", "setblocking", "gettimeout"):
                return _ignore
            raise AttributeError(f"the replay's connections have no {name}")

    socket.socket = StubSocket  # type: ignore[assignment,misc]


def _ignore(*_args: Any) -> None:
    return None


class _Head(NamedTuple):
    """A request's head; `headers` by lower-case name. Its body is `length` bytes from `start`."""

    method: str
    path: str
    headers: dict[str, str]
    start: int
    length: int

    @property
    def expects(self) -> bool:
        """Whether the body is sent only after a first answer (RFC 9110, section 10.1.1)."""
        return self.headers.get("expect", "").lower() == "100-continue"


def _parse(data: bytes) -> _Head | None:
    """Return the head of the first request, None where it is not whole yet.

    Raises ValueError for a request whose length is not stated.
    """
    text, end, _ = data.partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = text.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "transfer-encoding" in headers:
        raise ValueError("the replay answers requests with a Content-Length only")
    method, path, _ = first.split(" ", 2)
    return _Head(method, path, headers, len(text) + len(end), int(headers.get("content-length", "0")))
