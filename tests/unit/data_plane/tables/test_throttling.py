"""Capacity enforced, as a client meets it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.data_plane.tables.capacity import Throttled
from harness.data_plane.tables.keys import hash_of
from tests.unit.data_plane.tables.conftest import Tables, stream, table
from tests.unit.data_plane.tables.test_streams import Clocked


def provisioned(name: str, units: int, **settings: Any) -> dict[str, Any]:
    throughput = {"ReadCapacityUnits": units, "WriteCapacityUnits": units}
    return {**table(name, **settings), "BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput}


def puts(*names: str) -> list[dict[str, Any]]:
    return [{"PutRequest": {"Item": {"id": {"S": name}, "v": {"N": "1"}}}} for name in names]


@pytest.fixture
def clocked() -> Clocked:
    return Clocked(enforce_capacity=True)


def test_batch_over_capacity_returns_the_rest_unprocessed_then_is_refused(throttling: Tables) -> None:
    client = throttling.client()
    client.create_table(**provisioned("small", 3))
    names = [str(n) for n in range(25)]
    answer = client.batch_write_item(RequestItems={"small": puts(*names)}, ReturnConsumedCapacity="TOTAL")
    rest = [entry["PutRequest"]["Item"] for entry in answer["UnprocessedItems"]["small"]]
    done = answer["ConsumedCapacity"][0]["CapacityUnits"]
    assert len(rest) == 25 - done
    assert 3 <= done <= 10
    assert rest == [entry["PutRequest"]["Item"] for entry in puts(*names)][int(done) :]
    with pytest.raises(ClientError) as refused:
        for _ in range(50):
            client.put_item(TableName="small", Item={"id": {"S": "x"}})
    error: Any = refused.value.response
    assert error["Error"]["Code"] == "ProvisionedThroughputExceededException"
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/small"
    assert error["ThrottlingReasons"] == [{"reason": "TableWriteProvisionedThroughputExceeded", "resource": arn}]
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_on_demand_throttling_has_its_own_exception(throttling: Tables) -> None:
    client = throttling.client()
    client.create_table(**table("capped", OnDemandThroughput={"MaxWriteRequestUnits": 2, "MaxReadRequestUnits": 2}))
    with pytest.raises(ClientError) as refused:
        for n in range(100):
            client.put_item(TableName="capped", Item={"id": {"S": str(n)}})
    error: Any = refused.value.response
    assert error["Error"]["Code"] == "ThrottlingException"
    assert [r["reason"] for r in error["throttlingReasons"]] == ["TableWriteMaxOnDemandThroughputExceeded"]


def test_nothing_of_a_throttled_write_is_stored(clocked: Clocked) -> None:
    clocked.call("CreateTable", **provisioned("events", 2, **stream()))
    written = 0
    for n in range(10):
        try:
            clocked.put(str(n))
        except ClientError:
            continue
        written += 1
    assert written == 2
    update = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"S": "x"}}}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("UpdateItem", {"Key": {"id": {"S": "u"}}, **update}),
        ("PutItem", {"Item": {"id": {"S": "p"}}, "ConditionExpression": "attribute_not_exists(id)"}),
    ]
    for operation, request in requests:
        with pytest.raises(ClientError, match="ProvisionedThroughputExceeded"):
            clocked.call(operation, TableName="events", **request)
    assert clocked.call("DescribeTable", TableName="events")["Table"]["ItemCount"] == 2
    clocked.now += 2_000
    assert clocked.call("Scan", TableName="events")["Count"] == 2
    (arn,) = [s["StreamArn"] for s in clocked.stream("ListStreams")["Streams"]]
    assert len(clocked.keys(clocked.iterator(arn))[0]) == 2


def test_reads_are_throttled_by_size_and_batches_in_part(clocked: Clocked) -> None:
    clocked.call("CreateTable", **provisioned("events", 4))
    clocked.now += 300_000
    clocked.put(*map(str, range(8)), v="x" * 8_000)
    clocked.now += 1_000
    (held,) = clocked.service.catalog.tables.values()
    # All but one second's flow of the burst is used up.
    while True:
        try:
            clocked.service.ledger.require_read((held.key, 0, 4.0, ()))
        except Throttled:
            break
    clocked.now += 1_000
    keys = [{"id": {"S": str(n)}} for n in range(8)]
    got = clocked.call("BatchGetItem", RequestItems={"events": {"Keys": keys, "ConsistentRead": True}})
    assert len(got["Responses"]["events"]) == 2
    assert got["UnprocessedKeys"]["events"] == {"Keys": keys[2:], "ConsistentRead": True}
    with pytest.raises(ClientError, match="ProvisionedThroughputExceeded"):
        clocked.call("BatchGetItem", RequestItems={"events": {"Keys": keys}})
    reads: list[tuple[str, dict[str, Any]]] = [
        ("GetItem", {"Key": keys[0]}),
        ("GetItem", {"Key": keys[0], "ProjectionExpression": "v.a"}),
        ("Scan", {}),
        ("Scan", {"FilterExpression": "attribute_exists(id)"}),
        ("Query", {"KeyConditionExpression": "id = :i", "ExpressionAttributeValues": {":i": {"S": "1"}}}),
    ]
    for operation, request in reads:
        with pytest.raises(ClientError, match="ProvisionedThroughputExceeded"):
            clocked.call(operation, TableName="events", **request)


def test_usage_says_what_was_consumed_and_refused(clocked: Clocked) -> None:
    clocked.call("CreateTable", **provisioned("events", 2))
    refused = 0
    for n in range(5):
        try:
            clocked.put(str(n))
        except ClientError:
            refused += 1
    status, _, body = clocked.service.handle("/_tables/usage", {}, b"")
    assert (status, refused) == (200, 3)
    assert json.loads(body)["Tables"] == [
        {
            "Account": "000000000000",
            "Region": "us-east-1",
            "TableName": "events",
            "ReadUnits": 0.0,
            "WriteUnits": 2.0,
            "StreamReads": 0,
            "Throttled": {"TableWriteProvisionedThroughputExceeded": 3},
            "ThrottledRequests": {"TableWriteProvisionedThroughputExceeded": 3},
        }
    ]
    clocked.call("DeleteTable", TableName="events")
    assert clocked.service.usage() == []


def test_changed_capacity_counts_at_once(clocked: Clocked) -> None:
    clocked.call("CreateTable", **provisioned("events", 1))
    clocked.put("a")
    with pytest.raises(ClientError):
        clocked.put("b")
    more = {"ReadCapacityUnits": 50, "WriteCapacityUnits": 50}
    clocked.call("UpdateTable", TableName="events", ProvisionedThroughput=more)
    clocked.now += 1_000
    clocked.put(*map(str, range(50)))


def test_queries_are_charged_to_the_partition_of_their_key(clocked: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    clocked.call("CreateTable", **table("events", ranged=True))
    charged: list[tuple[int, float]] = []
    monkeypatch.setattr(clocked.service.ledger, "require_read", lambda charge: charged.append((charge[1], charge[2])))
    values = {":i": {"S": "a"}, ":n": {"N": "1"}}
    condition: dict[str, Any] = {"KeyConditionExpression": "id = :i AND n > :n", "ExpressionAttributeValues": values}
    clocked.call("Query", TableName="events", **condition)
    legacy = {"id": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "b"}]}}
    clocked.call("Query", TableName="events", KeyConditions=legacy, ConsistentRead=True)
    assert charged == [(hash_of(b"a"), 0.5), (hash_of(b"b"), 1.0)]
