"""`AWS::DynamoDB::Table` as calls of DynamoDB's API: every property is carried out, or refused with its name.

`plan` is pure; `create` makes the calls with any client that speaks the API. Properties must be resolved: no intrinsic
functions. CloudFormation hands on numbers as text where a parameter gave them; here they become numbers again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import TemplateError

_KEYS = ("AttributeDefinitions", "KeySchema")
_COPIED = ("BillingMode", "DeletionProtectionEnabled", "TableClass", "Tags")
_NUMBERS = {
    "ProvisionedThroughput": ("ReadCapacityUnits", "WriteCapacityUnits"),
    "OnDemandThroughput": ("MaxReadRequestUnits", "MaxWriteRequestUnits"),
    "WarmThroughput": ("ReadUnitsPerSecond", "WriteUnitsPerSecond"),
}
_INDEX = {
    "GlobalSecondaryIndexes": ("IndexName", "KeySchema", "Projection", *_NUMBERS),
    "LocalSecondaryIndexes": ("IndexName", "KeySchema", "Projection"),
}
_REFUSED = {
    "ImportSourceSpecification": "an import reads from S3, which another process serves",
    "KinesisStreamSpecification": "records for Kinesis would have to reach another process",
}
_NESTED = {
    "StreamSpecification": ("StreamViewType",),
    "SSESpecification": ("SSEEnabled", "SSEType", "KMSMasterKeyId"),
    "TimeToLiveSpecification": ("AttributeName", "Enabled"),
    "PointInTimeRecoverySpecification": ("PointInTimeRecoveryEnabled", "RecoveryPeriodInDays"),
    "ContributorInsightsSpecification": ("Enabled",),
    "ResourcePolicy": ("PolicyDocument",),
}
_KNOWN = {"TableName", *_KEYS, *_COPIED, *_NUMBERS, *_INDEX, *_NESTED}

Call = tuple[str, dict[str, Any]]
"""An operation of DynamoDB's API and its request."""


@dataclass(frozen=True)
class CreatedTable:
    """What a template can refer to: `Ref`, `Arn`, and `StreamArn` where there is a stream."""

    name: str
    arn: str
    stream_arn: str | None


def plan(logical_id: str, name: str, properties: Mapping[str, Any]) -> list[Call]:
    """Return the calls that make a table, CreateTable first; raises TemplateError for what cannot be made."""
    for prop, why in _REFUSED.items():
        if prop in properties:
            raise TemplateError(f"{logical_id}: property {prop} is not supported: {why}")
    _only(logical_id, "", properties, _KNOWN)
    missing = [key for key in ("KeySchema", "AttributeDefinitions") if key not in properties]
    if missing:
        raise TemplateError(f"{logical_id}: property {missing[0]} is required")
    request: dict[str, Any] = {"TableName": name}
    request |= {key: properties[key] for key in (*_KEYS, *_COPIED) if key in properties}
    if "DeletionProtectionEnabled" in request:
        request["DeletionProtectionEnabled"] = _flag(
            logical_id, "DeletionProtectionEnabled", request["DeletionProtectionEnabled"]
        )
    request |= _throughput(logical_id, "", properties)
    for kind, members in _INDEX.items():
        if kind in properties:
            request[kind] = [
                _index(logical_id, f"{kind}.{number}.", index, members) for number, index in enumerate(properties[kind])
            ]
    for prop, known in _NESTED.items():
        if prop in properties:
            _only(logical_id, f"{prop}.", properties[prop], known)
    if "StreamSpecification" in properties:
        view = properties["StreamSpecification"].get("StreamViewType")
        request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
    if "SSESpecification" in properties:
        given = dict(properties["SSESpecification"])
        enabled = _flag(logical_id, "SSESpecification.SSEEnabled", given.pop("SSEEnabled", False))
        request["SSESpecification"] = {"Enabled": enabled, **given}
    return [("CreateTable", request), *_settings(logical_id, name, properties)]


