"""What a command on engine aws is told of the account, and what it says and asks before it makes anything there."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.engines.aws import Account, AccountOptions, Identity
    from harness.engines.registry import EngineKind

_AWS = "Engine aws"

AwsProfile = Annotated[
    str | None, typer.Option(help="The profile of AWS's files to use (default: boto3's).", rich_help_panel=_AWS)
]
RoleArn = Annotated[str | None, typer.Option(help="A role to assume.", rich_help_panel=_AWS)]
Region = Annotated[str | None, typer.Option(help="The region (default: the profile's).", rich_help_panel=_AWS)]
MaxUsd = Annotated[
    str | None, typer.Option(metavar="DOLLARS", help="Refuse what is estimated to cost more.", rich_help_panel=_AWS)
]
Yes = Annotated[
    bool, typer.Option("--yes", help="Do not ask before anything is made or removed.", rich_help_panel=_AWS)
]


CORPUS_ROW_BYTES = 179
"""Bytes of a generated row, about: 800,000 rows are 143 MB."""


@dataclass(frozen=True)
class AccountGroup:
    """Whose account."""

    aws_profile: AwsProfile = None
    role_arn: RoleArn = None
    region: Region = None
    yes: Yes = False

    def refuse_with(self, engine: str) -> None:
        """Raise UsageError naming an option that was given, for an engine that is no account."""
        for one in fields(self):
            if getattr(self, one.name):
                name = f"--{one.name.replace('_', '-')}"
                raise UsageError(f"{name}: engine {engine} is no account", hint=f"leave {name} out")

    def options(self) -> AccountOptions:
        """Return them for the engine."""
        from harness.engines.aws import AccountOptions

        return AccountOptions(self.aws_profile or "", self.role_arn or "", self.region or "")

    def confirm(self, question: str) -> None:
        """Return where the answer is yes. Raises UsageError for no, and where nobody can be asked."""
        if self.yes:
            return
        if not sys.stdin.isatty():
            raise UsageError("nobody can be asked here: standard input is no terminal", hint="--yes answers beforehand")
        if not typer.confirm(question, err=True):
            raise UsageError("nothing was made or removed")


@dataclass(frozen=True)
class AwsOptions(AccountGroup):
    """Whose account, and how much may be spent there."""

    max_usd: MaxUsd = None

    def agree(
        self,
        kind: EngineKind,
        rows: int,
        file_bytes: int,
        parameters: Mapping[str, str],
        say: Callable[[str], None],
    ) -> Account | None:
        """Say what a run of so many rows makes in the account and costs, and ask; returns the account, None for an
        engine that is none.

        Raises UsageError above `--max-usd`, for no, and for options that the engine has no use for; EnvironmentProblem
        without credentials.
        """
        from harness.cost.bill import bill, dollars_text
        from harness.cost.estimate import estimated_workload
        from harness.cost.prices import load_prices

        if not kind.billed:
            self.refuse_with(kind.name)
            return None
        limit = self._limit()
        from harness.engines.aws import Account

        account = Account(self.options())
        identity = account.identify()
        prices = load_prices(None)
        estimated = bill(estimated_workload(max(1, rows), file_bytes, parameters), prices)
        say(f"account    {identity.account} in {identity.region}, as {identity.arn}")
        say(f"makes      {resources_text()}; the package in a bucket of its own; all of it is removed at the end")
        say(
            f"costs      about {dollars_text(estimated.total)} for {rows:,} rows, estimated at list prices, us-east-1, "
            f"read by {prices.read}, without retries and taxes"
        )
        if limit is not None and estimated.total > limit:
            raise UsageError(
                f"about {dollars_text(estimated.total)} is more than --max-usd {limit}",
                hint="fewer rows, or a higher limit",
            )
        self.confirm("Go ahead?")
        return account

    def _limit(self) -> Decimal | None:
        if self.max_usd is None:
            return None
        try:
            limit = Decimal(self.max_usd)
        except InvalidOperation:
            limit = Decimal(-1)
        if not limit.is_finite() or limit <= 0:
            raise UsageError(f"--max-usd is {self.max_usd!r}, dollars above 0 are needed", hint="for example 0.50")
        return limit


def resources_text() -> str:
    """Return what the template makes, by kind: 5 functions, 8 queues, ..."""
    from harness.engines.templates.intrinsics import load_template
    from harness.experiments.lifecycle import STACK, TEMPLATE

    resources = load_template(TEMPLATE.read_text("utf-8"))["Resources"].values()
    counts = Counter(str(resource["Type"]) for resource in resources)
    told = [f"{counts[kind]} {noun}" for kind, noun in _NOUNS.items() if counts[kind]]
    return f"stack {STACK} with {', '.join(told)}"


_NOUNS = {
    "AWS::Lambda::Function": "functions",
    "AWS::SQS::Queue": "queues",
    "AWS::DynamoDB::Table": "table",
    "AWS::S3::Bucket": "bucket",
    "AWS::Logs::LogGroup": "log groups",
    "AWS::IAM::Role": "roles",
}


def examine_account(group: AccountGroup, *, remove: bool, say: Callable[[str], None]) -> bool:
    """Say what is left of deployments in an account, and remove it where asked; returns whether nothing is left."""
    from harness.engines.aws import Account, find_leftovers, remove_leftovers
    from harness.experiments.lifecycle import STACK

    account = Account(group.options())
    identity: Identity = account.identify()
    say(f"account    {identity.account} in {identity.region}, as {identity.arn}")
    found = find_leftovers(account, identity, STACK)
    for one in found:
        say(f"left       {one.resource}, of deployment {one.deployment}")
    if not found:
        say("left       nothing that carries the tag harness:deployment")
        return True
    if not remove:
        say("           a run that goes on has its own there, too; the others: `harness doctor --engine aws --remove`")
        return False
    group.confirm(f"Remove all {len(found)}, with the data in them?")
    teardown = remove_leftovers(account, found)
    for resource, why in teardown.left.items():
        say(f"still left {resource}: {why}")
    say(f"removed    {len(found) - len(teardown.left)} of {len(found)}")
    return not teardown.left
