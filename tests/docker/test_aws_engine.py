"""Engine aws against LocalStack, whose own Lambda runs the functions: whole runs, audited, with nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import docker
import pytest

from harness.load.locust_process import free_port
from tests.docker.conftest import ENVIRONMENT, ROOT, Project

pytestmark = pytest.mark.usefixtures("docker_answers")

URL = f"http://127.0.0.1:{ENVIRONMENT['LOCALSTACK_PORT']}"
REGION = "us-east-1"


@pytest.fixture(scope="module")
def localstack(docker_answers: None) -> Iterator[Project]:
    """LocalStack alone: nothing is deployed to it by compose."""
    project = Project("harness-test-aws", ("docker-compose.yml",))
    project.compose("--profile", "functions", "down", "-v", "--remove-orphans")
    started = project.compose("up", "-d", "--wait", "localstack")
    try:
        assert started.returncode == 0, started.stdout[-3000:]
        yield project
    finally:
        project.compose("--profile", "functions", "down", "-v", "--remove-orphans")


def client(service: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=URL,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def left() -> list[str]:
    functions = client("lambda")
    return [
        *(b["Name"] for b in client("s3").list_buckets()["Buckets"]),
        *client("dynamodb").list_tables()["TableNames"],
        *client("sqs").list_queues().get("QueueUrls", []),
        *(g["logGroupName"] for g in client("logs").describe_log_groups()["logGroups"]),
        *(f["FunctionName"] for f in functions.list_functions()["Functions"]),
        *(m["UUID"] for m in functions.list_event_source_mappings()["EventSourceMappings"]),
        *(r["RoleName"] for r in client("iam").list_roles()["Roles"]),
    ]


def harness(*arguments: str) -> tuple[int, str]:
    variables = {"AWS_ENDPOINT_URL": URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables, "AWS_REGION": REGION},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    return done.returncode, done.stdout


def test_run_accounts_for_every_row_as_a_local_run_does_and_leaves_nothing(localstack: Project, tmp_path: Path) -> None:
    rows = ("--rows", "2000", "--poison", "0.005", "-p", "RetryDelaySeconds=1", "--no-baseline")
    code, output = harness("run", "--engine", "aws", "--yes", *rows, "--out", str(tmp_path / "aws"))
    assert code == 0 and "audit      conserved: 2,000 in" in output, output
    assert left() == []
    code, output = harness("run", *rows, "--out", str(tmp_path / "local"))
    assert code == 0, output
    places = [str(tmp_path / name / "latest") for name in ("aws", "local")]
    code, output = harness("compare", *places, "--across-engines")
    assert code == 0 and "the same rows ended in the same places" in output, output


def test_load_uploads_by_locust_with_the_accounts_credentials_and_leaves_nothing(
    localstack: Project, tmp_path: Path
) -> None:
    given = ("--seconds", "8", "--rate", "100", "--processes", "1", "--out", str(tmp_path))
    code, output = harness("bench", "load", "--engine", "aws", "--yes", *given)
    assert code == 0 and "audit      conserved" in output, output
    assert left() == []


def test_load_with_locust_workers_on_other_hosts_uploads_every_file_and_leaves_nothing(
    localstack: Project, tmp_path: Path
) -> None:
    docker_client = docker.from_env()
    try:
        network = docker_client.networks.get(f"{localstack.name}_default")
        master = network.attrs["IPAM"]["Config"][0]["Gateway"]
    finally:
        docker_client.close()
    port = str(free_port(master))
    built = localstack.compose("build", "locust")
    assert built.returncode == 0, built.stdout[-3000:]
    # Containers with network namespaces of their own, which know the master by its address alone.
    run = ("run", "--rm", "--no-deps", "-T", "-e", "AWS_ENDPOINT_URL=http://localstack:4566", "locust")
    workers = [localstack.start(*run, "--worker", "--master-host", master, "--master-port", port) for _ in range(2)]
    try:
        given = ("--seconds", "8", "--rate", "100", "--workers", "2", "--out", str(tmp_path))
        address = ("--master-bind-host", master, "--master-bind-port", port)
        code, output = harness("bench", "load", "--engine", "aws", "--yes", *given, *address)
        assert code == 0 and "audit      conserved" in output, output
        said = [worker.communicate(timeout=60)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert all(worker.returncode == 0 for worker in workers), said
    assert left() == []


def test_deploy_that_is_to_stay_is_found_by_doctor_and_removed(localstack: Project) -> None:
    code, output = harness("deploy", "--engine", "aws", "--yes", "--once")
    assert code == 0 and "doctor --engine aws --remove" in output, output
    code, output = harness("dlq", "list", "--engine", "aws")
    assert code == 0 and "update" in output, output
    assert harness("doctor", "--engine", "aws")[0] == 5
    assert harness("doctor", "--engine", "aws", "--remove", "--yes")[0] == 0
    assert left() == []
