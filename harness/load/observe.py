"""Looks at the pipeline for a Locust that was started by hand: `python -m harness.load.observe FOLDER`.

`harness bench load` does its own looking. This process exists so that figures appear in Locust's web UI without it,
and without taking time from the uploads. Ends with its parent.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from harness.engines.base import Deployment, Engine
from harness.engines.localstack import LocalStackEngine
from harness.entry import enter
from harness.lambda_service.bootstrap import die_with_parent, parent_from_environment
from harness.load.monitor import Monitor
from harness.run.core import STACK

LOOK_SECONDS = 1.0


def observe(engine: Engine, deployment: Deployment, folder: Path) -> None:
    """Look for ever."""
    monitor = Monitor(engine, deployment, folder)
    while True:
        began = time.monotonic()
        monitor.look()
        time.sleep(max(0.0, LOOK_SECONDS - (time.monotonic() - began)))


def main() -> None:
    """Look until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--endpoint", required=True)
    given = parser.parse_args()
    die_with_parent(parent_from_environment())
    engine = LocalStackEngine(given.endpoint)
    observe(engine, engine.deployed(STACK), given.folder)


if __name__ == "__main__":
    enter(main)
