"""Looks at the pipeline for a Locust that was started by hand: `python -m harness.experiments.observer FOLDER`.

`harness bench load` does its own looking. This process exists so that figures appear in Locust's web UI without it,
and without taking time from the uploads. Ends with its parent.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from rich.console import Console

from harness.engines.base import Deployment, Engine
from harness.engines.localstack import LocalStackEngine
from harness.entry import enter
from harness.experiments.lifecycle import STACK
from harness.experiments.load_intake import LoadIntake
from harness.lambda_service.bootstrap import die_with_parent, parent_from_environment
from harness.load.pool import make_pool
from harness.observation.clock import RunClock
from harness.observation.display import make_display
from harness.observation.watch import Watch


def observe(engine: Engine, deployment: Deployment, folder: Path) -> None:
    """Look for ever."""
    intake = LoadIntake(deployment, folder, lambda spec: [file.expectation for file in make_pool(spec)])
    nothing = make_display(Console(file=io.StringIO()), quiet=True)
    clock = RunClock()
    with Watch(engine, deployment, intake, nothing, folder=folder, clock=clock, stall_timeout=float("inf")) as watch:
        while True:
            watch.sample()
            watch.wait()


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
