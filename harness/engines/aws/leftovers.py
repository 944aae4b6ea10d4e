"""What deployments of this project left in an account, found by their tag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from harness.engines.aws.account import Account, Identity
from harness.engines.aws.teardown import REMOVABLE, Resource, Teardown
from harness.errors import EngineError

TAG = "harness:deployment"
"""Tag of the stack, which CloudFormation gives to all that it makes, and of the package's bucket."""

_STACK = "AWS::CloudFormation::Stack"
_SERVICES = {
    ("cloudformation", "stack"): _STACK,
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


def find_leftovers(account: Account, identity: Identity, stack_name: str) -> list[Leftover]:
    """Return everything in account and region that has the tag: stacks first, then what they left.

    CloudFormation is asked for stacks, S3 for the packages of these stacks and of `stack_name`, the Resource Groups
    Tagging API for all else. It knows no roles of IAM: those are never retained, and go with their stack. Raises
    EngineError.
    """
    try:
        found = {one.resource: one for one in _stacks(account)}
        names = {stack_name, *(resource.name for resource in found)}
        for one in (*_package_buckets(account, identity, names), *_tagged(account)):
            found.setdefault(one.resource, one)
    except (BotoCoreError, ClientError) as error:
        raise EngineError(
            f"what is left in {identity.account} cannot be looked for: {error}", hint="docs/aws.md has the policy"
        ) from error
    return sorted(found.values(), key=lambda one: (one.resource.kind != _STACK, str(one.resource)))


def code_bucket(stack_name: str, identity: Identity) -> str:
    """Return the name of the bucket of a stack's package; unique in all of AWS, as it must be."""
    return f"{stack_name}-code-{identity.account}-{identity.region}".lower()


def _stacks(account: Account) -> Iterator[Leftover]:
    for page in account.clients.get("cloudformation").get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            deployment = _tag_of(stack.get("Tags", []))
            if deployment is not None and stack["StackStatus"] != "DELETE_COMPLETE":
                yield Leftover(Resource(_STACK, stack["StackName"]), deployment)


def _package_buckets(account: Account, identity: Identity, stack_names: Iterable[str]) -> Iterator[Leftover]:
    s3 = account.clients.get("s3")
    for name in sorted(code_bucket(stack, identity) for stack in stack_names):
        try:
            tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("NoSuchBucket", "NoSuchTagSet"):
                continue
            raise
        deployment = _tag_of(tags)
        if deployment is not None:
            yield Leftover(Resource("AWS::S3::Bucket", name), deployment)


def _tagged(account: Account) -> Iterator[Leftover]:
    tagging = account.clients.get("resourcegroupstaggingapi")
    for page in tagging.get_paginator("get_resources").paginate(TagFilters=[{"Key": TAG}]):
        for entry in page["ResourceTagMappingList"]:
            deployment = _tag_of(entry["Tags"])
            if deployment is not None:
                yield Leftover(_resource(account, entry["ResourceARN"]), deployment)


def _tag_of(tags: Iterable[Mapping[str, str]]) -> str | None:
    return next((tag["Value"] for tag in tags if tag["Key"] == TAG), None)


def remove_leftovers(account: Account, leftovers: Iterable[Leftover], teardown: Teardown | None = None) -> Teardown:
    """Remove leftovers, stacks with all that they made first; what could not be removed is in the result's `left`."""
    teardown = teardown or Teardown(account.clients)
    given = list(leftovers)
    stacks = [one.resource.name for one in given if one.resource.kind == _STACK]
    for name in stacks:
        teardown.stack(name)
    rest: Sequence[Resource] = [one.resource for one in given if one.removable and one.resource.kind != _STACK]
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
