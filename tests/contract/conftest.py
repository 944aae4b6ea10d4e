"""One engine for all contract tests, one stack for each; what an engine is known to do differently must fail."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from harness.engines.base import Engine
from harness.engines.registry import create
from harness.errors import EngineError
from tests.contract.fidelity import difference
from tests.contract.support import Stack, deploy
from tests.contract.table_support import NewTable, sending_anything, table_request

DeployStack = Callable[..., Stack]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    engine = config.getoption("--engine")
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        found = difference(engine, item.name)
        if found is not None:
            # Only the failure that is known: an engine that does not come up is not one.
            strict = found.kind not in ("depends", "untried")
            item.add_marker(pytest.mark.xfail(reason=f"{found.kind}: {found.why}", raises=found.raises, strict=strict))


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = create(request.config.getoption("--engine"))
    try:
        made.start()
    except EngineError as error:
        made.stop()
        if made.name != "embedded" and not _docker_answers():
            pytest.skip(f"engine {made.name} cannot run here: {error}")
        raise
    try:
        yield made
    finally:
        made.stop()


def _docker_answers() -> bool:
    try:
        client = docker.from_env()
    except DockerException:
        return False
    client.close()
    return True


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


@pytest.fixture(scope="session")
def dynamodb(engine: Engine) -> Any:
    """A client of tables that sends what it is given, and once."""
    return sending_anything(engine, "dynamodb")


@pytest.fixture(scope="session")
def streams(engine: Engine) -> Any:
    """A client of streams that sends what it is given, and once."""
    return sending_anything(engine, "dynamodbstreams")


@pytest.fixture
def new_table(dynamodb: Any) -> Iterator[NewTable]:
    """Makes tables that are deleted when the test ends."""
    made: list[str] = []

    def make(**settings: Any) -> str:
        name = f"t-{uuid.uuid4().hex[:12]}"
        dynamodb.create_table(**table_request(name, **settings))
        made.append(name)
        dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
        return name

    yield make
    for name in made:
        with contextlib.suppress(dynamodb.exceptions.ResourceNotFoundException):
            dynamodb.delete_table(TableName=name)
