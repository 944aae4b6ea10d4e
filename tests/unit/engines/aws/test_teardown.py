"""Taking a deployment down: what goes, in which order, and what is told of the rest."""

from __future__ import annotations

from typing import Any

from harness.engines.aws.teardown import Resource, Teardown
from tests.unit.engines.aws.support import NO_STACK, Clients, refusal

GONE = refusal("ResourceNotFoundException")
BUCKET, TABLE = Resource("AWS::S3::Bucket", "b"), Resource("AWS::DynamoDB::Table", "t")


def teardown(clients: Clients, seconds: float = 5.0) -> Teardown:
    return Teardown(clients, seconds=seconds, pause=0.0)  # type: ignore[arg-type]


def summaries(*resources: Resource) -> dict[str, Any]:
    found = [{"ResourceType": r.kind, "PhysicalResourceId": r.name} for r in resources]
    return {"list_stack_resources": [{"StackResourceSummaries": [*found, {"ResourceType": "AWS::IAM::Role"}]}]}


def clients_with(*resources: Resource) -> Clients:
    clients = Clients()
    clients.script("cloudformation", summaries(*resources), describe_stacks=[NO_STACK])
    clients.script("dynamodb", describe_table=[{"Table": {"TableStatus": "ACTIVE"}}, GONE])
    return clients


def test_stack_goes_first_and_then_what_it_retained() -> None:
    clients = clients_with(BUCKET, TABLE, Resource("AWS::Logs::LogGroup", "g"), Resource("AWS::SQS::Queue", "q"))
    down = teardown(clients)
    down.stack("ingestion")
    assert not down.left
    order = [n for n in clients.names() if n.startswith("delete")]
    assert order == ["delete_stack", "delete_bucket", "delete_table", "delete_log_group", "delete_queue"]


def test_bucket_is_emptied_of_all_versions_and_markers_before_it_goes() -> None:
    clients = clients_with()
    versions = [{"Key": f"k{n}", "VersionId": "1"} for n in range(1500)]
    page = {"Versions": versions, "DeleteMarkers": [{"Key": "m", "VersionId": "2"}]}
    clients.script("s3", {"list_object_versions": [page, {}]})
    teardown(clients).resources([BUCKET])
    sent = [given["Delete"]["Objects"] for name, given in clients.calls if name == "delete_objects"]
    assert [len(keys) for keys in sent] == [1000, 501]
    assert {"Key": "m", "VersionId": "2"} in sent[1]
    assert clients.names()[-1] == "delete_bucket"


def test_bucket_whose_objects_are_refused_is_left_and_named_and_the_rest_goes_on() -> None:
    clients = clients_with()
    clients.script(
        "s3",
        {"list_object_versions": [{"Versions": [{"Key": "k", "VersionId": "1"}]}]},
        delete_objects=[{"Errors": [{"Key": "k", "Code": "AccessDenied", "Message": "no"}]}],
    )
    down = teardown(clients)
    down.resources([BUCKET, TABLE])
    assert down.left == {BUCKET: "object k: AccessDenied no"}
    assert "delete_bucket" not in clients.names() and "delete_table" in clients.names()


def test_what_is_gone_already_is_no_failure() -> None:
    clients = clients_with()
    clients.script("cloudformation", {"list_stack_resources": NO_STACK}, describe_stacks=[NO_STACK])
    clients.script("s3", {"list_object_versions": refusal("NoSuchBucket")})
    clients.script("sqs", delete_queue=[refusal("AWS.SimpleQueueService.NonExistentQueue")])
    down = teardown(clients)
    down.stack("ingestion")
    down.resources([BUCKET, Resource("AWS::SQS::Queue", "q")])
    assert not down.left


def test_table_that_is_being_made_is_asked_until_it_can_go() -> None:
    clients = clients_with()
    active, deleting = {"Table": {"TableStatus": "ACTIVE"}}, {"Table": {"TableStatus": "DELETING"}}
    clients.script(
        "dynamodb",
        describe_table=[active, active, deleting, GONE],
        delete_table=[refusal("ResourceInUseException"), {}],
    )
    down = teardown(clients)
    down.resources([TABLE])
    assert not down.left
    assert clients.names().count("delete_table") == 2


def test_stack_that_cannot_be_deleted_is_named_and_its_data_goes_all_the_same() -> None:
    clients = clients_with(BUCKET)
    failed = {"Stacks": [{"StackStatus": "DELETE_FAILED", "StackStatusReason": "role in use"}]}
    clients.script("cloudformation", summaries(BUCKET), describe_stacks=[failed])
    down = teardown(clients)
    down.stack("ingestion")
    assert [str(resource) for resource in down.left] == ["CloudFormation::Stack ingestion"]
    assert "role in use" in next(iter(down.left.values()))
    assert "delete_bucket" in clients.names()


def test_stack_that_takes_too_long_is_left() -> None:
    clients = Clients()
    going = {"Stacks": [{"StackStatus": "DELETE_IN_PROGRESS"}]}
    clients.script("cloudformation", summaries(), describe_stacks=[going])
    down = teardown(clients, seconds=0.0)
    down.stack("ingestion")
    assert "took longer" in next(iter(down.left.values()))
