"""Runs of the whole pipeline with something going wrong in the middle."""

from __future__ import annotations

import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.corpus import CorpusSpec
from harness.engines.embedded import EmbeddedEngine
from harness.run.core import STACK, Runner, RunOptions, RunResult

QUICK = {"RetryDelaySeconds": "1", "VisibilityTimeout": "24", "WorkerTimeout": "20"}
"""Template parameters that make retries quick; a fault then costs seconds rather than minutes."""

PATIENT = {"VisibilityTimeout": "72", "WorkerTimeout": "60"}
"""For faults that slow functions down and do not end them: three receives must not run out of time on a machine whose
host is busy (seen with 45% of the CPU time withheld)."""


def run_pipeline(
    engine: EmbeddedEngine,
    folder: Path,
    spec: CorpusSpec | None = None,
    *,
    file: Path | None = None,
    parameters: dict[str, str] | None = None,
    meanwhile: Callable[[], None] | None = None,
    stall_timeout: float = 240.0,
) -> RunResult:
    """Run the main job quietly; `meanwhile` runs beside it, and its failure fails the run."""
    options = RunOptions(
        spec or CorpusSpec(rows=0),
        file,
        {**QUICK, **(parameters or {})},
        stall_timeout=stall_timeout,
        ceiling=False,
        cache=folder / "cache",
    )
    runner = Runner(Console(quiet=True), quiet=True)
    given = runner.prepare(options)
    failures: list[BaseException] = []

    def disturb() -> None:
        try:
            if meanwhile is not None:
                meanwhile()
        except (AssertionError, OSError) as error:
            failures.append(error)

    thread = threading.Thread(target=disturb, daemon=True)
    thread.start()
    out = folder / "run"
    out.mkdir()
    finished = runner.run(engine, given, options, out)
    thread.join(120)
    if failures:
        raise failures[0]
    assert not thread.is_alive(), "the disturbance never came"
    return finished


def items_in_table(engine: EmbeddedEngine) -> int:
    """Return the number of items, 0 before the stack is deployed."""
    client = engine.client("dynamodb")
    names = [n for n in client.list_tables()["TableNames"] if n.startswith(STACK)]
    return int(client.describe_table(TableName=names[0])["Table"]["ItemCount"]) if names else 0


def wait_for_items(engine: EmbeddedEngine, count: int, seconds: float = 180.0) -> None:
    """Return when the table holds at least `count` items."""
    deadline = time.monotonic() + seconds
    while items_in_table(engine) < count:
        assert time.monotonic() < deadline, f"no {count} items within {seconds:g} s"
        time.sleep(0.02)


def environment_pids(engine: EmbeddedEngine, function: str) -> list[int]:
    """Return the process ids of a function's execution environments."""
    found = []
    for path in (engine.work_dir / "pids").iterdir():
        try:
            if path.read_text().startswith(f"{STACK}-{function}-"):
                found.append(int(path.name))
        except FileNotFoundError:
            continue
    return found


class ThrottlingProxy:
    """Stands between the functions and DynamoDB: of all BatchWriteItem calls, a tenth is throttled and a tenth
    writes only the first half of its items. Everything else passes."""

    def __init__(self, seed: int = 1) -> None:
        self.target = ""
        self.throttled = 0
        self.partial = 0
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = proxy.answer(dict(self.headers.items()), body)
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if headers.get("X-Amz-Target", "").endswith(".BatchWriteItem"):
            with self._lock:
                chance = self._random.random()
            if chance < 0.1:
                self.throttled += 1
                error = {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}
                return 400, json.dumps(error).encode()
            if chance < 0.2:
                return self._half(headers, body)
        return self._forward(headers, body)

    def _half(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        request = json.loads(body)
        ((table, items),) = request["RequestItems"].items()
        middle = (len(items) + 1) // 2
        request["RequestItems"][table] = items[:middle]
        status, answer = self._forward(headers, json.dumps(request).encode())
        if status == 200 and items[middle:]:
            self.partial += 1
            return 200, json.dumps({"UnprocessedItems": {table: items[middle:]}}).encode()
        return status, answer

    def _forward(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        kept = {k: v for k, v in headers.items() if k.lower() not in ("host", "content-length", "connection")}
        request = urllib.request.Request(self.target + "/", body, kept)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
