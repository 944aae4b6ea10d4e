"""The engine in an account: what it leaves alone, what it makes, and that it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.engines import stacks
from harness.engines.aws import AwsEngine, deployed
from harness.errors import EngineError
from tests.unit.engines.aws.support import NO_STACK, FakeAccount, refusal

ROOT = Path(__file__).resolve().parents[4]
TEMPLATE = ROOT / "handlers" / "template.yaml"
NO_BUCKET = refusal("404", "HeadBucket")
OURS = {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "Tags": [{"Key": "harness:deployment", "Value": "d1"}]}]}


def _package(_code: object, target: Path) -> Path:
    target.write_bytes(b"zip")
    return target


class World:
    """An account without stack and buckets, and an engine in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.account = FakeAccount()
        self.clients = self.account.clients
        self.clients.script("s3", head_bucket=[NO_BUCKET])
        self.clients.script("cloudformation", describe_stacks=[NO_STACK, OURS, OURS, NO_STACK])
        self.created: list[dict[str, Any]] = []
        self.failure: BaseException | None = None
        monkeypatch.setattr(stacks, "create_stack", self._create)
        monkeypatch.setattr(stacks, "build_package", _package)
        self.engine = AwsEngine(self.account, "d1", poll_seconds=0.0, **options)  # type: ignore[arg-type]

    def _create(self, _clients: Any, name: str, body: str, parameters: Any, **given: Any) -> dict[str, str]:
        self.created.append({"name": name, "parameters": dict(parameters), **given})
        if self.failure is not None:
            raise self.failure
        return {"UploadBucket": "u"}

    def deploy(self) -> Any:
        return self.engine.deploy(TEMPLATE, {"RowsPerMessage": "1"}, stack_name="ingestion")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_deploy_tags_all_and_keeps_the_package_private(world: World) -> None:
    found = world.deploy()
    assert found.outputs == {"UploadBucket": "u"} and found.parameters == {"RowsPerMessage": "1"}
    (created,) = world.created
    bucket = "ingestion-code-123456789012-eu-central-1"
    assert created["parameters"] == {"RowsPerMessage": "1", "CodeBucket": bucket, "CodeKey": "package.zip"}
    assert created["tags"] == {"harness:deployment": "d1"}
    calls = dict(world.clients.calls)
    assert calls["create_bucket"]["CreateBucketConfiguration"] == {"LocationConstraint": "eu-central-1"}
    assert calls["put_bucket_tagging"]["Tagging"]["TagSet"] == [{"Key": "harness:deployment", "Value": "d1"}]
    assert all(calls["put_public_access_block"]["PublicAccessBlockConfiguration"].values())


def test_deploy_when_a_stack_of_that_name_is_there_leaves_it_alone(world: World) -> None:
    world.clients.script("cloudformation", describe_stacks=[{"Stacks": [{"StackStatus": "CREATE_COMPLETE"}]}])
    with pytest.raises(EngineError, match="ingestion is in eu-central-1 already") as caught:
        world.deploy()
    assert "doctor --engine aws" in caught.value.hint
    world.engine.stop()
    assert world.clients.names() == ["describe_stacks"]


def test_deploy_when_the_packages_bucket_is_there_leaves_it_alone(world: World) -> None:
    world.clients.script("s3", head_bucket=[{}])
    with pytest.raises(EngineError, match="is there already, and is left alone"):
        world.deploy()
    world.engine.stop()
    assert not [name for name in world.clients.names() if name.startswith(("create", "put", "delete"))]


def test_deploy_when_the_bucket_cannot_be_made_takes_nothing_down_that_it_did_not_make(world: World) -> None:
    world.clients.script("s3", head_bucket=[NO_BUCKET], create_bucket=[refusal("BucketAlreadyExists")])
    with pytest.raises(EngineError, match="was not made"):
        world.deploy()
    world.engine.stop()
    assert not [name for name in world.clients.names() if name.startswith("delete")]


