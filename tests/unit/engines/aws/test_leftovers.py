"""What deployments left, found by their tag and removed."""

from __future__ import annotations

from typing import Any

import pytest

from harness.engines.aws import find_leftovers, remove_leftovers
from harness.engines.aws.teardown import Resource, Teardown
from harness.errors import EngineError
from tests.unit.engines.aws.support import NO_STACK, FakeAccount, refusal

TAGS = [{"Key": "harness:deployment", "Value": "d1"}]


def tagged(*arns: str) -> dict[str, Any]:
    return {"get_resources": [{"ResourceTagMappingList": [{"ResourceARN": arn, "Tags": TAGS} for arn in arns]}]}


def account(*arns: str, stacks: list[dict[str, Any]] | None = None) -> FakeAccount:
    made = FakeAccount()
    made.clients.script("resourcegroupstaggingapi", tagged(*arns))
    made.clients.script("cloudformation", {"describe_stacks": [{"Stacks": stacks or []}]}, describe_stacks=[NO_STACK])
    made.clients.script("s3", get_bucket_tagging=[refusal("NoSuchBucket")])
    made.clients.script("sqs", get_queue_url=[{"QueueUrl": "https://sqs/q"}])
    return made


def find(made: FakeAccount) -> list[tuple[str, str]]:
    found = find_leftovers(made, made.identify(), "ingestion")  # type: ignore[arg-type]
    return [(str(one.resource), one.deployment) for one in found]


def test_find_knows_resources_of_every_kind_by_their_arn() -> None:
    found = find(
        account(
            "arn:aws:s3:::ingestion-uploads-1",
            "arn:aws:dynamodb:eu-central-1:1:table/ingestion-T",
            "arn:aws:logs:eu-central-1:1:log-group:/aws/lambda/ingestion-clean:*",
            "arn:aws:sqs:eu-central-1:1:ingestion-Q",
            "arn:aws:lambda:eu-central-1:1:function:ingestion-clean",
            "arn:aws:cloudformation:eu-central-1:1:stack/ingestion/1234",
            "arn:aws:lambda:eu-central-1:1:event-source-mapping:1",
        )
    )
    assert found == [
        ("CloudFormation::Stack ingestion", "d1"),
        ("DynamoDB::Table ingestion-T", "d1"),
        ("Lambda::Function ingestion-clean", "d1"),
        ("Logs::LogGroup /aws/lambda/ingestion-clean", "d1"),
        ("S3::Bucket ingestion-uploads-1", "d1"),
        ("SQS::Queue https://sqs/q", "d1"),
        ("lambda 1", "d1"),
    ]


def test_find_asks_cloudformation_and_s3_themselves_and_tells_nothing_twice() -> None:
    stacks: list[dict[str, Any]] = [
        {"StackName": "ingestion", "StackStatus": "CREATE_COMPLETE", "Tags": TAGS},
        {"StackName": "another", "StackStatus": "CREATE_COMPLETE", "Tags": []},
        {"StackName": "gone", "StackStatus": "DELETE_COMPLETE", "Tags": TAGS},
    ]
    made = account("arn:aws:cloudformation:eu-central-1:1:stack/ingestion/1234", stacks=stacks)
    made.clients.script("s3", get_bucket_tagging=[{"TagSet": TAGS}])
    assert find(made) == [
        ("CloudFormation::Stack ingestion", "d1"),
        ("S3::Bucket ingestion-code-123456789012-eu-central-1", "d1"),
    ]


def test_find_leaves_buckets_without_the_tag_alone() -> None:
    made = account()
    made.clients.script("s3", get_bucket_tagging=[{"TagSet": [{"Key": "other", "Value": "x"}]}])
    assert find(made) == []


def test_find_when_it_is_refused_says_so() -> None:
    made = account()
    made.clients.script("resourcegroupstaggingapi", {"get_resources": refusal("AccessDeniedException")})
    with pytest.raises(EngineError, match="in 123456789012 cannot be looked for") as caught:
        find(made)
    assert "docs/aws.md" in caught.value.hint


def test_remove_takes_stacks_first_and_skips_what_goes_with_them() -> None:
    made = account(
        "arn:aws:s3:::ingestion-uploads-1",
        "arn:aws:lambda:eu-central-1:1:event-source-mapping:1",
        "arn:aws:cloudformation:eu-central-1:1:stack/ingestion/1234",
    )
    found = find_leftovers(made, made.identify(), "ingestion")  # type: ignore[arg-type]
    down = remove_leftovers(made, found, Teardown(made.clients, pause=0.0))  # type: ignore[arg-type]
    assert not down.left
    assert [n for n in made.clients.names() if n.startswith("delete")] == ["delete_stack", "delete_bucket"]


def test_remove_tells_what_could_not_be_removed() -> None:
    made = account("arn:aws:logs:eu-central-1:1:log-group:g")
    made.clients.script("logs", delete_log_group=[refusal("AccessDeniedException")])
    found = find_leftovers(made, made.identify(), "ingestion")  # type: ignore[arg-type]
    down = remove_leftovers(made, found, Teardown(made.clients, pause=0.0))  # type: ignore[arg-type]
    assert list(down.left) == [Resource("AWS::Logs::LogGroup", "g")]
