"""What the queues cost: `python -m harness.data_plane.queues.measure`.

Starts a service of its own, sends raw requests over one kept-alive connection, and prints the server's CPU per call
with few messages waiting and with many, and its memory per message. CPU times, unlike rates, mean something on a
machine that does other things too.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.lambda_service.bootstrap import PARENT_VARIABLE

BATCH = 10


@dataclass(frozen=True)
class Figures:
    """CPU of the server per call, in ms, and its resident memory, in bytes, with `waiting` messages in the queue.

    `floor_ms` is that of a call that does next to nothing (GetQueueUrl): the kernel's, the event loop's and HTTP's.
    `per_message` is what a waiting message adds to the memory. `restart_s` is the CPU of a process that starts on what
    is left, in seconds.
    """

    waiting: int
    body_bytes: int
    floor_ms: float
    send_ms: float
    receive_ms: float
    delete_ms: float
    resident: int
    per_message: float
    disk: int
    restart_s: float


class Connection:
    """A raw client of one service."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb", buffering=1 << 20)

    def request(self, operation: str, body: bytes) -> bytes:
        """Return the bytes of a request with the headers that an SDK sends."""
        return (
            f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-amz-json-1.0\r\n"
            f"X-Amz-Target: AmazonSQS.{operation}\r\nX-Amz-Date: 20260101T000000Z\r\nUser-Agent: measure\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request, "
            f"SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={'0' * 64}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def call(self, request: bytes) -> bytes:
        """Send a prepared request and return the answer's body; raises RuntimeError when it is refused."""
        self._socket.sendall(request)
        status = self._file.readline()
        length = 0
        while (line := self._file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body: bytes = self._file.read(length)
        if b" 200 " not in status:
            raise RuntimeError(f"{status!r} {body!r}")
        return body

    def ask(self, operation: str, **members: object) -> dict[str, object]:
        """Call an operation and return its decoded answer."""
        answer = self.call(self.request(operation, json.dumps(members).encode()))
        decoded: dict[str, object] = json.loads(answer) if answer else {}
        return decoded


@contextmanager
def service(data: Path | None) -> Iterator[tuple[psutil.Process, int]]:
    """Run a service on a directory, or on temporary files; yields its process and port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.data_plane.queues", *(["--data", str(data)] if data else [])],
        stdout=subprocess.PIPE,
        env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the service has no standard output")
        yield psutil.Process(process.pid), int(json.loads(process.stdout.readline())["port"])
    finally:
        process.terminate()
        process.wait()


def measure(waiting: int, calls: int, body_bytes: int, data: Path) -> Figures:
    """Measure a service of its own, on an empty directory, with `waiting` messages in the queue."""
    with service(data) as (process, port):
        client = Connection(port)
        url = client.ask("CreateQueue", QueueName="measured")["QueueUrl"]
        body = json.dumps({"v": 1, "rows": [["x" * max(1, body_bytes - 26)]]})
        entries = [{"Id": str(i), "MessageBody": body} for i in range(BATCH)]
        send = client.request("SendMessageBatch", json.dumps({"QueueUrl": url, "Entries": entries}).encode())
        asked = {"QueueUrl": url, "MaxNumberOfMessages": BATCH, "AttributeNames": ["All"], "WaitTimeSeconds": 5}
        receive = client.request("ReceiveMessage", json.dumps(asked).encode())
        nothing = client.request("GetQueueUrl", b'{"QueueName":"measured"}')
        empty = process.memory_info().rss
        for _ in range(waiting // BATCH):
            client.call(send)
        per_message = (process.memory_info().rss - empty) / waiting
        before = _cpu(process)
        for _ in range(calls):
            client.call(nothing)
        floor = (_cpu(process) - before) * 1000 / calls
        sending = receiving = deleting = 0.0
        rounds = 10
        for _ in range(rounds):
            began = _cpu(process)
            for _ in range(calls // rounds):
                client.call(send)
            sent = _cpu(process)
            answers = [client.call(receive) for _ in range(calls // rounds)]
            received = _cpu(process)
            deletes = [client.request("DeleteMessageBatch", _delete(str(url), answer)) for answer in answers]
            begun = _cpu(process)
            for request in deletes:
                client.call(request)
            sending += sent - began
            receiving += received - sent
            deleting += _cpu(process) - begun
        total = calls // rounds * rounds
        resident = process.memory_info().rss
    disk = sum(path.stat().st_size for path in data.iterdir())
    with service(data) as (process, _):
        restart = _cpu(process)
    scale = 1000 / total
    times = (floor, sending * scale, receiving * scale, deleting * scale)
    return Figures(waiting, body_bytes, *times, resident, per_message, disk, restart)


def _delete(url: str, answer: bytes) -> bytes:
    messages = json.loads(answer)["Messages"]
    entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
    return json.dumps({"QueueUrl": url, "Entries": entries}).encode()


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m harness.data_plane.queues.measure")
    parser.add_argument("--waiting", type=int, nargs="+", default=[10_000, 400_000], help="messages in the queue")
    parser.add_argument("--calls", type=int, default=5_000, help="calls of each operation")
    parser.add_argument("--body", type=int, default=300, help="bytes of a body")
    options = parser.parse_args()
    print("  waiting    body     nothing     send 10  receive 10   delete 10  resident  a message    disk  restart")  # noqa: T201
    for waiting in options.waiting:
        with tempfile.TemporaryDirectory() as folder:
            f = measure(waiting, options.calls, options.body, Path(folder))
        calls = "  ".join(f"{ms:7.3f} ms" for ms in (f.floor_ms, f.send_ms, f.receive_ms, f.delete_ms))
        memory = f"{f.resident / 1e6:5.0f} MB  {f.per_message:7.0f} B"
        print(f"{f.waiting:9,} {f.body_bytes:5} B  {calls}  {memory}  {f.disk / 1e6:4.0f} MB  {f.restart_s:5.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()
