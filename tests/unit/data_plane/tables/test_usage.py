"""What tables consume is counted exactly, whether or not anybody asks or anything is enforced."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.data_plane.tables.conftest import stream, table
from tests.unit.data_plane.tables.test_streams import Clocked

KB = 1024
BY_V = {
    "IndexName": "by-v",
    "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}


def used(world: Clocked, what: str) -> float:
    ((value,),) = [[used[what]] for used in world.service.usage()]
    return float(value)


def item(key: str, size: int) -> dict[str, Any]:
    """Return an item of `size` bytes: names and values count."""
    return {"id": {"S": key}, "v": {"S": "x" * (size - len("id") - len(key) - len("v"))}}


@pytest.fixture(params=["unlimited", "enforced", "asked"])
def world(request: pytest.FixtureRequest) -> Clocked:
    made = Clocked(enforce_capacity=request.param == "enforced")
    made.call("CreateTable", **table("events", **stream()))
    if request.param == "asked":
        call = made.call

        def asking(operation: str, service: str = "DynamoDB_20120810", **given: Any) -> dict[str, Any]:
            more = {} if service.startswith("DynamoDBStreams") else {"ReturnConsumedCapacity": "TOTAL"}
            return call(operation, service, **given, **more)

        made.call = asking  # type: ignore[method-assign]
    return made


def test_writes_count_the_larger_version_in_kilobytes(world: Clocked) -> None:
    world.call("PutItem", TableName="events", Item=item("a", KB))
    assert used(world, "WriteUnits") == 1
    world.call("PutItem", TableName="events", Item=item("a", 3 * KB + 1))
    assert used(world, "WriteUnits") == 1 + 4
    puts = [{"PutRequest": {"Item": item(key, size)}} for key, size in (("a", 10), ("b", KB + 1), ("c", 100))]
    world.call("BatchWriteItem", RequestItems={"events": puts})
    assert used(world, "WriteUnits") == 5 + 4 + 2 + 1
    world.call("DeleteItem", TableName="events", Key={"id": {"S": "b"}})
    world.call("DeleteItem", TableName="events", Key={"id": {"S": "nobody"}})
    assert used(world, "WriteUnits") == 12 + 2 + 1


def test_conditional_writes_and_transactions_count_like_others_and_twice(world: Clocked) -> None:
    put: dict[str, Any] = {
        "TableName": "events",
        "Item": item("a", 2 * KB),
        "ConditionExpression": "attribute_not_exists(id)",
    }
    world.call("PutItem", **put)
    assert used(world, "WriteUnits") == 2
    world.call("TransactWriteItems", TransactItems=[{"Put": {"TableName": "events", "Item": item("b", 3 * KB)}}])
    assert used(world, "WriteUnits") == 2 + 6


def test_reads_count_four_kilobytes_or_half(world: Clocked) -> None:
    world.call("PutItem", TableName="events", Item=item("a", 5 * KB))
    world.call("GetItem", TableName="events", Key={"id": {"S": "a"}})
    assert used(world, "ReadUnits") == 1
    keys = [{"id": {"S": "a"}}, {"id": {"S": "nobody"}}]
    world.call("BatchGetItem", RequestItems={"events": {"Keys": keys, "ConsistentRead": True}})
    assert used(world, "ReadUnits") == 1 + 2 + 1


def test_indexes_count_without_enforcement() -> None:
    world = Clocked()
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("id", "v")]
    world.call("CreateTable", **{**table("events"), "AttributeDefinitions": attributes}, GlobalSecondaryIndexes=[BY_V])
    world.put("a")
    assert used(world, "WriteUnits") == 1 + 1
    world.put("a", v="2")
    assert used(world, "WriteUnits") == 2 + 1 + 2


def test_stream_reads_are_counted_by_the_call(world: Clocked) -> None:
    world.put("a", "b")
    (arn,) = [s["StreamArn"] for s in world.stream("ListStreams")["Streams"]]
    iterator = world.iterator(arn)
    for _ in range(3):
        world.keys(iterator)
    assert used(world, "StreamReads") == 3


def test_what_is_asked_on_the_unmetered_path_is_neither_counted_nor_throttled() -> None:
    world = Clocked(enforce_capacity=True)
    throughput = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    world.call("CreateTable", **{**table("events"), "BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput})
    world.put("a")
    headers = {b"x-amz-target": b"DynamoDB_20120810.GetItem"}
    body = orjson.dumps({"TableName": "events", "Key": {"id": {"S": "a"}}, "ConsistentRead": True})
    for path in ("/_tables/unmetered", "/_tables/unmetered/"):
        answers = [world.service.handle(path, headers, body) for _ in range(20)]
        assert {status for status, _, _ in answers} == {200}
        assert orjson.loads(answers[0][2])["Item"]["id"] == {"S": "a"}
    assert used(world, "ReadUnits") == 0
    statuses = [world.service.handle("/", headers, body)[0] for _ in range(3)]
    assert statuses == [200, 400, 400]
