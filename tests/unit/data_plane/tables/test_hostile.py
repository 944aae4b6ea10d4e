"""Requests that no client of good will sends: a clear error of AWS's kind, and the next request is served."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.depth import examples
from tests.unit.data_plane.tables.conftest import Tables, table
from tests.unit.data_plane.tables.test_streams import AUTHORIZATION, Clocked

OPERATIONS = ("PutItem", "GetItem", "DeleteItem", "BatchWriteItem", "BatchGetItem", "Scan", "Query", "UpdateItem")


@pytest.fixture(scope="module")
def ready(tables: Tables) -> Tables:
    client = tables.client()
    client.create_table(**table("events"))
    client.put_item(TableName="events", Item={"id": {"S": "canary"}})
    return tables


def post(tables: Tables, body: bytes, target: str = "DynamoDB_20120810.PutItem") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", tables.port, timeout=30)
    try:
        connection.request("POST", "/", body, {"X-Amz-Target": target})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def still_serves(tables: Tables) -> bool:
    found = tables.client().get_item(TableName="events", Key={"id": {"S": "canary"}})
    return bool(found["Item"] == {"id": {"S": "canary"}})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b"{}" * 10,
        b'{"TableName":"events","Item":{"id":{"S":"\xff"}}}',
        b'{"TableName":"events","Item":{"id":{"S":"\\ud800"}}}',
        b'{"TableName":"events","Item":' + b'{"a":{"M":' * 5_000 + b"}}" * 5_000 + b"}",
        b'{"TableName":"events","Item":{"id":{"S":"k"},"v":{"L":' + b"[" * 100_000 + b"]" * 100_000 + b"}}}",
        b'{"TableName":"events","Item":{"id":{"S":"k"},"v":{"N":"' + b"9" * 100_000 + b'"}}}',
        b'{"TableName":"events","Item":{"id":{"S":"k"},"v":{"N":"1e999999999"}}}',
        b'{"TableName":["events"],"Item":{"id":{"S":"k"}}}',
        b'{"TableName":{"a":1},"Item":{"id":{"S":"k"}}}',
        b'{"TableName":5,"Item":{"id":{"S":"k"}}}',
        b'{"TableName":"events","Item":[]}',
        b'{"TableName":"events","Item":{"id":"k"}}',
        b'{"TableName":"events","Item":{"id":["S","k"]}}',
        b'{"TableName":"events","Item":{"id":{"S":{"S":"k"}}}}',
        b'{"TableName":"events","Item":{"id":null}}',
    ],
)
def test_malformed_bodies_are_refused(ready: Tables, body: bytes) -> None:
    status, answer = post(ready, body)
    assert status == 400
    assert answer["__type"] in ("SerializationException", "ValidationException")
    assert still_serves(ready)


@pytest.mark.parametrize("target", ["", "DynamoDB_20120810", "DynamoDB_20120810.", "S3.PutObject", "x.y.z", "é.é"])
def test_unknown_targets_are_refused(ready: Tables, target: str) -> None:
    status, answer = post(ready, b"{}", target.encode().decode("latin-1"))
    assert (status, answer["__type"]) == (400, "UnknownOperationException")


def test_bodies_over_the_limit_are_refused_and_the_process_stays_small(ready: Tables) -> None:
    import psutil

    body = b'{"TableName":"events","Item":{"id":{"S":"' + b"x" * (100 * 1024 * 1024) + b'"}}}'
    status, answer = post(ready, body)
    assert (status, answer["__type"]) == (413, "RequestEntityTooLargeException")
    assert still_serves(ready)
    assert psutil.Process(ready.process.pid).memory_info().rss < 300 * 1024 * 1024


def test_half_a_request_leaves_others_alone(ready: Tables) -> None:
    half = socket.create_connection(("127.0.0.1", ready.port))
    half.sendall(b"POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.PutItem\r\nContent-Length: 1000\r\n\r\n{")
    assert still_serves(ready)
    half.close()
    assert still_serves(ready)


def test_only_loopback_is_listened_on(ready: Tables) -> None:
    import psutil

    listening = [c for c in psutil.Process(ready.process.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert [c.laddr.ip for c in listening] == ["127.0.0.1"]


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["S", "N", "B", "M", "L", "SS", "NULL", "id", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
REQUESTS: dict[str, dict[str, Any]] = {
    "PutItem": {"TableName": "events", "Item": {"id": {"S": "k"}}},
    "GetItem": {"TableName": "events", "Key": {"id": {"S": "k"}}},
    "DeleteItem": {"TableName": "events", "Key": {"id": {"S": "k"}}},
    "BatchWriteItem": {"RequestItems": {"events": [{"PutRequest": {"Item": {"id": {"S": "k"}}}}]}},
    "BatchGetItem": {"RequestItems": {"events": {"Keys": [{"id": {"S": "k"}}]}}},
    "Scan": {"TableName": "events"},
    "Query": {
        "TableName": "events",
        "KeyConditionExpression": "id = :i",
        "ExpressionAttributeValues": {":i": {"S": "k"}},
    },
}
MEMBERS = """
    TableName Item Key RequestItems Limit ExclusiveStartKey Segment TotalSegments Select ConsistentRead ReturnValues
    ReturnConsumedCapacity ProjectionExpression ExpressionAttributeNames ExpressionAttributeValues
    KeyConditionExpression FilterExpression ConditionExpression Expected AttributesToGet ScanFilter IndexName
""".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def clocked() -> Clocked:
    clocked = Clocked(shards=1)
    clocked.call("CreateTable", **table("events"))
    return clocked


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operation=st.sampled_from(list(REQUESTS)), member=st.sampled_from(MEMBERS), value=values)
def test_any_member_may_have_any_value(clocked: Clocked, operation: str, member: str, value: Any) -> None:
    """No value makes the service fail, or leaves anything pending or unreadable."""
    body = json.dumps({**REQUESTS[operation], member: value}).encode("utf-8", "surrogatepass")
    headers = {b"x-amz-target": f"DynamoDB_20120810.{operation}".encode(), b"authorization": AUTHORIZATION}
    status, _, answer = clocked.service.handle("/", headers, body)
    assert status in (200, 400)
    json.loads(answer)
    assert not clocked.service.catalog.changed
    assert clocked.call("Scan", TableName="events")["Count"] <= 100
