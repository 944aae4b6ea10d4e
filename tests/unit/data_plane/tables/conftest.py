"""The tables' process, started, killed and started again as the tests like."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import boto3
import pytest
from botocore.config import Config

Service = Literal["dynamodb", "dynamodbstreams"]


class Tables:
    """One process at a time, and boto3 clients for it."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.start()

    def start(self) -> None:
        """Start the process and wait until it serves."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness.data_plane.tables", *self.options],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["port"])

    def kill(self) -> None:
        """Kill the process as the kernel does when memory is short."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._close()

    def stop(self) -> int:
        """End the process in good order and return its exit code."""
        self.process.terminate()
        code = self.process.wait(20)
        self._close()
        return code

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()

    def client(self, service: Service = "dynamodb", *, account: str = "test", region: str = "us-east-1") -> Any:
        """Return a boto3 client that does not retry."""
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=region,
            aws_access_key_id=account,
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        )


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    """A process in memory for a module's tests."""
    server = Tables()
    yield server
    if server.process.poll() is None:
        assert server.stop() == 0


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Tables]:
    """A process with a data directory of its own."""
    server = Tables("--data", str(tmp_path / "data"))
    yield server
    if server.process.poll() is None:
        server.kill()


@pytest.fixture
def throttling() -> Iterator[Tables]:
    """A process that enforces capacity."""
    server = Tables("--capacity", "aws")
    yield server
    server.kill()


def table(name: str, *, ranged: bool = False, **settings: Any) -> dict[str, Any]:
    """Return a CreateTable request: key `id`, with `ranged` also `n`, a number."""
    keys = [("id", "HASH", "S"), *([("n", "RANGE", "N")] if ranged else [])]
    return {
        "TableName": name,
        "KeySchema": [{"AttributeName": key, "KeyType": role} for key, role, _ in keys],
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": kind} for key, _, kind in keys],
        "BillingMode": "PAY_PER_REQUEST",
        **settings,
    }


def stream(view: str = "NEW_AND_OLD_IMAGES") -> dict[str, Any]:
    """Return the setting of a table with a stream."""
    return {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}}


def records(tables: Tables, arn: str, limit: int = 1000) -> list[dict[str, Any]]:
    """Read a stream from its beginning, parents before children."""
    streams = tables.client("dynamodbstreams")
    found: list[dict[str, Any]] = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator is not None:
            page = streams.get_records(ShardIterator=iterator, Limit=limit)
            if not page["Records"]:
                break
            found += page["Records"]
            iterator = page.get("NextShardIterator")
    return found
