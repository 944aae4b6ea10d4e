"""How `harness dlq` finds the engine that another terminal keeps up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from harness.corpus.cache import default_cache
from harness.engines.base import Deployment, Endpoints, Engine
from harness.engines.clients import Clients
from harness.engines.registry import ENGINES
from harness.errors import EnvironmentProblem, UsageError


@dataclass(frozen=True)
class Session:
    """An engine that is up in another process: its endpoint and the deployment on it. `clients` are those of an engine
    that has its own; of any other they are made for the endpoint."""

    endpoint: str
    region: str
    deployment: Deployment
    clients: Clients | None = None

    def client(self, service: str) -> Any:
        """Return a boto3 client of that engine."""
        if self.clients is not None:
            return self.clients.get(service)
        return Clients(lambda: Endpoints(self.endpoint, self.region)).get(service)


def _path() -> Path:
    return default_cache().parent / "engine.json"


@contextmanager
def remember(engine: Engine, deployment: Deployment) -> Iterator[None]:
    """Register a running engine for as long as the context lasts."""
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {
        "pid": psutil.Process().pid,
        "endpoint": engine.endpoints.default,
        "region": engine.endpoints.region,
        "stack_name": deployment.stack_name,
        "outputs": dict(deployment.outputs),
        "parameters": dict(deployment.parameters),
    }
    path.write_text(json.dumps(entry))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def attach(engine: str, stack_name: str) -> Session:
    """Return the engine of that name that is up; raises UsageError for a name that is none, EnvironmentProblem where
    no engine is up."""
    if engine in ("localstack", "localstack-data"):
        from harness.engines.localstack import LocalStackDataEngine, LocalStackEngine

        localstack = LocalStackEngine() if engine == "localstack" else LocalStackDataEngine()
        deployment = localstack.deployed(stack_name)
        return Session(localstack.endpoints.default, localstack.endpoints.region, deployment)
    if engine == "aws":
        from harness.engines.aws import Account, AccountOptions, deployed

        account = Account(AccountOptions())
        deployment = deployed(account, stack_name)
        return Session(f"AWS in {account.region}", account.region, deployment, account.clients)
    if engine != "embedded":
        raise UsageError(f"engine {engine!r} is not known", hint=f"choose one of {', '.join(ENGINES)}")
    path = _path()
    hint = "start one in another terminal with `harness deploy` or `harness run --keep`"
    if not path.exists():
        raise EnvironmentProblem("no engine is up", hint=hint)
    word = json.loads(path.read_text())
    if not psutil.pid_exists(word["pid"]):
        path.unlink(missing_ok=True)
        raise EnvironmentProblem(f"the engine of process {word['pid']} is gone", hint=hint)
    deployment = Deployment(word["stack_name"], word["outputs"], word["parameters"])
    return Session(word["endpoint"], word["region"], deployment)