@pytest.mark.parametrize("failure", [EngineError("rolled back"), KeyboardInterrupt()])
def test_stop_after_a_deployment_that_failed_takes_stack_and_package_down(world: World, failure: BaseException) -> None:
    world.failure = failure
    with pytest.raises(type(failure)):
        world.deploy()
    world.engine.stop()
    assert [n for n in world.clients.names() if n.startswith("delete")] == ["delete_stack", "delete_bucket"]


def test_stop_when_the_stack_carries_another_tag_leaves_it(world: World) -> None:
    world.deploy()
    world.clients.script("cloudformation", describe_stacks=[{"Stacks": [{"StackStatus": "X", "Tags": []}]}])
    world.engine.stop()
    assert "delete_stack" not in world.clients.names()


def test_stop_twice_takes_down_once(world: World) -> None:
    with world.engine:
        world.deploy()
    world.engine.stop()
    assert world.clients.names().count("delete_stack") == 1


def test_stop_when_something_stays_names_it_and_the_way_out(world: World) -> None:
    world.deploy()
    world.clients.script("s3", {"list_object_versions": refusal("AccessDenied")})
    with pytest.raises(EngineError, match=r"left in the account: S3::Bucket ingestion-code.*AccessDenied") as caught:
        world.engine.stop()
    assert "--remove" in caught.value.hint


def test_stop_when_interrupted_says_what_is_left(world: World) -> None:
    world.deploy()
    world.clients.script("cloudformation", describe_stacks=[OURS], delete_stack=[KeyboardInterrupt()])
    with pytest.raises(EngineError, match=r"interrupted while taking down.*: ingestion, ingestion-code"):
        world.engine.stop()


def test_stop_when_it_is_to_be_kept_keeps_what_is_complete_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = World(monkeypatch, keep=True)
    kept.deploy()
    kept.engine.stop()
    assert "delete_stack" not in kept.clients.names()
    failed = World(monkeypatch, keep=True)
    failed.failure = EngineError("rolled back")
    with pytest.raises(EngineError):
        failed.deploy()
    failed.engine.stop()
    assert "delete_stack" in failed.clients.names()


def test_deploy_when_the_template_is_too_large_for_a_request_says_so(world: World, tmp_path: Path) -> None:
    template = tmp_path / "t.yaml"
    template.write_text("Description: " + "x" * 60_000 + "\nResources: {}\n")
    with pytest.raises(EngineError, match="CloudFormation takes 51,200"):
        world.engine.deploy(template, {}, stack_name="large")


def test_deployed_gives_what_is_there_or_says_that_nothing_is() -> None:
    account = FakeAccount()
    stack = {
        "Outputs": [{"OutputKey": "A", "OutputValue": "a"}],
        "Parameters": [{"ParameterKey": "P", "ParameterValue": "p"}],
    }
    account.clients.script("cloudformation", describe_stacks=[{"Stacks": [stack]}, NO_STACK])
    found = deployed(account, "ingestion")  # type: ignore[arg-type]
    assert (found.outputs, found.parameters) == ({"A": "a"}, {"P": "p"})
    with pytest.raises(EngineError, match="was not found in eu-central-1"):
        deployed(account, "ingestion")  # type: ignore[arg-type]


def test_what_aws_does_not_tell_is_none(world: World) -> None:
    engine = world.engine
    assert (engine.activity(), engine.consumption(), engine.billed_requests()) == (None, None, None)
    assert not engine.live_counts and engine.report().capacity == "aws"
    assert (dict(engine.processes), dict(engine.mark), list(engine.log_files())) == ({}, {}, [])


def test_stop_when_the_stack_cannot_be_looked_for_takes_the_package_down_all_the_same(world: World) -> None:
    world.deploy()
    world.clients.script("cloudformation", describe_stacks=[refusal("Throttling")])
    with pytest.raises(EngineError, match=r"left in the account: CloudFormation::Stack ingestion: .*Throttling"):
        world.engine.stop()
    assert "delete_stack" not in world.clients.names() and "delete_bucket" in world.clients.names()
