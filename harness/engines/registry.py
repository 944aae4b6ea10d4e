"""Engines by name."""

from __future__ import annotations

import os
from pathlib import Path

from harness.data_plane.chaos.rules import RuleSet
from harness.engines.base import Engine
from harness.errors import UsageError

ENGINES = ("embedded", "localstack", "localstack-data")


CAPACITIES = ("unlimited", "aws")


def create(
    name: str,
    *,
    work_dir: Path | None = None,
    profile: str = "local",
    capacity: str = "unlimited",
    logs: Path | None = None,
    data: Path | None = None,
    chaos: RuleSet | None = None,
) -> Engine:
    """Return a new, unstarted engine; raises UsageError naming the engines there are, and for an option that the engine
    does not have.

    `logs` is a folder for the logs of what the engine itself starts, kept when it ends, however it ends. `data` is a
    folder that keeps tables and queues for the next engine, and `chaos` are rules of faults to inject: the embedded
    engine alone has them.
    """
    check_capacity(name, capacity)
    if name == "embedded":
        from harness.engines.embedded import EmbeddedEngine

        return EmbeddedEngine(work_dir, profile, logs=logs, data=data, capacity=capacity, chaos=chaos)
    if name in ENGINES and data is not None:
        raise UsageError(f"--data {data}: engine {name} keeps its data itself", hint="leave --data out")
    if chaos is not None and name in ENGINES:
        raise no_chaos(name)
    if name == "localstack":
        from harness.engines.localstack import LocalStackEngine

        if profile != "local":
            raise UsageError(
                f"--profile {profile}: engine {name} runs functions with LocalStack's own concurrency",
                hint="leave --profile out, or choose --engine embedded or localstack-data",
            )
        return LocalStackEngine(logs=logs)
    if name == "localstack-data":
        from harness.engines.localstack import LocalStackDataEngine

        return LocalStackDataEngine(profile=profile, logs=logs)
    raise UsageError(f"engine {name!r} is not known", hint=f"choose one of {', '.join(ENGINES)}")


def check_capacity(engine: str, capacity: str) -> None:
    """Raise UsageError for a capacity that is not known, and for one that the engine cannot enforce."""
    if capacity not in CAPACITIES:
        raise UsageError(f"--capacity {capacity} is not known", hint=f"choose one of {', '.join(CAPACITIES)}")
    if capacity != "unlimited" and engine in ("localstack", "localstack-data"):
        raise UsageError(
            f"--capacity {capacity}: the tables of engine {engine} are LocalStack's, which never throttle",
            hint="leave --capacity out, or choose --engine embedded",
        )


def no_chaos(name: str) -> UsageError:
    """Return the error of an engine that cannot inject faults."""
    return UsageError(
        f"--chaos: engine {name} injects no faults, its queues and tables are LocalStack's",
        hint="leave --chaos out, or choose --engine embedded",
    )


def outlives_its_command(name: str) -> bool:
    """Return whether what is deployed to an engine still works once the command that deployed it has ended."""
    if name == "localstack-data":
        from harness.engines.localstack.data_engine import URL_VARIABLE

        return bool(os.environ.get(URL_VARIABLE))
    return name != "embedded"
