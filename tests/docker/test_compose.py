"""The compose file itself: up, upload, audit, failures, down, nothing left."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from harness.errors import ExitCode

ROOT = Path(__file__).parents[2]
PROJECT = "ingestion-harness-test"
ENVIRONMENT = {**os.environ, "LOCALSTACK_PORT": "14566", "LOCUST_PORT": "18089"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def compose(*arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "compose", "-p", PROJECT, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )


def left() -> list[str]:
    """Return what of the project is there: containers (those of functions too), networks, volumes."""
    client = docker.from_env()
    try:
        found = [
            *client.containers.list(all=True),
            *client.networks.list(),
            *client.volumes.list(),
        ]
        return [thing.name for thing in found if PROJECT in thing.name]
    finally:
        client.close()


@pytest.fixture(scope="module")
def up() -> Iterator[None]:
    try:
        docker.from_env().ping()
    except DockerException as error:
        pytest.skip(f"Docker does not answer: {error}")
    compose("down", "-v", "--remove-orphans")
    started = compose("up", "-d", "--wait", "--build")
    try:
        assert started.returncode == 0, started.stdout[-3000:] + compose("logs", "--tail", "40").stdout
        yield
    finally:
        compose("down", "-v", "--remove-orphans")
        for container in docker.from_env().containers.list(all=True, filters={"name": f"{PROJECT}-localstack"}):
            container.remove(force=True)


def test_run_when_the_stack_is_up_ends_conserved_twice_on_the_same_stack(up: None) -> None:
    for _ in range(2):
        done = compose("run", "--rm", "harness", "run", "--rows", "2000", "--poison", "0.002", "--no-ceiling")
        assert done.returncode == 0, done.stdout[-3000:]
        assert "conserved: 2,000 in" in done.stdout


def test_results_and_dead_letters_when_runs_are_over_can_be_looked_at(up: None, tmp_path: Path) -> None:
    listed = compose("run", "--rm", "harness", "dlq", "list")
    assert listed.returncode == 0, listed.stdout[-3000:]
    assert "process" in listed.stdout
    copied = compose("cp", "locust:/app/runs", str(tmp_path / "runs"))
    assert copied.returncode == 0, copied.stdout
    assert list((tmp_path / "runs").glob("2*/result.json"))


def test_locust_when_run_headless_uploads_and_counts(up: None) -> None:
    arguments = ["--headless", "-u", "2", "-r", "2", "-t", "5s", "--rows", "20", "--only-summary"]
    done = compose("run", "--rm", "--no-deps", "locust", *arguments)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "PutObject" in done.stdout


def test_down_when_all_is_done_leaves_nothing(up: None) -> None:
    assert left()
    done = compose("down", "-v", "--remove-orphans")
    assert done.returncode == 0, done.stdout
    assert left() == []


def test_run_when_localstack_is_killed_ends_with_an_error_and_not_a_hang(up: None) -> None:
    # Last: a killed LocalStack cannot remove its functions' containers (docs/localstack.md).
    assert compose("up", "-d", "--wait").returncode == 0
    run = subprocess.Popen(
        ["docker", "compose", "-p", PROJECT, "run", "--rm", "harness", "run", "--rows", "20000", "--no-ceiling"],
        cwd=ROOT,
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert run.stdout is not None
        for line in run.stdout:
            if "clean 1" in line:
                break
        compose("kill", "localstack")
        began = time.monotonic()
        said, _ = run.communicate(timeout=180)
        assert run.returncode == ExitCode.ENVIRONMENT, said[-3000:]
        assert "no longer answers" in said
        assert time.monotonic() - began < 120
    finally:
        run.kill()
