"""The service's process: `python -m harness.lambda_service`, settings as JSON on standard input.

Prints one JSON line when it serves ({"port": ..., "control_folders": [...]}) and stops on SIGTERM or SIGINT, or
with its parent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys

from aiohttp import web

from harness.entry import enter, in_one_line
from harness.errors import UsageError
from harness.lambda_service.bootstrap import die_with_parent, parent_from_environment
from harness.lambda_service.model import ServiceSettings
from harness.lambda_service.service import LambdaService


async def serve(settings: ServiceSettings, host: str = "127.0.0.1", port: int = 0) -> None:
    """Run the service until a signal asks it to stop; port 0 takes any that is free."""
    service = LambdaService(settings)
    await service.start()
    runner = web.AppRunner(service.application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bound = runner.addresses[0][1]
    print(json.dumps({"port": bound, "control_folders": service.control_folders}), flush=True)  # noqa: T201
    await stop.wait()
    await runner.cleanup()
    await service.stop()


def main() -> None:
    """Read the settings and serve; raises UsageError for settings that are none."""
    die_with_parent(parent_from_environment())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = ServiceSettings.from_json(json.loads(sys.stdin.readline()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"the line on standard input is no settings of the service: {in_one_line(error)}",
            hint="one line of JSON: harness.lambda_service.model.ServiceSettings has its keys",
        ) from error
    run(settings)


def run(settings: ServiceSettings, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve on the fastest event loop there is; see `serve`."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(settings, host, port))
    else:
        uvloop.run(serve(settings, host, port))


if __name__ == "__main__":
    enter(main)
