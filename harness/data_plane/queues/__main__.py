"""The service's process: `python -m harness.data_plane.queues --port 0`.

Prints one JSON line when it serves ({"port": ...}) and stops on SIGTERM or SIGINT, or with its parent. Messages are
kept in memory and end with it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import signal

from harness.data_plane.http_server import LOOPBACK, HttpServer, Limits
from harness.data_plane.queues import limits
from harness.data_plane.queues.operations import Waits
from harness.data_plane.queues.service import QueueService, Settings
from harness.lambda_service.bootstrap import die_with_parent, parent_from_environment

MAX_BODY = 12 * limits.MESSAGE_BYTES
"""Bytes of a request: 1 MiB of messages, all of it escaped, six characters a byte, and what stands around it."""
GC_THRESHOLDS = (200_000, 50, 1_000)
"""Collections walk every message; with Python's defaults a million messages make each one take most of a second."""


async def serve(settings: Settings, port: int) -> None:
    """Serve on a loopback port (0: any that is free) until a signal asks to stop."""
    # Queue URLs have the port in them, which is known once it is bound.
    service: QueueService | None = None
    server = HttpServer(lambda *request: service.handle(*request) if service else _NOT_YET, Limits(body=MAX_BODY))
    bound = await server.start(port)
    service = QueueService(
        Settings(
            settings.account,
            settings.region,
            settings.url_base or f"http://{LOOPBACK}:{bound}",
            settings.in_flight_limit,
            settings.waits,
        )
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(json.dumps({"port": bound}), flush=True)  # noqa: T201
    await stop.wait()
    await server.stop()


_NOT_YET = (503, (), b"")


def main() -> None:
    """Read the command line and serve on the fastest event loop there is."""
    parser = argparse.ArgumentParser(prog="python -m harness.data_plane.queues", description="SQS on loopback.")
    parser.add_argument("--port", type=int, default=0, help="port of 127.0.0.1; 0 takes any that is free")
    parser.add_argument("--account", default="000000000000", help="account id in ARNs and queue URLs")
    parser.add_argument("--region", default="us-east-1", help="region in ARNs")
    parser.add_argument("--url-base", default="", help="what queue URLs begin with (default: http://127.0.0.1:PORT)")
    parser.add_argument("--in-flight", type=int, default=limits.IN_FLIGHT, help="most messages in flight per queue")
    parser.add_argument(
        "--aws-waits",
        action="store_true",
        help="refuse a second purge, and a deleted queue's name, for 60 seconds, as SQS does",
    )
    options = parser.parse_args()
    die_with_parent(parent_from_environment())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    waits = Waits(limits.PURGE_SECONDS, limits.PURGE_SECONDS) if options.aws_waits else Waits()
    settings = Settings(options.account, options.region, options.url_base.rstrip("/"), options.in_flight, waits)
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(settings, options.port))
    else:
        uvloop.run(serve(settings, options.port))


if __name__ == "__main__":
    main()
