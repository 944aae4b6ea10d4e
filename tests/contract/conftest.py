"""One engine for all contract tests, one stack for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.engines.base import Engine
from harness.engines.registry import create
from tests.contract.support import Stack, deploy

DeployStack = Callable[..., Stack]


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with create(request.config.getoption("--engine")) as started:
        yield started


@pytest.fixture
def stack(engine: Engine, tmp_path: Path) -> Iterator[DeployStack]:
    """Deploys stacks that are removed when the test ends."""
    deployed: list[Stack] = []

    def deploy_stack(code: str, resources: dict[str, Any] | None = None, **function: Any) -> Stack:
        made = deploy(engine, tmp_path, code, resources, **function)
        deployed.append(made)
        return made

    yield deploy_stack
    for made in deployed:
        engine.remove(made.name)
