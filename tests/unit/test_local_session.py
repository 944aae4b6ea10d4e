"""Sessions for engines on this machine: blind to its variables and files."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ProfileNotFound

from handlers.aws import AwsError, JsonClient
from harness.engines.base import Deployment, Endpoints
from harness.engines.clients import Clients
from harness.engines.local_session import local_session
from harness.lambda_service.aws import AwsCallError, AwsClient
from harness.session import Session
from tests import hostile


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[hostile.Listener]:
    """A hostile machine; gives the listener that its proxies and endpoints lead to."""
    with hostile.listener() as listener:
        hostile.make_home(tmp_path / "home", listener.url)
        for name, value in hostile.variables(tmp_path / "home", listener.url).items():
            monkeypatch.setenv(name, value)
        yield listener


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that nobody answers are tried again at once."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def engine() -> Iterator[hostile.Listener]:
    with hostile.listener() as listener:
        yield listener


CALLS = {
    "s3": "list_buckets",
    "sqs": "list_queues",
    "dynamodb": "list_tables",
    "dynamodbstreams": "list_streams",
    "logs": "describe_log_groups",
    "cloudformation": "list_stacks",
    "lambda": "list_functions",
}


@pytest.mark.parametrize("service", CALLS)
def test_client_when_the_machine_is_hostile_calls_the_engine_and_nobody_else(
    foreign: hostile.Listener, engine: hostile.Listener, service: str
) -> None:
    client = Clients(lambda: Endpoints(engine.url)).get(service)
    with pytest.raises(BotoCoreError):  # it hangs up
        getattr(client, CALLS[service])()
    assert engine.connections
    assert foreign.connections == []
    assert client.meta.region_name == "us-east-1"
    assert client.meta.endpoint_url == engine.url


def test_session_when_the_machine_is_hostile_has_the_emulators_credentials_and_no_profile(
    foreign: hostile.Listener,
) -> None:
    session = local_session("eu-west-1")
    credentials = session.get_credentials()
    assert credentials is not None
    found = credentials.get_frozen_credentials()
    assert (found.access_key, found.secret_key, found.token) == ("test", "test", None)
    assert (session.region_name, session.available_profiles) == ("eu-west-1", [])


def test_json_client_when_the_machine_is_hostile_calls_the_engine(
    foreign: hostile.Listener, engine: hostile.Listener
) -> None:
    client = JsonClient("sqs", local_session("us-east-1"), engine.url)
    with pytest.raises(AwsError, match="ConnectionError"):
        client.call("ListQueues", "{}", deadline=0.0)
    assert engine.connections
    assert foreign.connections == []


def test_lambda_service_client_when_the_machine_is_hostile_calls_the_engine(
    foreign: hostile.Listener, engine: hostile.Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AwsClient, "MAX_ATTEMPTS", 1)

    async def call() -> None:
        async with AwsClient({"default": engine.url}, "us-east-1", Credentials("test", "test")) as client:
            await client.call("sqs", "ListQueues", {})

    with pytest.raises(AwsCallError, match="ConnectionError"):
        asyncio.run(call())
    assert engine.connections
    assert foreign.connections == []


def test_dlq_session_when_the_machine_is_hostile_calls_the_engine(
    foreign: hostile.Listener, engine: hostile.Listener
) -> None:
    with pytest.raises(BotoCoreError):
        Session(engine.url, "us-east-1", Deployment("s", {}, {})).client("sqs").list_queues()
    assert engine.connections
    assert foreign.connections == []


def test_clients_when_given_another_session_use_what_that_one_reads(
    foreign: hostile.Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way to real AWS stays open: a session of boto3's own heeds the user's profile, which is missing here."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with pytest.raises(ProfileNotFound):
        Clients(lambda: Endpoints("http://127.0.0.1:9"), lambda region: boto3.Session(region_name=region)).get("sqs")


_LOAD_TEST = """
import locust
from loadtests import uploads
client = uploads.make_s3_client()
try:
    client.list_buckets()
except Exception as error:
    print(type(error).__name__, client.meta.region_name, client.meta.endpoint_url)
"""


def test_load_test_client_when_the_machine_is_hostile_calls_what_aws_endpoint_url_says(
    foreign: hostile.Listener, engine: hostile.Listener
) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _LOAD_TEST],
        # gevent and Locust, started by hand, take their own options from the user.
        env={k: v for k, v in os.environ.items() if not k.startswith(("LOCUST_", "GEVENT_"))}
        | {"AWS_ENDPOINT_URL": engine.url, "PYTHONPATH": str(root), "SSLKEYLOGFILE": ""},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout.split() == ["ConnectionClosedError", "us-east-1", engine.url]
    assert engine.connections
    assert foreign.connections == []
