"""Whose account: profiles, regions, roles, and what is said where there are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from harness.engines.aws import Account, AccountOptions
from harness.engines.aws import account as module
from harness.errors import EnvironmentProblem, UsageError
from tests.unit.engines.aws.support import refusal


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's, and no metadata service."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").write_text("[profile test]\nregion = eu-west-1\n")
    (tmp_path / "credentials").write_text("[test]\naws_access_key_id = k\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_account_takes_region_and_keys_of_the_profile() -> None:
    account = Account(AccountOptions(profile="test"))
    assert account.region == "eu-west-1"
    assert account.session.get_credentials().access_key == "k"


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_account_takes_the_region_of_a_variable(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "eu-north-1")
    assert Account(AccountOptions()).region == "eu-north-1"
    assert Account(AccountOptions(region="us-west-2")).region == "us-west-2"


def test_account_without_a_region_says_how_to_name_one() -> None:
    with pytest.raises(UsageError, match="no region") as caught:
        Account(AccountOptions())
    assert "--region" in caught.value.hint


def test_account_of_a_profile_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(UsageError, match="other") as caught:
        Account(AccountOptions(profile="other"))
    assert caught.value.hint == "profiles here: test"


def test_identify_without_credentials_says_how_to_sign_in() -> None:
    with pytest.raises(EnvironmentProblem, match="does not know who asks") as caught:
        Account(AccountOptions(region="eu-west-1")).identify()
    assert "aws sso login" in caught.value.hint


class Sts:
    """Gives a role's credentials, another key each time, or refuses."""

    def __init__(self, error: ClientError | None = None) -> None:
        self.error, self.asked = error, 0

    def assume_role(self, **given: Any) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        assert given["RoleArn"] == "arn:aws:iam::1:role/r"
        self.asked += 1
        ends = datetime.now(UTC) + timedelta(seconds=1 if self.asked == 1 else 3600)
        return {
            "Credentials": {
                "AccessKeyId": f"k{self.asked}",
                "SecretAccessKey": "s",
                "SessionToken": "t",
                "Expiration": ends,
            }
        }


def in_role(monkeypatch: pytest.MonkeyPatch, sts: Sts) -> Account:
    session = boto3.Session(region_name="eu-west-1")
    monkeypatch.setattr(session, "client", lambda *_, **__: sts)
    found = module._in_role(session, "arn:aws:iam::1:role/r")
    account = Account(AccountOptions(region="eu-west-1"))
    account._session = found
    return account


def test_role_is_assumed_and_its_credentials_are_renewed_before_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    sts = Sts()
    session = in_role(monkeypatch, sts).session
    keys = session.get_credentials().get_frozen_credentials()
    assert (keys.access_key, keys.token, session.region_name) == ("k2", "t", "eu-west-1")
    assert session.get_credentials().get_frozen_credentials().access_key == "k2"


def test_role_that_is_refused_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnvironmentProblem, match="--role-arn arn:aws:iam::1:role/r"):
        in_role(monkeypatch, Sts(refusal("AccessDenied")))
