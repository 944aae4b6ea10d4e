"""The same requests to our service and to MiniStack's module on its own dictionaries: the answers must be the same.

The module decides what a refusal says and what the long way returns; the hot way must not be told from it.
"""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from ministack.core.responses import request_scope

from harness.data_plane.tables import module as ministack
from tests.depth import examples
from tests.unit.data_plane.tables.conftest import table
from tests.unit.data_plane.tables.test_streams import AUTHORIZATION, Clocked

PLAIN = ("000000000000", "xx-plain-1")
"""Where the module keeps a table that no store has taken over."""

texts = st.sampled_from(["", "a", "b", "é€", 'q"\\', "2"])
numbers = st.sampled_from(["0", "1", "-1", "2", "10", "1.0", "1.50", "-0", "1e2", "x", "", "9" * 39])
scalars = st.one_of(
    texts.map(lambda s: {"S": s}),
    numbers.map(lambda n: {"N": n}),
    st.sampled_from(
        [{"NULL": True}, {"NULL": False}, {"BOOL": True}, {"B": "AP8="}, {"B": "?"}, {}, {"S": "a", "N": "1"}]
    ),
)
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=2).map(lambda entries: {"L": entries}),
    st.dictionaries(texts, scalars, max_size=2).map(lambda entries: {"M": entries}),
    st.sampled_from([{"SS": ["b", "a"]}, {"SS": ["a", "a"]}, {"SS": []}, {"NS": ["1", "1.0"]}, {"NS": ["2", "1"]}]),
)
good_key = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "c"]).map(lambda s: {"S": s}),
        "n": st.sampled_from("123").map(lambda n: {"N": n}),
    }
)
keys = st.one_of(good_key, good_key, good_key, st.dictionaries(st.sampled_from(["id", "n", "x"]), scalars, max_size=3))
items = st.builds(
    lambda key, rest: {**rest, **key}, keys, st.dictionaries(st.sampled_from(["v", "w", "city"]), values, max_size=3)
)
entries = items.map(lambda i: {"PutRequest": {"Item": i}}) | keys.map(lambda k: {"DeleteRequest": {"Key": k}})
capacity = st.sampled_from(["NONE", "TOTAL", "INDEXES"])
compact = st.sampled_from([(",", ":"), (", ", ": ")])


def comparable(body: Any) -> Any:
    """Return an answer without what may differ: order of scanned items, capacity of reads, empty members."""
    if isinstance(body, dict):
        body = {k: comparable(v) for k, v in body.items() if k != "ConsumedCapacity"}
        if "Items" in body:
            body["Items"] = sorted(body["Items"], key=lambda item: json.dumps(item, sort_keys=True))
    elif isinstance(body, list):
        return [comparable(entry) for entry in body]
    return body


