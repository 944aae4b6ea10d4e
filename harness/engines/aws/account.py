"""Whose account, in which region, with which credentials: boto3's usual sources, a profile, or a role."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from harness.engines.base import Endpoints
from harness.engines.clients import Clients
from harness.errors import EnvironmentProblem, UsageError

CONFIG = Config(
    # FilterLogEvents, DescribeStacks and others are limited per account and second: a run waits rather than ends.
    retries={"mode": "adaptive", "total_max_attempts": 10},
    read_timeout=120,
    max_pool_connections=20,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    parameter_validation=False,
)

SESSION_NAME = "ingestion-harness"
"""How the role's session is called in CloudTrail."""

_SIGN_IN = "aws configure, aws sso login, or AWS_PROFILE; docs/aws.md has the policy that is needed"


@dataclass(frozen=True)
class AccountOptions:
    """What the command line says of the account; empty values are boto3's choice (variables, files, the machine's
    role). `role` is the ARN of one to assume, with the credentials that the others give."""

    profile: str = ""
    role: str = ""
    region: str = ""


@dataclass(frozen=True)
class Identity:
    """Who acts where: account id, ARN of the caller, region."""

    account: str
    arn: str
    region: str


class Account:
    """A session of boto3's own in one region; raises UsageError where profile or region are missing, EnvironmentProblem
    where the role is refused."""

    def __init__(self, options: AccountOptions) -> None:
        try:
            # AWS's other SDKs and its command line heed AWS_REGION, boto3 does not.
            region = options.region or os.environ.get("AWS_REGION") or None
            session = boto3.Session(profile_name=options.profile or None, region_name=region)
        except ProfileNotFound as error:
            known = ", ".join(boto3.Session().available_profiles) or "none"
            raise UsageError(f"--aws-profile: {error}", hint=f"profiles here: {known}") from error
        if not session.region_name:
            raise UsageError("no region is known", hint="--region eu-central-1, AWS_REGION, or a region in the profile")
        self._session = _in_role(session, options.role) if options.role else session
        self.clients = Clients(lambda: Endpoints("", session.region_name), lambda _: self._session, CONFIG)

    @property
    def region(self) -> str:
        """The region of everything that is made."""
        return str(self._session.region_name)

    @property
    def session(self) -> Any:
        """The boto3 session."""
        return self._session

    def identify(self) -> Identity:
        """Return who acts; raises EnvironmentProblem where there are no credentials or AWS does not take them."""
        try:
            answer = self.clients.get("sts").get_caller_identity()
        except (BotoCoreError, ClientError) as error:
            raise EnvironmentProblem(f"AWS does not know who asks: {error}", hint=_SIGN_IN) from error
        return Identity(str(answer["Account"]), str(answer["Arn"]), self.region)

    def close(self) -> None:
        """Close all connections."""
        self.clients.close()


def _in_role(session: Any, role: str) -> Any:
    """Return a session in a role, whose credentials are renewed before they end."""
    sts = session.client("sts", config=CONFIG)

    def assume() -> dict[str, Any]:
        found = sts.assume_role(RoleArn=role, RoleSessionName=SESSION_NAME)["Credentials"]
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }

    try:
        credentials = RefreshableCredentials.create_from_metadata(assume(), assume, "sts-assume-role")
    except (BotoCoreError, ClientError) as error:
        raise EnvironmentProblem(f"--role-arn {role}: {error}", hint=_SIGN_IN) from error
    core = botocore.session.get_session()
    # botocore has no other way to give a session credentials that renew themselves.
    core._credentials = credentials  # type: ignore[attr-defined]
    return boto3.Session(botocore_session=core, region_name=session.region_name)
