"""Templates' tables as calls of the API."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.data_plane.tables.cloudformation import create, plan
from harness.errors import TemplateError
from tests.unit.data_plane.tables.conftest import Tables

KEYS: dict[str, Any] = {
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}
PIPELINE: dict[str, Any] = {
    **KEYS,
    "BillingMode": "PROVISIONED",
    "ProvisionedThroughput": {"ReadCapacityUnits": "7", "WriteCapacityUnits": "5"},
    "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
    "SSESpecification": {"SSEEnabled": True},
}


def test_table_of_the_pipeline_is_made_whole(tables: Tables) -> None:
    made = create(tables.client(), plan("Rows", "pipeline", PIPELINE))
    described = tables.client().describe_table(TableName="pipeline")["Table"]
    assert (made.name, made.arn, made.stream_arn) == ("pipeline", described["TableArn"], described["LatestStreamArn"])
    assert described["ProvisionedThroughput"]["WriteCapacityUnits"] == 5
    assert described["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert described["SSEDescription"]["Status"] == "ENABLED"


def test_every_supported_property_takes_effect(tables: Tables) -> None:
    throughput = {"MaxReadRequestUnits": "20", "MaxWriteRequestUnits": 10}
    properties = {
        **KEYS,
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("id", "city")],
        "BillingMode": "PAY_PER_REQUEST",
        "OnDemandThroughput": throughput,
        "WarmThroughput": {"ReadUnitsPerSecond": 13_000, "WriteUnitsPerSecond": "5000"},
        "DeletionProtectionEnabled": "true",
        "TableClass": "STANDARD_INFREQUENT_ACCESS",
        "Tags": [{"Key": "a", "Value": "b"}],
        "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "until"},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": "true"},
        "ContributorInsightsSpecification": {"Enabled": True},
        "ResourcePolicy": {"PolicyDocument": {"Version": "2012-10-17", "Statement": []}},
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-city",
                "KeySchema": [{"AttributeName": "city", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                "OnDemandThroughput": throughput,
            }
        ],
    }
    client = tables.client()
    arn = create(client, plan("Rows", "whole", properties)).arn
    described = client.describe_table(TableName="whole")["Table"]
    assert described["OnDemandThroughput"] == {"MaxReadRequestUnits": 20, "MaxWriteRequestUnits": 10}
    assert described["WarmThroughput"]["WriteUnitsPerSecond"] == 5_000
    assert described["DeletionProtectionEnabled"] is True
    assert described["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert [i["IndexName"] for i in described["GlobalSecondaryIndexes"]] == ["by-city"]
    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    ttl = client.describe_time_to_live(TableName="whole")["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "until")
    backups = client.describe_continuous_backups(TableName="whole")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert client.describe_contributor_insights(TableName="whole")["ContributorInsightsStatus"] == "ENABLED"
    assert "Statement" in client.get_resource_policy(ResourceArn=arn)["Policy"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Replicas": []}, "Rows: property Replicas is not supported"),
        ({"KinesisStreamSpecification": {}}, "property KinesisStreamSpecification is not supported: records"),
        ({"ImportSourceSpecification": {}}, "property ImportSourceSpecification is not supported: an import"),
        ({"StreamSpecification": {"ResourcePolicy": {}}}, r"property StreamSpecification\.ResourcePolicy is not"),
        ({"ProvisionedThroughput": {"WriteCapacityUnit": 5}}, r"ProvisionedThroughput\.WriteCapacityUnit is not"),
        ({"ProvisionedThroughput": {"WriteCapacityUnits": "many"}}, "WriteCapacityUnits is 'many', a number is needed"),
        ({"ProvisionedThroughput": {"WriteCapacityUnits": True}}, "a number is needed"),
        ({"ProvisionedThroughput": 5}, "property ProvisionedThroughput must be an object"),
        ({"GlobalSecondaryIndexes": [{"Name": "x"}]}, r"GlobalSecondaryIndexes\.0\.Name is not supported"),
        ({"DeletionProtectionEnabled": "yes"}, "DeletionProtectionEnabled is 'yes', true or false is needed"),
        ({"SSESpecification": {"SSEEnabled": None}}, "SSEEnabled is None, true or false"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        plan("Rows", "rows", {**KEYS, **change})


@pytest.mark.parametrize("missing", ["KeySchema", "AttributeDefinitions"])
def test_missing_keys_are_named(missing: str) -> None:
    with pytest.raises(TemplateError, match=f"property {missing} is required"):
        plan("Rows", "rows", {k: v for k, v in KEYS.items() if k != missing})


@pytest.mark.parametrize("protected", [False, True])
def test_table_that_fails_half_is_deleted_again(tables: Tables, protected: bool) -> None:
    client = tables.client()
    calls = plan("Rows", "half", {**KEYS, "BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": protected})
    calls.append(("UpdateTimeToLive", {"TableName": "half", "TimeToLiveSpecification": {"Enabled": True}}))
    with pytest.raises(ClientError):
        create(client, calls)
    assert "half" not in client.list_tables()["TableNames"]
