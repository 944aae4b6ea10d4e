"""The compose files themselves, with and without the Docker socket: up, upload, audit, failures, down, nothing left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from harness.errors import ExitCode
from tests.docker.conftest import Project, brought_up

SOCKET = Project("ingestion-harness-test", ("docker-compose.yml",))
NO_SOCKET = Project("ingestion-harness-test-data", ("docker-compose.yml", "docker-compose.nosocket.yml"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", params=[SOCKET, NO_SOCKET], ids=["socket", "nosocket"])
def up(docker_answers: None, request: pytest.FixtureRequest) -> Iterator[Project]:
    yield from brought_up(request.param)


def mounts() -> dict[str, list[str]]:
    """Return every container's mounts from this machine, by the container's name."""
    client = docker.from_env()
    try:
        return {c.name: [m.get("Source", "") for m in c.attrs["Mounts"]] for c in client.containers.list(all=True)}
    finally:
        client.close()


def test_run_when_the_stack_is_up_ends_conserved_twice_on_the_same_stack(up: Project) -> None:
    for _ in range(2):
        done = up.compose("run", "--rm", "harness", "run", "--rows", "2000", "--poison", "0.002", "--no-baseline")
        assert done.returncode == 0, done.stdout[-3000:]
        assert "conserved: 2,000 in" in done.stdout


def test_socket_when_the_stack_is_up_is_where_the_files_say(up: Project) -> None:
    holders = {name for name, sources in mounts().items() if up.name in name and "/var/run/docker.sock" in sources}
    assert holders == ({f"{up.name}-localstack-1"} if up is SOCKET else set())
    functions = [name for name in up.left() if "-lambda-ingestion-" in name]
    assert bool(functions) == (up is SOCKET), functions


def test_results_and_dead_letters_when_runs_are_over_can_be_looked_at(up: Project, tmp_path: Path) -> None:
    listed = up.compose("run", "--rm", "harness", "dlq", "list")
    assert listed.returncode == 0, listed.stdout[-3000:]
    assert "process" in listed.stdout
    copied = up.compose("cp", "locust:/app/runs", str(tmp_path / "runs"))
    assert copied.returncode == 0, copied.stdout
    assert list((tmp_path / "runs").glob("2*/result.json"))


def test_locust_when_run_headless_uploads_and_counts(up: Project) -> None:
    arguments = ["--headless", "-u", "2", "--seconds", "5", "--rate", "60", "--rows", "20", "--only-summary"]
    done = up.compose("run", "--rm", "--no-deps", "locust", *arguments)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "PutObject" in done.stdout


def test_down_when_all_is_done_leaves_nothing(up: Project) -> None:
    assert up.left()
    done = up.compose("down", "-v")
    assert done.returncode == 0, done.stdout
    assert up.left() == []


def test_run_when_a_service_is_killed_ends_with_an_error_and_down_still_leaves_nothing(up: Project) -> None:
    victim = "localstack" if up is SOCKET else "lambda"
    assert up.compose("up", "-d", "--wait").returncode == 0
    run = up.start("run", "--rm", "harness", "run", "--rows", "20000", "--no-baseline")
    try:
        assert run.stdout is not None
        for line in run.stdout:
            if "clean 1" in line:
                break
        up.compose("kill", victim)
        began = time.monotonic()
        said, _ = run.communicate(timeout=180)
        assert run.returncode == ExitCode.ENVIRONMENT, said[-3000:]
        assert ("no longer answers" if up is SOCKET else "does not answer") in said
        assert time.monotonic() - began < 120
    finally:
        run.kill()
    # A killed LocalStack cannot remove its functions' containers: they carry the name of a service of the file.
    done = up.compose("--profile", "functions", "down", "-v")
    assert done.returncode == 0, done.stdout
    assert up.left() == []
