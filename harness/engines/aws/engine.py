"""See `harness.engines.base.Engine`; here it is an account."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from harness.engines import stacks
from harness.engines.aws.account import Account, Identity
from harness.engines.aws.leftovers import TAG, code_bucket
from harness.engines.aws.teardown import Resource, Teardown
from harness.engines.base import Activity, Deployment, Endpoints, EngineReport
from harness.engines.consumption import Consumption
from harness.engines.queue_requests import BilledRequests
from harness.engines.templates.intrinsics import load_template
from harness.errors import EngineError

DEPLOY_SECONDS = 900.0
CHECK_SECONDS = 60.0
TEMPLATE_BYTES = 51_200
"""Most bytes of a template in the request itself (AWS CloudFormation quotas)."""

LIMITS = {
    "concurrency": "the account's",
    "everything else": "AWS's own",
}


class AwsEngine:
    """The template in a real account. What it deploys carries the tag `harness:deployment` with the name `deployment`.

    `stop` takes down what was deployed, also after an error or Ctrl-C; with `keep` a deployment that is complete stays.
    """

    name = "aws"
    live_counts = False

    def __init__(self, account: Account, deployment: str, *, keep: bool = False, poll_seconds: float = 2.0) -> None:
        self._account = account
        self._deployment = deployment
        self._keep = keep
        self._poll = poll_seconds
        self._identity: Identity | None = None
        self._stacks: list[str] = []
        self._buckets: list[str] = []
        self._complete = False
        self._checked = 0.0

    @property
    def endpoints(self) -> Endpoints:
        """Where AWS answers in this region, for what is asked from other processes."""
        urls = {name: self.client(name).meta.endpoint_url for name in ("s3", "dynamodb")}
        return Endpoints(urls["s3"], self._account.region, urls)

    @property
    def processes(self) -> Mapping[str, int]:
        """Return nothing: nothing of it runs on this machine."""
        return {}

    @property
    def mark(self) -> Mapping[str, str]:
        """Return nothing: no guard of it is on this machine."""
        return {}

    def log_files(self) -> Sequence[Path]:
        """Return nothing: logs are in CloudWatch Logs."""
        return []

    def start(self) -> None:
        """Ask AWS who acts; raises EnvironmentProblem."""
        self._identity = self._account.identify()

    def deploy(
        self, template: Path, parameters: Mapping[str, str], *, stack_name: str, code: Path | None = None
    ) -> Deployment:
        """Deploy a template; raises EngineError with CloudFormation's reasons, and for a stack of that name that is
        there already, which is left alone."""
        text = template.read_text("utf-8")
        self._refuse_existing(stack_name)
        given = dict(parameters)
        if "CodeBucket" in load_template(text).get("Parameters", {}):
            given |= self._upload_package(stack_name, code)
        if len(text.encode()) > TEMPLATE_BYTES:
            raise EngineError(
                f"the template has {len(text.encode()):,} bytes, CloudFormation takes {TEMPLATE_BYTES:,} in a request"
            )
        # Noted first: a stack whose creation fails or is interrupted is there all the same.
        self._stacks.append(stack_name)
        outputs = stacks.create_stack(
            self._account.clients,
            stack_name,
            text,
            given,
            tags=self._tags(),
            poll_seconds=self._poll,
            timeout_seconds=DEPLOY_SECONDS,
        )
        self._complete = True
        return Deployment(stack_name, outputs, dict(parameters))

    def remove(self, stack_name: str) -> None:
        """Remove a stack with its data; raises EngineError naming what could not be removed."""
        teardown = Teardown(self._account.clients, pause=self._poll)
        teardown.stack(stack_name)
        _raise_for(teardown)
        self._stacks = [name for name in self._stacks if name != stack_name]

    def client(self, service: str) -> Any:
        """Return a cached boto3 client."""
        return self._account.clients.get(service)

    def session(self) -> Any:
        """Return the boto3 session."""
        return self._account.session

    def check(self) -> None:
        """Raise EngineError where AWS does not take the credentials any more; asks once a minute at most."""
        if time.monotonic() - self._checked < CHECK_SECONDS:
            return
        self._checked = time.monotonic()
        self._account.identify()

    def report(self) -> EngineReport:
        """Return versions of what is on this side, and the region; AWS keeps the figures of functions."""
        versions = {"aws": self._account.region, "boto3": version("boto3"), "python": sys.version.split()[0]}
        return EngineReport(self.name, versions, LIMITS, {}, capacity="aws")

    def activity(self) -> Activity | None:
        """Return None: Lambda does not tell what it has in hand."""
        return None

    def consumption(self) -> Consumption | None:
        """Return None: CloudWatch tells what tables consumed minutes later."""
        return None

    def billed_requests(self) -> BilledRequests | None:
        """Return None: SQS does not tell its requests."""
        return None

    def stop(self) -> None:
        """Take down what was deployed, unless it is to be kept; safe to call twice.

        Raises EngineError naming what could not be removed, also where Ctrl-C interrupts it.
        """
        try:
            if not (self._keep and self._complete):
                self._take_down()
        finally:
            self._account.close()

    def __enter__(self) -> AwsEngine:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _take_down(self) -> None:
        teardown = Teardown(self._account.clients, pause=self._poll)
        try:
            while self._stacks:
                teardown.stack(self._stacks[-1], {"Key": TAG, "Value": self._deployment})
                self._stacks.pop()
            while self._buckets:
                teardown.resources([Resource("AWS::S3::Bucket", self._buckets[-1])])
                self._buckets.pop()
        except KeyboardInterrupt:
            left = ", ".join([*self._stacks, *self._buckets, *map(str, teardown.left)])
            raise EngineError(f"interrupted while taking down, left in the account: {left}", hint=_HINT) from None
        _raise_for(teardown)

    def _refuse_existing(self, stack_name: str) -> None:
        try:
            there = stacks.describe_stack(self._account.clients, stack_name)
        except (BotoCoreError, ClientError) as error:
            raise EngineError(f"stack {stack_name} cannot be looked for: {error}", hint=_POLICY) from error
        if there is None:
            return
        raise EngineError(
            f"stack {stack_name} is in {self._account.region} already, and is left alone",
            hint="`harness doctor --engine aws` says whether it is this project's, and removes it with --remove",
        )

    def _upload_package(self, stack_name: str, code: Path | None) -> dict[str, str]:
        identity = self._identity or self._account.identify()
        bucket = code_bucket(stack_name, identity)
        s3 = self.client("s3")
        # us-east-1 is the only region that must not be named (S3 API reference, CreateBucket).
        where = {} if identity.region == "us-east-1" else {"LocationConstraint": identity.region}
        tags = [{"Key": name, "Value": value} for name, value in self._tags().items()]
        self._refuse_existing_bucket(bucket)
        self._buckets.append(bucket)
        try:
            s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": where} if where else {}))
        except (BotoCoreError, ClientError) as error:
            self._buckets.remove(bucket)
            raise EngineError(f"bucket {bucket} for the package was not made: {error}", hint=_POLICY) from error
        try:
            s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
            blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
            s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
            with tempfile.TemporaryDirectory() as folder:
                package = stacks.build_package(code, Path(folder) / "package.zip")
                s3.put_object(Bucket=bucket, Key="package.zip", Body=package.read_bytes())
        except (BotoCoreError, ClientError) as error:
            raise EngineError(f"the package cannot be put into bucket {bucket}: {error}", hint=_POLICY) from error
        return dict(zip(stacks.CODE_PARAMETERS, (bucket, "package.zip"), strict=True))

    def _refuse_existing_bucket(self, bucket: str) -> None:
        """Raise EngineError where a bucket of that name is there: what is taken down afterwards must be our own."""
        try:
            self.client("s3").head_bucket(Bucket=bucket)
        except ClientError as error:
            if str(error.response.get("Error", {}).get("Code")) in ("404", "NoSuchBucket"):
                return
            raise EngineError(f"bucket {bucket} for the package cannot be looked for: {error}", hint=_POLICY) from error
        raise EngineError(f"bucket {bucket} for the package is there already, and is left alone", hint=_HINT)

    def _tags(self) -> dict[str, str]:
        return {TAG: self._deployment}


def deployed(account: Account, stack_name: str) -> Deployment:
    """Return the stack that is there; raises EngineError where it is not."""
    try:
        stack = stacks.describe_stack(account.clients, stack_name)
    except (BotoCoreError, ClientError) as error:
        raise EngineError(f"stack {stack_name} cannot be looked for: {error}", hint=_POLICY) from error
    if stack is None:
        raise EngineError(
            f"stack {stack_name} was not found in {account.region}", hint="`harness deploy --engine aws --once`"
        )
    return stacks.deployment_of(stack, stack_name)


_POLICY = "docs/aws.md has the policy that is needed"
_HINT = "`harness doctor --engine aws` finds what is left, and removes it with --remove"


def _raise_for(teardown: Teardown) -> None:
    if teardown.left:
        left = "; ".join(f"{resource}: {why}" for resource, why in teardown.left.items())
        raise EngineError(f"left in the account: {left}", hint=_HINT)
