"""Engine aws against MiniStack, which knows nothing of this project: everything that was made goes, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from harness.engines.aws import Account, AccountOptions, AwsEngine
from harness.engines.embedded.processes import start_data_services
from harness.errors import EngineError
from tests.contract.support import eventually
from tests.processes import heed_interrupts

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "handlers" / "template.yaml"
REGION = "eu-central-1"
FAILING = """
Parameters:
  CodeBucket: {Type: String}
  CodeKey: {Type: String}
Resources:
  Kept:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    Properties: {BucketName: !Sub "${AWS::StackName}-kept"}
  Unknown:
    Type: AWS::Nothing::Known
    DependsOn: Kept
"""


class Cloud:
    """A MiniStack, and what is in it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def left(self) -> list[str]:
        """Return everything that is there."""
        functions, iam = self.client("lambda"), self.client("iam")
        stacks = self.client("cloudformation").list_stacks()["StackSummaries"]
        return [
            *(b["Name"] for b in self.client("s3").list_buckets()["Buckets"]),
            *self.client("dynamodb").list_tables()["TableNames"],
            *self.client("sqs").list_queues().get("QueueUrls", []),
            *(g["logGroupName"] for g in self.client("logs").describe_log_groups()["logGroups"]),
            *(f["FunctionName"] for f in functions.list_functions()["Functions"]),
            *(m["UUID"] for m in functions.list_event_source_mappings()["EventSourceMappings"]),
            *(r["RoleName"] for r in iam.list_roles()["Roles"]),
            *(s["StackName"] for s in stacks if s["StackStatus"] != "DELETE_COMPLETE"),
        ]

    def harness(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command on engine aws."""
        variables = {"AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        return subprocess.Popen(
            [sys.executable, "-m", "harness", *arguments, "--engine", "aws", "--region", REGION],
            cwd=ROOT,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=heed_interrupts,  # noqa: PLW1509  no threads here
        )

    def done(self, *arguments: str) -> tuple[int, str]:
        """Run a command on engine aws to its end."""
        process = self.harness(*arguments)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    (tmp_path / "pids").mkdir()
    child, url = start_data_services(tmp_path)
    for name, value in (("ENDPOINT_URL", url), ("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test")):
        monkeypatch.setenv(f"AWS_{name}", value)
    try:
        yield Cloud(url)
    finally:
        child.stop()


def engine() -> AwsEngine:
    return AwsEngine(Account(AccountOptions(region=REGION)), "d1", poll_seconds=0.2)


def test_engine_when_it_stops_leaves_nothing_not_even_what_the_template_retains(cloud: Cloud) -> None:
    with engine() as started:
        outputs = started.deploy(TEMPLATE, {"RowsPerMessage": "1"}, stack_name="ingestion").outputs
        s3, bucket = started.client("s3"), outputs["UploadBucket"]
        for body in (b"one", b"two"):
            s3.put_object(Bucket=bucket, Key="a.txt", Body=body)
        s3.delete_object(Bucket=bucket, Key="a.txt")
        started.client("dynamodb").put_item(TableName=outputs["RecordsTable"], Item={"record_id": {"S": "1"}})
        assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2
        assert len(cloud.left()) > 20
    assert cloud.left() == []


def test_engine_when_the_stack_fails_says_why_and_leaves_nothing(cloud: Cloud, tmp_path: Path) -> None:
    template = tmp_path / "failing.yaml"
    template.write_text(FAILING)
    with engine() as started, pytest.raises(EngineError, match="stack ingestion was not created"):
        started.deploy(template, {}, stack_name="ingestion")
    assert cloud.left() == []


def test_engine_when_a_stack_of_that_name_is_there_leaves_it_untouched(cloud: Cloud, tmp_path: Path) -> None:
    body = "Resources: {Q: {Type: 'AWS::SQS::Queue'}}"
    cloud.client("cloudformation").create_stack(StackName="ingestion", TemplateBody=body)
    before = cloud.left()
    code, output = cloud.done("run", "--rows", "10", "--yes", "--out", str(tmp_path / "runs"))
    assert code == 5 and "is in eu-central-1 already" in output, output
    assert cloud.left() == before


def test_deploy_when_interrupted_takes_everything_down(cloud: Cloud) -> None:
    process = cloud.harness("deploy", "--yes")
    try:
        eventually("the stack", lambda: "ingestion" in cloud.left())
        # In the middle of it, or a moment later, while it waits: both end alike.
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode in (0, 130), output
    assert cloud.left() == []


def test_doctor_when_a_deployment_was_killed_finds_and_removes_what_it_left(cloud: Cloud) -> None:
    process = cloud.harness("deploy", "--yes")
    try:
        eventually("the function that is made last", lambda: "ingestion-update" in cloud.left())
    finally:
        process.kill()
        process.communicate()
    code, output = cloud.done("doctor")
    assert code == 5 and "left       CloudFormation::Stack ingestion" in output, output
    code, output = cloud.done("doctor", "--remove")
    assert code == 2 and "--yes" in output, output
    code, output = cloud.done("doctor", "--remove", "--yes")
    assert code == 0, output
    assert cloud.left() == []
    assert cloud.done("doctor")[0] == 0


def test_run_when_it_costs_too_much_or_nobody_can_be_asked_makes_nothing(cloud: Cloud) -> None:
    for given in (["--max-usd", "0.0001", "--yes"], []):
        code, output = cloud.done("run", "--rows", "100", *given)
        assert code == 2, output
    assert cloud.left() == []
