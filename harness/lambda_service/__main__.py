"""The service's process: `python -m harness.lambda_service`, settings as JSON on standard input.

Prints one JSON line when it serves ({"port": ..., "control_folders": [...]}) and stops on SIGTERM or SIGINT, or
with its parent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys

from aiohttp import web

from harness.lambda_service.bootstrap import die_with_parent
from harness.lambda_service.model import ServiceSettings
from harness.lambda_service.service import LambdaService


async def serve(settings: ServiceSettings) -> None:
    """Run the service until a signal asks it to stop."""
    service = LambdaService(settings)
    await service.start()
    runner = web.AppRunner(service.application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    port = runner.addresses[0][1]
    print(json.dumps({"port": port, "control_folders": service.control_folders}), flush=True)  # noqa: T201
    await stop.wait()
    await runner.cleanup()
    await service.stop()


def main() -> None:
    """Read the settings and serve."""
    parent = os.getppid()
    die_with_parent(parent)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = ServiceSettings.from_json(json.loads(sys.stdin.readline()))
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(settings))
    else:
        uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
