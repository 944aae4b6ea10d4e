"""The tables' process: `python -m harness.data_plane.tables [--port N] [--data DIR] [--capacity aws] ...`.

Prints one JSON line when it serves ({"port": ...}) and stops on SIGTERM or SIGINT, or with its parent.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import signal
import socket
import sys
from pathlib import Path

from harness.data_plane.chaos.process import add_options, with_chaos
from harness.data_plane.http_server import HttpServer, Limits, listen
from harness.data_plane.tables.service import TableService
from harness.errors import HarnessError
from harness.lambda_service.bootstrap import die_with_parent, parent_from_environment

_log = logging.getLogger(__name__)

TEND_SECONDS = 5.0
MAX_BODY = 16 * 1024 * 1024 + 64 * 1024
"""The largest request of DynamoDB is 16 MB."""
GC_THRESHOLDS = (50_000, 50, 1_000)
"""An index has many objects that never refer to each other; collecting them often only costs time."""


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m harness.data_plane.tables", description=__doc__)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--port", type=int, default=0, help="port of 127.0.0.1 (default: any that is free)")
    either.add_argument("--fd", type=int, help="number of an open file descriptor: a socket that listens on 127.0.0.1")
    parser.add_argument("--data", type=Path, help="directory that keeps tables across restarts (default: keep nothing)")
    parser.add_argument(
        "--capacity",
        choices=("unlimited", "aws"),
        default="unlimited",
        help="aws: throttle as the tables' capacity says (default: unlimited)",
    )
    parser.add_argument("--shards", type=int, help="shards of a new table (default: as many as AWS has partitions)")
    parser.add_argument("--region", default="us-east-1", help="region of requests that name none")
    add_options(parser)
    return parser


async def serve(service: TableService, listener: socket.socket, options: argparse.Namespace) -> None:
    """Serve until a signal comes."""
    server = HttpServer(with_chaos(service.handle, options, ("dynamodb", "dynamodbstreams")), Limits(body=MAX_BODY))
    await server.start(listener)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)  # noqa: T201
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), TEND_SECONDS)
        try:
            service.tend()
        except Exception:  # noqa: BLE001
            # What is due now is due again in a few seconds; requests go on.
            _log.exception("tending the tables failed")
    await server.stop()


def main() -> int:
    """Run the process and return its exit code: 0, 2 for wrong options, 5 when it cannot start."""
    logging.basicConfig(level=logging.WARNING)
    options = arguments().parse_args()
    if options.shards is not None and not 1 <= options.shards <= 1024:
        sys.stderr.write(f"--shards {options.shards}: a table has 1 to 1024 shards\n")
        return 2
    if options.fd is not None and options.fd < 0:
        sys.stderr.write(f"--fd {options.fd}: a file descriptor is 0 or more\n")
        return 2
    if not 0 <= options.port <= 65535:
        sys.stderr.write(f"--port {options.port}: a port is 0 to 65535\n")
        return 2
    die_with_parent(parent_from_environment())
    try:
        listener, _ = listen(options.port, fd=options.fd)
    except OSError as error:
        where = f"on port {options.port}" if options.fd is None else f"on descriptor {options.fd}"
        sys.stderr.write(f"the tables cannot serve {where}: {error.strerror}\n")
        return 5
    try:
        service = TableService(
            options.data,
            enforce_capacity=options.capacity == "aws",
            shards=options.shards,
            region=options.region,
        )
    except (HarnessError, OSError) as error:
        sys.stderr.write(f"the tables cannot start: {error}\n")
        return 5
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        try:
            import uvloop
        except ImportError:
            asyncio.run(serve(service, listener, options))
        else:
            uvloop.run(serve(service, listener, options))
    finally:
        service.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
