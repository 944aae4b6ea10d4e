"""The service's process: `python -m harness.data_plane.queues --port 0`.

Prints one JSON line when it serves ({"port": ...}) and stops on SIGTERM or SIGINT, or with its parent. With `--data`
the next process on the same directory has its queues and messages.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import re
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

from harness.data_plane.chaos.process import add_options, with_chaos
from harness.data_plane.http_server import LOOPBACK, HttpServer, Limits, listen
from harness.data_plane.queues import limits
from harness.data_plane.queues.operations import Waits
from harness.data_plane.queues.service import QueueService, Settings
from harness.lambda_service.bootstrap import die_with_parent, parent_from_environment

MAX_BODY = 12 * limits.MESSAGE_BYTES
"""Bytes of a request: 1 MiB of messages, all of it escaped, six characters a byte, and what stands around it."""
UNAVAILABLE = 5
"""Exit status when the port cannot be had; 2 is argparse's, for wrong options."""
GC_THRESHOLDS = (200_000, 50, 1_000)
"""Collections walk every message; with Python's defaults a million messages make each one take most of a second."""


async def serve(settings: Settings, listener: socket.socket, options: argparse.Namespace) -> None:
    """Serve on a socket of `listen` until a signal asks to stop."""
    try:
        service = QueueService(settings)
    except OSError as error:
        # The text of the system, or of the log, which names the file.
        print(f"the queues cannot be kept in {settings.data}: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(UNAVAILABLE)
    server = HttpServer(with_chaos(service.handle, options, ("sqs",)), Limits(body=MAX_BODY))
    await server.start(listener)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)  # noqa: T201
    await stop.wait()
    await server.stop()
    service.close()


def main() -> None:
    """Read the command line and serve on the fastest event loop there is."""
    parser = argparse.ArgumentParser(prog="python -m harness.data_plane.queues", description="SQS on loopback.")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--port", type=_port, help="port of 127.0.0.1; 0 (default) takes any that is free")
    either.add_argument(
        "--fd", type=_descriptor, help="number of an open file descriptor: a socket that listens on 127.0.0.1"
    )
    parser.add_argument(
        "--data", type=Path, help="directory that keeps everything across restarts (default: nothing is kept)"
    )
    parser.add_argument("--account", type=_account, default="000000000000", help="account id in ARNs and queue URLs")
    parser.add_argument("--region", type=_region, default="us-east-1", help="region in ARNs")
    parser.add_argument("--url-base", default="", help="what queue URLs begin with (default: http://127.0.0.1:PORT)")
    parser.add_argument("--in-flight", type=_count, default=limits.IN_FLIGHT, help="most messages in flight per queue")
    parser.add_argument(
        "--aws-waits",
        action="store_true",
        help="refuse a second purge, and a deleted queue's name, for 60 seconds, as SQS does",
    )
    add_options(parser)
    options = parser.parse_args()
    die_with_parent(parent_from_environment())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    waits = Waits(limits.PURGE_SECONDS, limits.PURGE_SECONDS) if options.aws_waits else Waits()
    settings = Settings(
        options.account, options.region, options.url_base.rstrip("/"), options.in_flight, waits, options.data
    )
    try:
        listener, bound = listen(options.port or 0, fd=options.fd)
    except OSError as error:
        where = f"port {options.port} of {LOOPBACK} cannot be had: " if options.fd is None else ""
        print(f"{where}{error.strerror or error}", file=sys.stderr)  # noqa: T201
        sys.exit(UNAVAILABLE)
    settings = replace(settings, url_base=settings.url_base or f"http://{LOOPBACK}:{bound}")
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(settings, listener, options))
    else:
        uvloop.run(serve(settings, listener, options))


def _port(text: str) -> int:
    return _within(text, 0, 65_535)


def _descriptor(text: str) -> int:
    return _within(text, 0, 1_048_576)


def _count(text: str) -> int:
    return _within(text, 1, limits.IN_FLIGHT)


def _within(text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
    return int(text)


def _account(text: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an account id of 12 digits")
    return text


def _region(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,32}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a region")
    return text


if __name__ == "__main__":
    main()