class DifferenceMachine(RuleBasedStateMachine):
    """Requests to both."""

    @initialize(indexed=st.booleans())
    def create(self, indexed: bool) -> None:
        self.clocked = Clocked(shards=2)
        self.module = ministack.load()
        definition = table("events", ranged=True)
        if indexed:
            definition["AttributeDefinitions"] = [
                *definition["AttributeDefinitions"],
                {"AttributeName": "city", "AttributeType": "S"},
            ]
            definition["GlobalSecondaryIndexes"] = [
                {
                    "IndexName": "by-city",
                    "KeySchema": [{"AttributeName": "city", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ]
        self.clocked.call("CreateTable", **definition)
        with request_scope(*PLAIN):
            assert self.module._create_table(definition)[0] == 200

    def both(self, operation: str, request: dict[str, Any], separators: tuple[str, str] = (",", ":")) -> None:
        body = json.dumps(request, separators=separators, ensure_ascii=False).encode()
        headers = {b"x-amz-target": f"DynamoDB_20120810.{operation}".encode(), b"authorization": AUTHORIZATION}
        status, _, ours = self.clocked.service.handle("/", headers, body)
        with request_scope(*PLAIN):
            wanted, _, theirs = getattr(self.module, ministack.OPERATIONS[operation])(orjson.loads(body))
        found, expected = orjson.loads(ours), orjson.loads(theirs)
        assert (status, comparable(found)) == (wanted, comparable(expected)), request
        if operation in ("PutItem", "DeleteItem", "BatchWriteItem", "UpdateItem"):
            assert found.get("ConsumedCapacity") == expected.get("ConsumedCapacity"), request

    @rule(item=items, old=st.sampled_from(["NONE", "ALL_OLD"]), capacity=capacity, separators=compact)
    def put(self, item: Any, old: str, capacity: str, separators: Any) -> None:
        request = {"TableName": "events", "Item": item, "ReturnValues": old, "ReturnConsumedCapacity": capacity}
        self.both("PutItem", request, separators)

    @rule(key=keys, old=st.sampled_from(["NONE", "ALL_OLD"]), capacity=capacity)
    def delete(self, key: Any, old: str, capacity: str) -> None:
        request = {"TableName": "events", "Key": key, "ReturnValues": old, "ReturnConsumedCapacity": capacity}
        self.both("DeleteItem", request)

    @rule(
        entries=st.lists(
            items.map(lambda i: {"PutRequest": {"Item": i}}) | keys.map(lambda k: {"DeleteRequest": {"Key": k}}),
            max_size=4,
        ),
        capacity=capacity,
    )
    def batch(self, entries: Any, capacity: str) -> None:
        self.both("BatchWriteItem", {"RequestItems": {"events": entries}, "ReturnConsumedCapacity": capacity})

    @rule(key=keys, projection=st.sampled_from([None, "v", "v, w", "v.a", "v, v", "name"]))
    def get(self, key: Any, projection: str | None) -> None:
        asked = {} if projection is None else {"ProjectionExpression": projection}
        self.both("GetItem", {"TableName": "events", "Key": key, **asked})

    @rule(keys=st.lists(keys, min_size=1, max_size=4), projection=st.sampled_from([None, "v, id"]))
    def batch_get(self, keys: Any, projection: str | None) -> None:
        asked = {} if projection is None else {"ProjectionExpression": projection}
        self.both("BatchGetItem", {"RequestItems": {"events": {"Keys": keys, **asked}}})

    @rule(key=keys, value=values)
    def update(self, key: Any, value: Any) -> None:
        self.both(
            "UpdateItem",
            {
                "TableName": "events",
                "Key": key,
                "UpdateExpression": "SET v = :v",
                "ExpressionAttributeValues": {":v": value},
                "ReturnValues": "ALL_NEW",
            },
        )

    @rule(key=scalars, forward=st.booleans(), limit=st.sampled_from([None, 1, 2]))
    def query(self, key: Any, forward: bool, limit: int | None) -> None:
        self.both(
            "Query",
            {
                "TableName": "events",
                "KeyConditionExpression": "id = :i",
                "ExpressionAttributeValues": {":i": key},
                "ScanIndexForward": forward,
                **({"Limit": limit} if limit else {}),
            },
        )

    @rule(expression=st.sampled_from([None, "attribute_exists(v)", "v = :x"]))
    def scan(self, expression: str | None) -> None:
        asked = {} if expression is None else {"FilterExpression": expression}
        self.both("Scan", {"TableName": "events", **asked})

    @rule(city=texts)
    def query_index(self, city: str) -> None:
        self.both(
            "Query",
            {
                "TableName": "events",
                "IndexName": "by-city",
                "KeyConditionExpression": "city = :c",
                "ExpressionAttributeValues": {":c": {"S": city}},
            },
        )

    def teardown(self) -> None:
        if hasattr(self, "clocked"):
            self.clocked.service.close()
            self.module._tables.clear()


DifferenceMachine.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
TestDifference = DifferenceMachine.TestCase
