"""Which requests take the hot way: those that carry a pipeline's load must, however a client writes its JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.data_plane.tables.conftest import table
from tests.unit.data_plane.tables.test_streams import Clocked

SCOPE = ("000000000000", "us-east-1")
KEY = {"id": {"S": "k"}, "n": {"N": "1"}}
ROW = {**KEY, "a": {"S": "x"}, "e": {"NULL": True}}
RICH = {**KEY, "m": {"M": {"l": {"L": [{"BOOL": True}]}}}, "q": {"S": 'a"b\\n'}, "f": {"N": "1.50"}}
HOT: list[tuple[str, dict[str, Any]]] = [
    ("PutItem", {"TableName": "events", "Item": ROW}),
    ("PutItem", {"TableName": "events", "Item": RICH, "ReturnValues": "ALL_OLD"}),
    ("DeleteItem", {"TableName": "events", "Key": KEY, "ReturnConsumedCapacity": "TOTAL"}),
    ("BatchWriteItem", {"RequestItems": {"events": [{"PutRequest": {"Item": ROW}}]}}),
    ("BatchWriteItem", {"RequestItems": {"events": [{"PutRequest": {"Item": RICH}}]}}),
    ("BatchWriteItem", {"RequestItems": {"events": [{"DeleteRequest": {"Key": KEY}}]}}),
    ("GetItem", {"TableName": "events", "Key": KEY, "ConsistentRead": True}),
    ("GetItem", {"TableName": "events", "Key": KEY, "ProjectionExpression": "a, n"}),
    ("BatchGetItem", {"RequestItems": {"events": {"Keys": [KEY]}}}),
    (
        "BatchGetItem",
        {
            "RequestItems": {
                "events": {"Keys": [KEY], "ProjectionExpression": "#a", "ExpressionAttributeNames": {"#a": "a"}}
            }
        },
    ),
    ("Scan", {"TableName": "events", "Limit": 5, "ExclusiveStartKey": KEY}),
    ("Scan", {"TableName": "events", "Segment": 0, "TotalSegments": 2, "Select": "COUNT"}),
    (
        "Query",
        {"TableName": "events", "KeyConditionExpression": "id = :i", "ExpressionAttributeValues": {":i": {"S": "k"}}},
    ),
]


@pytest.fixture(scope="module")
def service() -> Any:
    clocked = Clocked(shards=1)
    clocked.call("CreateTable", **table("events", ranged=True))
    clocked.call("PutItem", TableName="events", Item=ROW)
    return clocked.service


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize(("operation", "request_"), HOT)
def test_requests_of_the_pipeline_are_served_hot(
    service: Any, operation: str, request_: dict[str, Any], separators: tuple[str, str]
) -> None:
    body = json.dumps(request_, separators=separators).encode()
    answer = service._hot.serve(operation, SCOPE, body)
    service.catalog.rollback()
    assert answer is not None
    json.loads(answer)


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ("PutItem", {"ConditionExpression": "attribute_exists(id)"}),
        ("PutItem", {"Expected": {}}),
        ("PutItem", {"ReturnValues": "ALL_NEW"}),
        ("PutItem", {"ReturnConsumedCapacity": "SOME"}),
        ("PutItem", {"TableName": "nowhere"}),
        ("PutItem", {"Item": {"id": {"S": "k"}}}),
        ("PutItem", {"Item": {**ROW, "x": {"NS": ["1", "1"]}}}),
        ("PutItem", {"Item": None}),
        ("GetItem", {"ProjectionExpression": "a.b"}),
        ("GetItem", {"ProjectionExpression": "name"}),
        ("GetItem", {"ProjectionExpression": "a, a"}),
        ("GetItem", {"ProjectionExpression": "#a"}),
        ("GetItem", {"ExpressionAttributeNames": {"#a": "a"}}),
        ("GetItem", {"Key": {"id": {"S": "k"}}}),
        ("GetItem", {"AttributesToGet": ["a"]}),
        ("Scan", {"FilterExpression": "a = :a"}),
        ("Scan", {"Limit": 0}),
        ("Scan", {"Segment": 2, "TotalSegments": 2}),
        ("Scan", {"ExclusiveStartKey": {"id": {"S": "k"}}}),
        ("Query", {"KeyConditionExpression": "id = :i AND n > :i"}),
        ("Query", {"KeyConditionExpression": "n = :i"}),
        ("Query", {"IndexName": "x"}),
    ],
)
def test_everything_else_is_left_to_the_module_and_writes_nothing(
    service: Any, operation: str, change: dict[str, Any]
) -> None:
    request = {**next(request for name, request in HOT if name == operation), **change}
    assert service._hot.serve(operation, SCOPE, json.dumps(request).encode()) is None
    assert not service.catalog.changed


def test_batch_with_one_write_that_is_not_hot_writes_none_of_it_hot(service: Any) -> None:
    good = {"PutRequest": {"Item": {"id": {"S": "other"}, "n": {"N": "2"}}}}
    bad = {"PutRequest": {"Item": {"id": {"S": ""}, "n": {"N": "2"}}}}
    for entries in ([good, bad], [good, good], [good, {}], [good] * 26, []):
        body = json.dumps({"RequestItems": {"events": entries}}).encode()
        assert service._hot.serve("BatchWriteItem", SCOPE, body) is None
        assert not service.catalog.changed