def _settings(logical_id: str, name: str, properties: Mapping[str, Any]) -> list[Call]:
    """Return the calls for what CreateTable does not take."""
    calls: list[Call] = []
    expiry = properties.get("TimeToLiveSpecification")
    if expiry and _flag(logical_id, "TimeToLiveSpecification.Enabled", expiry.get("Enabled")):
        specification = {"Enabled": True, "AttributeName": expiry.get("AttributeName")}
        calls.append(("UpdateTimeToLive", {"TableName": name, "TimeToLiveSpecification": specification}))
    recovery = properties.get("PointInTimeRecoverySpecification")
    if recovery:
        where = "PointInTimeRecoverySpecification."
        enabled = _flag(
            logical_id, f"{where}PointInTimeRecoveryEnabled", recovery.get("PointInTimeRecoveryEnabled", False)
        )
        wanted: dict[str, Any] = {"PointInTimeRecoveryEnabled": enabled}
        if "RecoveryPeriodInDays" in recovery:
            days = _number(logical_id, f"{where}RecoveryPeriodInDays", recovery["RecoveryPeriodInDays"])
            wanted["RecoveryPeriodInDays"] = days
        calls.append(("UpdateContinuousBackups", {"TableName": name, "PointInTimeRecoverySpecification": wanted}))
    insights = properties.get("ContributorInsightsSpecification")
    if insights:
        enabled = _flag(logical_id, "ContributorInsightsSpecification.Enabled", insights.get("Enabled"))
        action = "ENABLE" if enabled else "DISABLE"
        calls.append(("UpdateContributorInsights", {"TableName": name, "ContributorInsightsAction": action}))
    policy = properties.get("ResourcePolicy")
    if policy:
        calls.append(("PutResourcePolicy", {"ResourceArn": name, "Policy": json.dumps(policy.get("PolicyDocument"))}))
    return calls


def create(client: Any, calls: list[Call]) -> CreatedTable:
    """Make the table with a boto3 client of DynamoDB; raises what boto3 raises. What failed half is deleted again."""
    (_, request), *settings = calls
    made = client.create_table(**request)["TableDescription"]
    name = str(made["TableName"])
    try:
        for operation, setting in settings:
            named = {"ResourceArn": made["TableArn"]} if "ResourceArn" in setting else {}
            getattr(client, _METHODS[operation])(**setting | named)
    except BaseException:
        if request.get("DeletionProtectionEnabled"):
            client.update_table(TableName=name, DeletionProtectionEnabled=False)
        client.delete_table(TableName=name)
        raise
    return CreatedTable(name, str(made["TableArn"]), made.get("LatestStreamArn"))


_METHODS = {
    "UpdateTimeToLive": "update_time_to_live",
    "UpdateContinuousBackups": "update_continuous_backups",
    "UpdateContributorInsights": "update_contributor_insights",
    "PutResourcePolicy": "put_resource_policy",
}


def _only(logical_id: str, where: str, given: Any, known: Any) -> None:
    if not isinstance(given, Mapping):
        raise TemplateError(f"{logical_id}: property {where.rstrip('.')} must be an object")
    for name in given:
        if name not in known:
            raise TemplateError(f"{logical_id}: property {where}{name} is not supported")


def _index(logical_id: str, where: str, index: Any, members: tuple[str, ...]) -> dict[str, Any]:
    _only(logical_id, where, index, members)
    kept = {key: value for key, value in index.items() if key not in _NUMBERS}
    return {**kept, **_throughput(logical_id, where, index)}


def _throughput(logical_id: str, where: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for prop, members in _NUMBERS.items():
        if prop in properties:
            _only(logical_id, f"{where}{prop}.", properties[prop], members)
            found[prop] = {k: _number(logical_id, f"{where}{prop}.{k}", v) for k, v in properties[prop].items()}
    return found


def _number(logical_id: str, where: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise ValueError(value)
        return int(value)
    except (TypeError, ValueError):
        raise TemplateError(f"{logical_id}: {where} is {value!r}, a number is needed") from None


def _flag(logical_id: str, where: str, value: Any) -> bool:
    text = str(value).lower()
    if text not in ("true", "false"):
        raise TemplateError(f"{logical_id}: {where} is {value!r}, true or false is needed")
    return text == "true"
