"""What is said and asked before anything is made in an account, and every way to refuse it."""

from __future__ import annotations

import sys
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from harness.commands.aws_options import AccountGroup, AwsOptions, examine_account, resources_text
from harness.engines import aws
from harness.engines.registry import KINDS, create
from harness.errors import UsageError
from tests.unit.engines.aws.support import NO_STACK, FakeAccount, refusal

AWS, EMBEDDED = KINDS["aws"], KINDS["embedded"]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> FakeAccount:
    made = FakeAccount()
    monkeypatch.setattr(aws, "Account", lambda options: made)
    return made


def agree(options: AwsOptions, said: list[str], rows: int = 10_000) -> Any:
    return options.agree(AWS, rows, rows * 179, {}, said.append)


def test_agree_says_who_what_and_how_much_before_it_returns_the_account(account: FakeAccount) -> None:
    said: list[str] = []
    assert agree(AwsOptions(yes=True), said) is account
    who, what, cost = said
    assert "123456789012 in eu-central-1" in who and "user/u" in who
    assert "5 functions, 8 queues, 1 table, 1 bucket" in what
    assert cost.startswith("costs      about $0.") and "10,000 rows" in cost


def test_agree_asks_and_takes_no_for_an_answer(account: FakeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    asked: list[str] = []
    answers = iter([True, False])

    def confirm(question: str, *, err: bool) -> bool:
        assert err, "the question must not be in the middle of a result"
        asked.append(question)
        return next(answers)

    monkeypatch.setattr(typer, "confirm", confirm)
    assert agree(AwsOptions(), []) is account
    with pytest.raises(UsageError, match="nothing was made"):
        agree(AwsOptions(), [])
    assert asked == ["Go ahead?"] * 2


def test_agree_where_nobody_can_be_asked_refuses(account: FakeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    with pytest.raises(UsageError, match="no terminal") as caught:
        agree(AwsOptions(), [])
    assert "--yes" in caught.value.hint


def test_agree_above_the_limit_refuses_and_names_both(account: FakeAccount) -> None:
    assert agree(AwsOptions(yes=True, max_usd="1"), []) is account
    with pytest.raises(UsageError, match=r"about \$0\.\d+ is more than --max-usd 0.01"):
        agree(AwsOptions(yes=True, max_usd="0.01"), [])
    with pytest.raises(UsageError, match="more than --max-usd 1"):
        agree(AwsOptions(yes=True, max_usd="1"), [], rows=2_000_000)


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "lots", ""])
def test_agree_with_a_limit_that_is_none_refuses(account: FakeAccount, limit: str) -> None:
    with pytest.raises(UsageError, match="dollars above 0"):
        agree(AwsOptions(yes=True, max_usd=limit), [])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (AwsOptions(aws_profile="p"), "--aws-profile"),
        (AwsOptions(role_arn="r"), "--role-arn"),
        (AwsOptions(region="eu-west-1"), "--region"),
        (AwsOptions(yes=True), "--yes"),
        (AwsOptions(max_usd="1"), "--max-usd"),
    ],
)
def test_agree_on_an_engine_that_is_no_account_refuses_each_option_by_name(options: AwsOptions, named: str) -> None:
    with pytest.raises(UsageError, match=f"{named}: engine embedded is no account"):
        options.agree(EMBEDDED, 1, 1, {}, print)
    assert AwsOptions().agree(EMBEDDED, 1, 1, {}, print) is None


def test_create_refuses_what_an_account_decides_itself() -> None:
    for options, named in (
        ({"profile": "2021"}, "AWS's own concurrency"),
        ({"capacity": "aws"}, "which throttle by themselves"),
    ):
        with pytest.raises(UsageError, match=named):
            create("aws", **options)  # type: ignore[arg-type]


def test_resources_are_those_of_the_template() -> None:
    assert resources_text() == ("stack ingestion with 5 functions, 8 queues, 1 table, 1 bucket, 5 log groups, 5 roles")


def with_leftovers(account: FakeAccount, *arns: str) -> None:
    tags = [{"Key": "harness:deployment", "Value": "d1"}]
    pages = [{"ResourceTagMappingList": [{"ResourceARN": arn, "Tags": tags} for arn in arns]}]
    account.clients.script("resourcegroupstaggingapi", {"get_resources": pages})
    account.clients.script("cloudformation", {"describe_stacks": [{"Stacks": []}]}, describe_stacks=[NO_STACK])
    account.clients.script("s3", get_bucket_tagging=[refusal("NoSuchBucket")])


def test_examine_says_what_is_left_and_removes_it_when_asked(account: FakeAccount) -> None:
    said: list[str] = []
    with_leftovers(account)
    assert examine_account(AccountGroup(), remove=True, say=said.append)
    with_leftovers(account, "arn:aws:logs:eu-central-1:1:log-group:g")
    assert not examine_account(AccountGroup(), remove=False, say=said.append)
    assert any("left       Logs::LogGroup g, of deployment d1" in text for text in said)
    assert "delete_log_group" not in account.clients.names()
    assert examine_account(AccountGroup(yes=True), remove=True, say=said.append)
    assert said[-1] == "removed    1 of 1"


def test_examine_when_something_stays_says_so(account: FakeAccount) -> None:
    said: list[str] = []
    with_leftovers(account, "arn:aws:logs:eu-central-1:1:log-group:g")
    account.clients.script("logs", delete_log_group=[refusal("AccessDeniedException")])
    assert not examine_account(AccountGroup(yes=True), remove=True, say=said.append)
    assert said[-1] == "removed    0 of 1" and said[-2].startswith("still left Logs::LogGroup g")


def test_estimate_grows_with_rows(account: FakeAccount) -> None:
    costs = []
    for rows in (1_000, 100_000):
        said: list[str] = []
        agree(AwsOptions(yes=True), said, rows)
        costs.append(Decimal(said[2].split("$")[1].split(" ")[0]))
    assert costs[0] < costs[1]
