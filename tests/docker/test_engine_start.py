"""The engines that start LocalStack themselves, through the Docker SDK, because nothing answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import docker
import pytest

from harness.engines.localstack import container

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ENDPOINT = "http://127.0.0.1:24566"


@pytest.fixture(autouse=True)
def nothing_up(docker_answers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", ENDPOINT)


def there() -> set[str]:
    """Return the engine's containers, those of functions too, and all volumes, which have no telling names."""
    client = docker.from_env()
    try:
        containers = {c.name for c in client.containers.list(all=True) if c.name.startswith(container.NAME)}
        return containers | {volume.name for volume in client.volumes.list()}
    finally:
        client.close()


@pytest.mark.parametrize("engine", ["localstack", "localstack-data"])
def test_run_when_nothing_answers_starts_localstack_ends_conserved_and_leaves_nothing(
    engine: str, tmp_path: Path
) -> None:
    before = there()
    assert not any(name.startswith(container.NAME) for name in before)
    command = [sys.executable, "-m", "harness", "run", "--engine", engine, "--rows", "1000", "--no-baseline"]
    done = subprocess.run([*command, "--out", str(tmp_path)], capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "conserved: 1,000 in" in done.stdout
    assert there() == before
