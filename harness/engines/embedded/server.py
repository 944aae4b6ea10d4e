"""The data services' process: MiniStack under uvicorn and uvloop, on a socket that its parent opened.

`python -m harness.engines.embedded.server FD`, where FD is a listening loopback socket.
"""

from __future__ import annotations

import gc
import sys

import uvicorn

from harness.engines.embedded import steady_time
from harness.entry import enter
from harness.errors import UsageError
from harness.lambda_service.bootstrap import die_with_parent, parent_from_environment

GC_THRESHOLDS = (200_000, 50, 1_000)
"""Collections walk every live item; with Python's defaults millions of items make each one take seconds."""


def main() -> None:
    """Serve until SIGTERM, or until the parent dies; raises UsageError without a descriptor."""
    die_with_parent(parent_from_environment())
    if len(sys.argv) < 2 or not sys.argv[1].isdecimal():
        raise UsageError("the first argument is the number of an open listening socket")
    descriptor = int(sys.argv[1])
    steady_time.install()
    from ministack.app import app

    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    uvicorn.run(
        app,
        fd=descriptor,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=600,
    )


if __name__ == "__main__":
    enter(main)
