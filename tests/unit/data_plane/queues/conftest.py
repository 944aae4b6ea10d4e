"""A real service process, for all tests that speak to it over a socket."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from harness.lambda_service.bootstrap import PARENT_VARIABLE


@pytest.fixture(scope="session")
def service_url() -> Iterator[str]:
    """The endpoint of a service with at most 12 messages in flight per queue."""
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.data_plane.queues", "--in-flight", "12"],
        stdout=subprocess.PIPE,
        env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        assert process.poll() is None, "the service died during the tests"
    finally:
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture(scope="session")
def sqs(service_url: str) -> Any:
    return boto3.client(
        "sqs",
        endpoint_url=service_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


@pytest.fixture
def new_queue(sqs: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """Make queues that are deleted afterwards; names are the test's with a number."""
    made: list[str] = []

    def make(suffix: str = "", **attributes: Any) -> str:
        fifo = attributes.get("FifoQueue") == "true"
        stem = "".join(c if c.isalnum() else "-" for c in request.node.name)[:60]
        name = f"{stem}-{len(made)}{suffix}{'.fifo' if fifo else ''}"
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in attributes.items()}
        made.append(sqs.create_queue(QueueName=name, Attributes=texts)["QueueUrl"])
        return made[-1]

    yield make
    for url in made:
        with contextlib.suppress(sqs.exceptions.QueueDoesNotExist):
            sqs.delete_queue(QueueUrl=url)
