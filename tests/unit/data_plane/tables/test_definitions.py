"""Operations on whole tables: what the module swaps or copies wholesale ends up in stores like everything else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.data_plane.tables.conftest import Tables, records, stream, table
from tests.unit.data_plane.tables.test_protocol import PLAIN, RICH, scanned
from tests.unit.data_plane.tables.test_streams import Clocked


def test_backups_and_restored_tables_hold_the_items_and_survive_a_kill(kept: Tables) -> None:
    client = kept.client()
    client.create_table(**table("source"))
    for item in (PLAIN, RICH):
        client.put_item(TableName="source", Item=item)
    backup = client.create_backup(TableName="source", BackupName="first")["BackupDetails"]["BackupArn"]
    described = client.describe_backup(BackupArn=backup)["BackupDescription"]
    assert described["SourceTableDetails"]["ItemCount"] == 2
    client.delete_item(TableName="source", Key={"id": {"S": "k"}})
    client.restore_table_from_backup(TargetTableName="restored", BackupArn=backup)
    client.restore_table_to_point_in_time(
        SourceTableName="source", TargetTableName="copied", UseLatestRestorableTime=True
    )
    for _ in range(2):
        assert {i["id"]["S"] for i in scanned(client, "restored")} == {"k", "rich"}
        assert {i["id"]["S"] for i in scanned(client, "copied")} == {"rich"}
        assert client.describe_table(TableName="restored")["Table"]["ItemCount"] == 2
        assert [b["BackupName"] for b in client.list_backups()["BackupSummaries"]] == ["first"]
        kept.kill()
        kept.start()
        client = kept.client()
    client.put_item(TableName="restored", Item={"id": {"S": "new"}})
    assert len(scanned(client, "restored")) == 3
    assert len(scanned(client, "copied")) == 1


def test_replicas_follow_in_their_region(tables: Tables) -> None:
    here, there = tables.client(), tables.client(region="eu-west-1")
    here.create_table(**table("global", **stream()))
    here.put_item(TableName="global", Item=PLAIN)
    here.update_table(TableName="global", ReplicaUpdates=[{"Create": {"RegionName": "eu-west-1"}}])
    assert scanned(there, "global") == [PLAIN]
    here.batch_write_item(RequestItems={"global": [{"PutRequest": {"Item": RICH}}]})
    there.delete_item(TableName="global", Key={"id": {"S": "k"}})
    assert scanned(here, "global") == scanned(there, "global") == [RICH]
    arn = here.describe_table(TableName="global")["Table"]["LatestStreamArn"]
    assert [r["eventName"] for r in records(tables, arn)].count("REMOVE") == 1


def test_index_added_later_has_the_items_written_before(tables: Tables) -> None:
    client = tables.client()
    client.create_table(**table("late"))
    for n in range(4):
        client.put_item(TableName="late", Item={"id": {"S": str(n)}, "city": {"S": f"c{n % 2}"}})
    client.update_table(
        TableName="late",
        AttributeDefinitions=[{"AttributeName": "city", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "by-city",
                    "KeySchema": [{"AttributeName": "city", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            }
        ],
    )
    asked = {
        "TableName": "late",
        "IndexName": "by-city",
        "KeyConditionExpression": "city = :c",
        "ExpressionAttributeValues": {":c": {"S": "c1"}},
    }
    assert client.query(**asked)["Count"] == 2
    client.put_item(TableName="late", Item={"id": {"S": "9"}, "city": {"S": "c1"}})
    assert client.query(**asked)["Count"] == 3
    assert client.scan(TableName="late", IndexName="by-city", ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"] == {
        "TableName": "late",
        "CapacityUnits": 0.5,
        "Table": {"CapacityUnits": 0.0},
        "GlobalSecondaryIndexes": {"by-city": {"CapacityUnits": 0.5}},
    }


def provisioned_index(clocked: Clocked) -> dict[str, Any]:
    throughput = {"ReadCapacityUnits": 100, "WriteCapacityUnits": 100}
    clocked.call(
        "CreateTable",
        **{
            **table("events"),
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": throughput,
            "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("id", "city")],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "by-city",
                    "KeySchema": [{"AttributeName": "city", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                    "ProvisionedThroughput": {"ReadCapacityUnits": 10, "WriteCapacityUnits": 2},
                }
            ],
        },
    )
    return {
        "TableName": "events",
        "IndexName": "by-city",
        "KeyConditionExpression": "city = :c",
        "ExpressionAttributeValues": {":c": {"S": "c"}},
    }


def test_write_refused_by_an_index_leaves_table_and_index_alike() -> None:
    clocked = Clocked(enforce_capacity=True)
    asked = provisioned_index(clocked)
    assert clocked.call("Query", **asked)["Count"] == 0

    def put(name: str, **options: Any) -> None:
        clocked.call("PutItem", TableName="events", Item={"id": {"S": name}, "city": {"S": "c"}}, **options)

    put("1")
    put("2")
    for options in ({}, {"ConditionExpression": "attribute_not_exists(id)"}):
        with pytest.raises(ClientError, match="ProvisionedThroughputExceeded"):
            put("3", **options)
    clocked.now += 1_000
    assert clocked.call("Query", **asked)["Count"] == 2
    assert clocked.call("Scan", TableName="events")["Count"] == 2
    assert clocked.call("DescribeTable", TableName="events")["Table"]["ItemCount"] == 2


def test_full_disk_is_an_error_that_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocked = Clocked(directory=tmp_path, shards=2)
    arn = clocked.call("CreateTable", **table("events", **stream()))["TableDescription"]["LatestStreamArn"]
    clocked.put(*map(str, range(10)))
    update = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"S": "x"}}}

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        for operation, request in (
            ("PutItem", {"TableName": "events", "Item": {"id": {"S": "new"}}}),
            ("UpdateItem", {"TableName": "events", "Key": {"id": {"S": "1"}}, **update}),
            ("BatchWriteItem", {"RequestItems": {"events": [{"DeleteRequest": {"Key": {"id": {"S": "2"}}}}]}}),
        ):
            with pytest.raises(ClientError, match=r"InternalServerError.*No space left"):
                clocked.call(operation, **request)
    assert clocked.call("Scan", TableName="events")["Count"] == 10
    clocked.put("new")
    assert sum(len(clocked.keys(clocked.iterator(arn, n))[0]) for n in range(2)) == 11
    clocked.service.close()


def test_shards_follow_partitions_that_heat_has_split() -> None:
    clocked = Clocked(enforce_capacity=True)
    arn = clocked.call("CreateTable", **table("events", **stream()))["TableDescription"]["LatestStreamArn"]
    assert len(clocked.shards(arn)) == 4
    warm = {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 7_000}
    clocked.call("UpdateTable", TableName="events", WarmThroughput=warm)
    assert clocked.call("DescribeTable", TableName="events")["Table"]["WarmThroughput"] == {**warm, "Status": "ACTIVE"}
    clocked.put("a", "b", "c")
    clocked.service.tend()
    shards = clocked.shards(arn)
    assert len([s for s in shards if "EndingSequenceNumber" not in s["SequenceNumberRange"]]) == 7
    assert any("ParentShardId" in s for s in shards)
