"""Where a service is, and with which credentials it is called.

Importing boto3 and making a client, only to ask it these two things, takes most of a function's init phase. Lambda
gives a function its credentials and region in variables, so the answer is known without boto3, unless a variable asks
for something that only boto3 knows how to do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handlers.signing import Keys

if TYPE_CHECKING:
    import boto3

_REGION = re.compile(
    r"(?:af|ap|ca|eu|il|me|mx|sa|us)-(?:central|east|north|northeast|northwest|south|southeast|west)-\d"
)
"""Regions of the partition `aws`, where a service's host is <service>.<region>.amazonaws.com (AWS General Reference,
"AWS service endpoints"). A region that looks otherwise is left to boto3."""

_LEFT_TO_BOTO3 = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_DATA_PATH",
    "AWS_CA_BUNDLE",
)
"""Variables that change what boto3 answers (boto3 guide, "Configuration"); Lambda sets none of them."""


@dataclass(frozen=True)
class Access:
    """A service's endpoint URL and region, and a function that returns the present credentials, None where there are
    none."""

    url: str
    region: str
    keys: Callable[[], Keys | None]


def access_in_lambda(service: str, variables: Mapping[str, str] = os.environ) -> Access | None:
    """Return what boto3 would answer for `service`, or None where only boto3 can say, as everywhere but in Lambda."""
    access_key, secret = variables.get("AWS_ACCESS_KEY_ID"), variables.get("AWS_SECRET_ACCESS_KEY")
    region = variables.get("AWS_DEFAULT_REGION", "")
    if "AWS_LAMBDA_FUNCTION_NAME" not in variables or any(map(variables.get, _LEFT_TO_BOTO3)):
        return None
    if not access_key or not secret or not _REGION.fullmatch(region):
        return None
    url = variables.get(f"AWS_ENDPOINT_URL_{service.upper()}") or variables.get("AWS_ENDPOINT_URL")
    keys = Keys(access_key, secret, variables.get("AWS_SESSION_TOKEN") or None)
    return Access(url or f"https://{service}.{region}.amazonaws.com", region, lambda: keys)


def access_by_boto3(service: str, session: boto3.Session | None = None, endpoint_url: str | None = None) -> Access:
    """Return what a client of boto3 uses; `session` (default: boto3's own) may be any, `endpoint_url` its endpoint."""
    import boto3

    session = session or boto3.Session()
    client = session.client(service, endpoint_url=endpoint_url)  # type: ignore[call-overload]
    credentials = session.get_credentials()

    def keys() -> Keys | None:
        if credentials is None:
            return None
        # Role credentials rotate: the session's provider refreshes them when they are read.
        now = credentials.get_frozen_credentials()
        return Keys(now.access_key, now.secret_key, now.token) if now.access_key and now.secret_key else None

    return Access(client.meta.endpoint_url, client.meta.region_name, keys)
