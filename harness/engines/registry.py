"""Engines by name."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data_plane.chaos.rules import RuleSet
from harness.engines.base import Engine
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.engines.aws import Account

CAPACITIES = ("unlimited", "aws")


@dataclass(frozen=True)
class EngineKind:
    """What an engine can do, known before one is made.

    `data_here`: it keeps its data on this machine, at the rate that `harness doctor` knows. `throttles`: its tables can
    throttle as AWS's do (--capacity aws). `injects_faults`: --chaos. `keeps_data`: --data. `profiles`: its functions
    run on our Lambda service, with a concurrency profile of ours. `billed`: it is a real account. `load_rate`: rows a
    second that a load offers by default, well below what two cores sustain (docs/load-testing.md has what was found).
    """

    name: str
    data_here: bool = False
    throttles: bool = False
    injects_faults: bool = False
    keeps_data: bool = False
    profiles: bool = False
    billed: bool = False
    load_rate: float = 60.0


KINDS = {
    kind.name: kind
    for kind in (
        EngineKind(
            "embedded",
            data_here=True,
            throttles=True,
            injects_faults=True,
            keeps_data=True,
            profiles=True,
            load_rate=800.0,
        ),
        EngineKind("localstack"),
        EngineKind("localstack-data", profiles=True),
        EngineKind("aws", billed=True),
    )
}
ENGINES = tuple(KINDS)

_OWNERS = {"localstack": "LocalStack's", "localstack-data": "LocalStack's", "aws": "AWS's"}
_THROTTLING = {
    "localstack": "which never throttle",
    "localstack-data": "which never throttle",
    "aws": "which throttle by themselves",
}


def kind_of(name: str) -> EngineKind:
    """Return what the engine of that name can do; raises UsageError naming the engines there are."""
    try:
        return KINDS[name]
    except KeyError:
        raise UsageError(f"engine {name!r} is not known", hint=f"choose one of {', '.join(ENGINES)}") from None


def create(
    name: str,
    *,
    work_dir: Path | None = None,
    profile: str = "local",
    capacity: str = "unlimited",
    logs: Path | None = None,
    data: Path | None = None,
    chaos: RuleSet | None = None,
    account: Account | None = None,
    keep: bool = False,
) -> Engine:
    """Return a new, unstarted engine; raises UsageError naming the engines there are, and for an option that the engine
    does not have.

    `logs` is a folder for the logs of what the engine itself starts, kept when it ends, however it ends. `data` is a
    folder that keeps tables and queues for the next engine, and `chaos` are rules of faults to inject: the embedded
    engine alone has them. `account` is whose account engine aws is; with `keep` what it deploys stays there.
    """
    kind = kind_of(name)
    check_capacity(name, capacity)
    check_data(name, data)
    if chaos is not None and not kind.injects_faults:
        raise no_chaos(name)
    check_profile(name, profile)
    if name == "embedded":
        from harness.engines.embedded import EmbeddedEngine

        return EmbeddedEngine(work_dir, profile, logs=logs, data=data, capacity=capacity, chaos=chaos)
    if name == "localstack":
        from harness.engines.localstack import LocalStackEngine

        return LocalStackEngine(logs=logs)
    if name == "aws":
        from harness.engines.aws import AwsEngine

        if account is None:
            raise AssertionError("engine aws is made for an account")
        return AwsEngine(account, f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}", keep=keep)
    from harness.engines.localstack import LocalStackDataEngine

    return LocalStackDataEngine(profile=profile, logs=logs)


def check_data(engine: str, data: Path | None) -> None:
    """Raise UsageError for a folder of data where the engine has no use for one."""
    if data is not None and not kind_of(engine).keeps_data:
        raise UsageError(f"--data {data}: engine {engine} keeps its data itself", hint="leave --data out")


def check_profile(engine: str, profile: str) -> None:
    """Raise UsageError for a concurrency profile that the engine's functions do not follow."""
    if profile != "local" and not kind_of(engine).profiles:
        raise UsageError(
            f"--profile {profile}: engine {engine} runs functions with {_OWNERS[engine]} own concurrency",
            hint="leave --profile out, or choose --engine embedded or localstack-data",
        )


def check_capacity(engine: str, capacity: str) -> None:
    """Raise UsageError for a capacity that is not known, and for one that the engine cannot enforce."""
    if capacity not in CAPACITIES:
        raise UsageError(f"--capacity {capacity} is not known", hint=f"choose one of {', '.join(CAPACITIES)}")
    if capacity != "unlimited" and not kind_of(engine).throttles:
        raise UsageError(
            f"--capacity {capacity}: the tables of engine {engine} are {_OWNERS[engine]}, {_THROTTLING[engine]}",
            hint="leave --capacity out, or choose --engine embedded",
        )


def no_chaos(name: str) -> UsageError:
    """Return the error of an engine that cannot inject faults."""
    return UsageError(
        f"--chaos: engine {name} injects no faults, its queues and tables are {_OWNERS[name]}",
        hint="leave --chaos out, or choose --engine embedded",
    )


def outlives_its_command(name: str) -> bool:
    """Return whether what is deployed to an engine still works once the command that deployed it has ended."""
    if name == "localstack-data":
        from harness.engines.localstack.data_engine import URL_VARIABLE

        return bool(os.environ.get(URL_VARIABLE))
    kind = kind_of(name)
    return kind.billed or not kind.data_here
