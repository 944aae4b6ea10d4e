"""Compose projects for the tests, and what is left of them; skipped, with the reason, where Docker does not answer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "LOCALSTACK_PORT": "14566", "LOCALSTACK_DYNAMODB_PORT": "14559", "LOCUST_PORT": "18089"}


@dataclass(frozen=True)
class Project:
    """A compose project: its name and the files it is made of."""

    name: str
    files: tuple[str, ...]

    def command(self, *arguments: str) -> list[str]:
        """Return a docker compose command line."""
        chosen = [word for file in self.files for word in ("-f", file)]
        return ["docker", "compose", "-p", self.name, *chosen, *arguments]

    def compose(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run docker compose to its end; output and errors are one text."""
        return subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=ENVIRONMENT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start docker compose and return at once."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=ROOT,
            env=ENVIRONMENT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def left(self) -> list[str]:
        """Return what of the project is there: containers (those of functions too), networks, volumes."""
        client = docker.from_env()
        try:
            found = [*client.containers.list(all=True), *client.networks.list(), *client.volumes.list()]
            return sorted(thing.name for thing in found if self.name in thing.name)
        finally:
            client.close()


@pytest.fixture(scope="session")
def docker_answers() -> None:
    """Skips where Docker cannot be asked."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"Docker does not answer: {error}")
    client.close()


def brought_up(project: Project) -> Iterator[Project]:
    """Bring a project up, and down again whatever happens."""
    project.compose("--profile", "functions", "down", "-v", "--remove-orphans")
    started = project.compose("up", "-d", "--wait", "--build")
    try:
        assert started.returncode == 0, started.stdout[-3000:] + project.compose("logs", "--tail", "40").stdout
        yield project
    finally:
        project.compose("--profile", "functions", "down", "-v", "--remove-orphans")
