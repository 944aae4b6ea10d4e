"""Definitions of tables: creating, describing, changing, time to live, tags, deleting."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.contract.support import eventually
from tests.contract.table_support import NewTable, attributes, index, refused, schema, table_request


def described(dynamodb: Any, table: str) -> dict[str, Any]:
    found: dict[str, Any] = dynamodb.describe_table(TableName=table)["Table"]
    return found


def test_table_when_described_says_what_was_asked_for(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table(
        sort="N",
        view="NEW_IMAGE",
        AttributeDefinitions=attributes(id="S", n="N", city="S"),
        GlobalSecondaryIndexes=[index("by-city", "city", "n", "KEYS_ONLY")],
    )
    found = described(dynamodb, table)
    assert (found["TableName"], found["TableStatus"]) == (table, "ACTIVE")
    assert found["TableArn"].endswith(f":table/{table}")
    assert found["KeySchema"] == schema("id", "n")
    assert {d["AttributeName"]: d["AttributeType"] for d in found["AttributeDefinitions"]} == {
        "id": "S",
        "n": "N",
        "city": "S",
    }
    assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert found["ProvisionedThroughput"]["WriteCapacityUnits"] == 0
    [by_city] = found["GlobalSecondaryIndexes"]
    assert (by_city["IndexName"], by_city["IndexStatus"]) == ("by-city", "ACTIVE")
    assert by_city["KeySchema"] == schema("city", "n")
    assert by_city["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert found["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert found["LatestStreamArn"] == f"{found['TableArn']}/stream/{found['LatestStreamLabel']}"
    assert found["CreationDateTime"].year >= 2024


DEFINITIONS: dict[str, dict[str, Any]] = {
    "no-keys": {"KeySchema": []},
    "two-partition-keys": {
        "KeySchema": [*schema("id"), *schema("n")],
        "AttributeDefinitions": attributes(id="S", n="S"),
    },
    "key-without-definition": {"KeySchema": schema("other")},
    "unused-definition": {"AttributeDefinitions": attributes(id="S", unused="S")},
    "key-of-no-key-type": {"AttributeDefinitions": attributes(id="BOOL")},
    "provisioned-without-units": {"BillingMode": "PROVISIONED"},
    "on-demand-with-units": {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
    "no-units": {
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 1},
    },
    "short-name": {"TableName": "ab"},
    "name-of-other-characters": {"TableName": "a table"},
    "two-indexes-of-one-name": {
        "AttributeDefinitions": attributes(id="S", city="S"),
        "GlobalSecondaryIndexes": [index("same", "city"), index("same", "city")],
    },
    "local-index-without-sort-key": {"LocalSecondaryIndexes": [index("local", "id", "id")]},
    "stream-without-view": {"StreamSpecification": {"StreamEnabled": True}},
}


@pytest.mark.parametrize(
    "change",
    DEFINITIONS.values(),
    ids=[
        "no-keys",
        "two-partition-keys",
        "key-without-definition",
        "unused-definition",
        "key-of-no-key-type",
        "provisioned-without-units",
        "on-demand-with-units",
        "no-units",
        "short-name",
        "name-of-other-characters",
        "two-indexes-of-one-name",
        "local-index-without-sort-key",
        "stream-without-view",
    ],
)
def test_table_when_dynamodb_does_not_take_it_is_refused(dynamodb: Any, change: dict[str, Any]) -> None:
    name = f"t-{uuid.uuid4().hex[:12]}"
    with refused("ValidationException"):
        dynamodb.create_table(**{**table_request(name), **change})
    with refused("ResourceNotFoundException"):
        dynamodb.describe_table(TableName=name)


def test_table_when_its_name_is_taken_is_refused(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    with refused("ResourceInUseException", table):
        dynamodb.create_table(**table_request(table, sort="N"))
    assert described(dynamodb, table)["KeySchema"] == schema("id")


def test_table_when_deleted_is_gone_with_its_items(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    dynamodb.put_item(TableName=table, Item={"id": {"S": "k"}})
    dynamodb.delete_table(TableName=table)
    dynamodb.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
    for call in (dynamodb.describe_table, dynamodb.delete_table, dynamodb.scan):
        with refused("ResourceNotFoundException"):
            call(TableName=table)
    dynamodb.create_table(**table_request(table))
    dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
    assert dynamodb.scan(TableName=table)["Count"] == 0


def test_table_when_protected_is_not_deleted(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table(DeletionProtectionEnabled=True)
    with refused("ValidationException"):
        dynamodb.delete_table(TableName=table)
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    eventually("the table is active", lambda: described(dynamodb, table)["TableStatus"] == "ACTIVE")


def test_tables_when_listed_come_in_pages_by_name(dynamodb: Any, new_table: NewTable) -> None:
    made = sorted(new_table() for _ in range(3))
    first = dynamodb.list_tables(Limit=1)
    assert first["LastEvaluatedTableName"] == first["TableNames"][0]
    names = [
        name
        for page in dynamodb.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2})
        for name in page["TableNames"]
    ]
    assert [name for name in names if name in made] == made
    assert len(set(names)) == len(names)


def test_billing_when_changed_is_described(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    units = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 5}
    dynamodb.update_table(TableName=table, BillingMode="PROVISIONED", ProvisionedThroughput=units)
    eventually("the table is active", lambda: described(dynamodb, table)["TableStatus"] == "ACTIVE")
    found = described(dynamodb, table)
    assert {name: found["ProvisionedThroughput"][name] for name in units} == units
    with refused("ValidationException"):
        dynamodb.update_table(TableName=table, ProvisionedThroughput=units)


def test_update_when_it_changes_nothing_or_an_unknown_index_is_refused(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    with refused("ValidationException"):
        dynamodb.update_table(TableName=table)
    with refused("ResourceNotFoundException"):
        dynamodb.update_table(TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "no-such"}}])
    with refused("ResourceNotFoundException"):
        dynamodb.update_table(TableName="no-such-table", BillingMode="PAY_PER_REQUEST")


def test_time_to_live_when_enabled_is_described(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    described_ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert described_ttl == {"TimeToLiveStatus": "DISABLED"}
    wanted = {"Enabled": True, "AttributeName": "until"}
    answer = dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wanted)
    assert answer["TimeToLiveSpecification"] == wanted
    found = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert found["TimeToLiveStatus"] in ("ENABLING", "ENABLED")
    assert found["AttributeName"] == "until"
    with refused("ValidationException"):
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wanted)


def test_tags_when_set_are_listed_replaced_and_removed(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table(Tags=[{"Key": "a", "Value": "1"}])
    arn = described(dynamodb, table)["TableArn"]
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])

    def tags() -> dict[str, str]:
        return {t["Key"]: t["Value"] for t in dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"]}

    eventually("the tags are set", lambda: tags() == {"a": "2", "b": ""})
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=["a", "absent"])
    eventually("the tag is removed", lambda: tags() == {"b": ""})
    with refused("ResourceNotFoundException"):
        dynamodb.tag_resource(ResourceArn=f"{arn}-other", Tags=[{"Key": "a", "Value": "1"}])
