"""What deployments of this project left in an account, found by their tag."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.engines.aws.account import Account
from harness.engines.aws.teardown import REMOVABLE, Resource, Teardown

TAG = "harness:deployment"
"""Tag of the stack, which CloudFormation gives to all that it makes, and of the package's bucket."""

_SERVICES = {
    ("cloudformation", "stack"): "AWS::CloudFormation::Stack",
    ("s3", ""): "AWS::S3::Bucket",
    ("dynamodb", "table"): "AWS::DynamoDB::Table",
    ("logs", "log-group"): "AWS::Logs::LogGroup",
    ("sqs", ""): "AWS::SQS::Queue",
    ("lambda", "function"): "AWS::Lambda::Function",
}


@dataclass(frozen=True)
class Leftover:
    """A resource with the tag, and the deployment that the tag names."""

    resource: Resource
    deployment: str

    @property
    def removable(self) -> bool:
        """Whether `remove_leftovers` knows how; what it does not goes with its stack."""
        return self.resource.kind in REMOVABLE


def find_leftovers(account: Account) -> list[Leftover]:
    """Return everything in account and region that has the tag: stacks first, then what they left.

    By the Resource Groups Tagging API, which knows all but IAM's roles: a role is never retained, and goes with its
    stack. Raises botocore's errors.
    """
    tagging = account.clients.get("resourcegroupstaggingapi")
    found = []
    for page in tagging.get_paginator("get_resources").paginate(TagFilters=[{"Key": TAG}]):
        for entry in page["ResourceTagMappingList"]:
            tags = {tag["Key"]: tag["Value"] for tag in entry["Tags"]}
            found.append(Leftover(_resource(account, entry["ResourceARN"]), tags[TAG]))
    return sorted(found, key=lambda one: (one.resource.kind != "AWS::CloudFormation::Stack", str(one.resource)))


def remove_leftovers(account: Account, leftovers: Iterable[Leftover], teardown: Teardown | None = None) -> Teardown:
    """Remove leftovers, stacks with all that they made first; what could not be removed is in the result's `left`."""
    teardown = teardown or Teardown(account.clients)
    given = list(leftovers)
    stacks = [one.resource.name for one in given if one.resource.kind == "AWS::CloudFormation::Stack"]
    for name in stacks:
        teardown.stack(name)
    rest: Sequence[Resource] = [
        one.resource for one in given if one.removable and one.resource.kind != "AWS::CloudFormation::Stack"
    ]
    teardown.resources(rest)
    return teardown


def _resource(account: Account, arn: str) -> Resource:
    """Return the resource that an ARN names; of a kind that is not removed here its service's name."""
    _, _, service, _, owner, path = arn.split(":", 5)
    kind, _, name = path.replace(":", "/", 1).partition("/") if service not in ("s3", "sqs") else ("", "", path)
    known = _SERVICES.get((service, kind), service)
    if service == "cloudformation":
        name = name.partition("/")[0]
    if service == "sqs":
        name = str(account.clients.get("sqs").get_queue_url(QueueName=path, QueueOwnerAWSAccountId=owner)["QueueUrl"])
    return Resource(known, name.removesuffix(":*"))
