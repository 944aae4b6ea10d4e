"""What is read from Lambda's variables is what boto3 makes of them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import boto3
import pytest

from handlers.access import _LEFT_TO_BOTO3, access_by_boto3, access_in_lambda
from handlers.signing import Keys

LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "access",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
}
SERVICES = ("dynamodb", "sqs")


def both(monkeypatch: pytest.MonkeyPatch, service: str, **more: str) -> list[tuple[str, str, Keys | None] | None]:
    """Return what we and what boto3 say in an environment of these variables and no files."""
    for name in (*LAMBDA, *_LEFT_TO_BOTO3, "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/nonexistent")
    for name, value in (LAMBDA | more).items():
        monkeypatch.setenv(name, value)
    said = access_in_lambda(service), access_by_boto3(service, boto3.Session())
    return [(one.url, one.region, one.keys()) if one else None for one in said]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"AWS_SESSION_TOKEN": ""},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:4567/x"},
        {"AWS_ENDPOINT_URL_DYNAMODB": "https://tables.example"},
        {"AWS_ENDPOINT_URL": ""},
    ],
)
def test_access_in_lambda_is_boto3s(monkeypatch: pytest.MonkeyPatch, service: str, more: dict[str, str]) -> None:
    ours, boto3s = both(monkeypatch, service, **more)
    assert ours == boto3s


@pytest.mark.parametrize("service", SERVICES)
def test_access_in_lambda_in_every_region_is_boto3s_or_left_to_it(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    session = boto3.Session()
    for partition in session.get_available_partitions():
        for region in session.get_available_regions(service, partition):
            variables = LAMBDA | {"AWS_DEFAULT_REGION": region}
            ours = access_in_lambda(service, variables)
            assert (ours is not None) == (partition == "aws"), region
            if ours is not None:
                made: Any = session.client(service, region_name=region)  # type: ignore[call-overload]
                assert ours.url == made.meta.endpoint_url


@pytest.mark.parametrize("name", _LEFT_TO_BOTO3)
def test_access_in_lambda_when_a_variable_changes_boto3s_answer_leaves_it_to_boto3(name: str) -> None:
    assert access_in_lambda("sqs", LAMBDA | {name: "true"}) is None


@pytest.mark.parametrize("name", [n for n in LAMBDA if n not in ("AWS_SESSION_TOKEN", "AWS_REGION")])
def test_access_in_lambda_when_a_variable_is_missing_leaves_it_to_boto3(name: str) -> None:
    assert access_in_lambda("sqs", {k: v for k, v in LAMBDA.items() if k != name}) is None


@pytest.mark.parametrize("stage", ["insert", "capture", "process", "update"])
def test_function_in_lambda_starts_without_boto3(stage: str) -> None:
    code = f"import sys, handlers.{stage}; print('boto3' in sys.modules, 'botocore.session' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=LAMBDA, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["False", "False"]
