"""DynamoDB Streams through boto3, and on a clock of the test's own."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError

from harness.data_plane.tables.service import TableService
from harness.data_plane.tables.shards import RETENTION_MS, ROLL_MS
from harness.data_plane.tables.streams import ITERATOR_MS
from tests.unit.data_plane.tables.conftest import Tables, records, stream, table

AUTHORIZATION = b"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host"


class Clocked:
    """A service in this process, on a clock that the test turns."""

    def __init__(self, **options: Any) -> None:
        self.now = 1_700_000_000_000
        self.service = TableService(clock=lambda: self.now, **options)

    def call(self, operation: str, service: str = "DynamoDB_20120810", **request: Any) -> dict[str, Any]:
        """Return the answer; a refusal raises ClientError."""
        headers = {b"x-amz-target": f"{service}.{operation}".encode(), b"authorization": AUTHORIZATION}
        status, _, body = self.service.handle("/", headers, orjson.dumps(request))
        answer: dict[str, Any] = json.loads(body)
        if status != 200:
            raise ClientError({"Error": {"Code": answer["__type"], "Message": answer["message"]}}, operation)
        return answer

    def stream(self, operation: str, **request: Any) -> dict[str, Any]:
        """Call an operation of streams."""
        return self.call(operation, "DynamoDBStreams_20120810", **request)

    def put(self, *keys: str, v: str = "1") -> None:
        """Put items into the table `events`."""
        for key in keys:
            self.call("PutItem", TableName="events", Item={"id": {"S": key}, "v": {"S": v}})

    def shards(self, arn: str) -> list[dict[str, Any]]:
        """Return the shards of a stream."""
        found: list[dict[str, Any]] = self.stream("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]
        return found

    def iterator(self, arn: str, shard: int = 0, kind: str = "TRIM_HORIZON", **position: str) -> str:
        """Return an iterator for one of the shards."""
        shard_id = self.shards(arn)[shard]["ShardId"]
        request = {"StreamArn": arn, "ShardId": shard_id, "ShardIteratorType": kind, **position}
        return str(self.stream("GetShardIterator", **request)["ShardIterator"])

    def keys(self, iterator: str, **options: Any) -> tuple[list[str], str | None]:
        """Return the keys of the records read, and the next iterator."""
        page = self.stream("GetRecords", ShardIterator=iterator, **options)
        return [r["dynamodb"]["Keys"]["id"]["S"] for r in page["Records"]], page.get("NextShardIterator")


@pytest.fixture
def clocked() -> Clocked:
    return Clocked(shards=1)


def created(clocked: Clocked, view: str = "NEW_AND_OLD_IMAGES") -> str:
    return str(clocked.call("CreateTable", **table("events", **stream(view)))["TableDescription"]["LatestStreamArn"])


IMAGES = {
    "KEYS_ONLY": set(),
    "NEW_IMAGE": {"NewImage"},
    "OLD_IMAGE": {"OldImage"},
    "NEW_AND_OLD_IMAGES": {"NewImage", "OldImage"},
}


@pytest.mark.parametrize("view", IMAGES)
def test_records_have_the_images_of_the_view(tables: Tables, view: str) -> None:
    client = tables.client()
    name = f"view-{view.lower()}"
    arn = client.create_table(**table(name, **stream(view)))["TableDescription"]["LatestStreamArn"]
    first = {"id": {"S": 'k"€'}, "v": {"B": b"\x00"}}
    second = {**first, "v": {"M": {"a": {"NS": ["1", "2"]}}}}
    client.put_item(TableName=name, Item=first)
    client.put_item(TableName=name, Item=first)
    client.put_item(TableName=name, Item=second)
    client.delete_item(TableName=name, Key={"id": first["id"]})
    client.delete_item(TableName=name, Key={"id": first["id"]})
    insert, modify, remove = records(tables, arn)
    assert [r["eventName"] for r in (insert, modify, remove)] == ["INSERT", "MODIFY", "REMOVE"]
    for record, new, old in ((insert, first, None), (modify, second, first), (remove, None, second)):
        change = record["dynamodb"]
        wanted = {n: i for n, i in (("NewImage", new), ("OldImage", old)) if i is not None and n in IMAGES[view]}
        assert {n: change[n] for n in ("NewImage", "OldImage") if n in change} == wanted
        assert change["Keys"] == {"id": first["id"]}
        assert change["StreamViewType"] == view
        assert change["SizeBytes"] > 0
        assert (record["eventSource"], record["awsRegion"], record["eventVersion"]) == (
            "aws:dynamodb",
            "us-east-1",
            "1.1",
        )
        assert "userIdentity" not in record
    assert len({r["eventID"] for r in (insert, modify, remove)}) == 3
    numbers = [int(r["dynamodb"]["SequenceNumber"]) for r in (insert, modify, remove)]
    assert numbers == sorted(set(numbers))


def test_size_of_a_record_is_that_of_keys_and_images(clocked: Clocked) -> None:
    arn = created(clocked)
    clocked.put("k", v="12345")
    (record,) = clocked.stream("GetRecords", ShardIterator=clocked.iterator(arn))["Records"]
    assert record["dynamodb"]["SizeBytes"] == len("id" + "k") + len("id" + "k" + "v" + "12345")


def test_new_on_demand_table_has_four_shards_and_each_key_one(tables: Tables) -> None:
    client = tables.client()
    arn = client.create_table(**table("four", **stream()))["TableDescription"]["LatestStreamArn"]
    for version in range(3):
        requests = [{"PutRequest": {"Item": {"id": {"S": str(n)}, "v": {"S": str(version)}}}} for n in range(25)]
        client.batch_write_item(RequestItems={"four": requests})
    streams = tables.client("dynamodbstreams")
    shards = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    assert len(shards) == 4
    assert all("ParentShardId" not in s and "EndingSequenceNumber" not in s["SequenceNumberRange"] for s in shards)
    found = records(tables, arn, limit=7)
    assert len(found) == 75
    for n in range(25):
        versions = [r["dynamodb"]["NewImage"]["v"]["S"] for r in found if r["dynamodb"]["Keys"]["id"]["S"] == str(n)]
        assert versions == ["0", "1", "2"]


def test_iterators_start_where_they_say(clocked: Clocked) -> None:
    arn = created(clocked)
    clocked.put("a", "b", "c")
    page = clocked.stream("GetRecords", ShardIterator=clocked.iterator(arn))
    numbers = [r["dynamodb"]["SequenceNumber"] for r in page["Records"]]
    latest = clocked.iterator(arn, kind="LATEST")
    assert clocked.keys(clocked.iterator(arn, kind="AT_SEQUENCE_NUMBER", SequenceNumber=numbers[1]))[0] == ["b", "c"]
    assert clocked.keys(clocked.iterator(arn, kind="AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[1]))[0] == ["c"]
    assert clocked.keys(latest)[0] == []
    clocked.put("d")
    assert clocked.keys(latest)[0] == ["d"]
    keys, following = clocked.keys(clocked.iterator(arn), Limit=3)
    assert keys == ["a", "b", "c"]
    assert following is not None
    assert clocked.keys(following)[0] == ["d"]
    (shard,) = clocked.shards(arn)
    assert shard["SequenceNumberRange"] == {"StartingSequenceNumber": numbers[0]}


def test_iterators_expire_after_a_quarter_of_an_hour(clocked: Clocked) -> None:
    arn = created(clocked)
    iterator = clocked.iterator(arn)
    clocked.now += ITERATOR_MS
    assert clocked.keys(iterator)[0] == []
    clocked.now += 1
    with pytest.raises(ClientError, match="ExpiredIteratorException"):
        clocked.keys(iterator)


def test_records_older_than_a_day_are_gone(clocked: Clocked) -> None:
    arn = created(clocked)
    clocked.put("old")
    (old,) = clocked.stream("GetRecords", ShardIterator=clocked.iterator(arn))["Records"]
    clocked.now += RETENTION_MS - ITERATOR_MS + 1
    early = clocked.iterator(arn)
    clocked.put("new")
    clocked.now += ITERATOR_MS
    with pytest.raises(ClientError, match="TrimmedDataAccessException"):
        clocked.keys(early)
    with pytest.raises(ClientError, match="TrimmedDataAccessException"):
        clocked.iterator(arn, kind="AT_SEQUENCE_NUMBER", SequenceNumber=old["dynamodb"]["SequenceNumber"])
    assert clocked.keys(clocked.iterator(arn))[0] == ["new"]
    assert clocked.call("GetItem", TableName="events", Key={"id": {"S": "old"}})["Item"]["id"] == {"S": "old"}


def test_shards_roll_into_children_which_follow_their_parents(clocked: Clocked) -> None:
    arn = created(clocked)
    clocked.put("a", "b")
    parent_iterator = clocked.iterator(arn)
    clocked.now += ROLL_MS
    clocked.service.tend()
    clocked.put("a", v="2")
    parent, child = clocked.shards(arn)
    assert child["ParentShardId"] == parent["ShardId"]
    assert "EndingSequenceNumber" in parent["SequenceNumberRange"]
    assert int(child["SequenceNumberRange"]["StartingSequenceNumber"]) > int(
        parent["SequenceNumberRange"]["EndingSequenceNumber"]
    )
    fresh = clocked.iterator(arn, 0)
    assert clocked.keys(fresh, Limit=1)[1] is not None
    assert clocked.keys(fresh) == (["a", "b"], None)
    assert clocked.keys(clocked.iterator(arn, 1))[0] == ["a"]
    (record,) = clocked.stream("GetRecords", ShardIterator=clocked.iterator(arn, 1))["Records"]
    assert record["dynamodb"]["OldImage"]["v"] == {"S": "1"}
    with pytest.raises(ClientError, match="Expired"):
        clocked.keys(parent_iterator)
    children = clocked.stream(
        "DescribeStream", StreamArn=arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": parent["ShardId"]}
    )["StreamDescription"]["Shards"]
    assert [s["ShardId"] for s in children] == [child["ShardId"]]
    clocked.now += RETENTION_MS + 1
    assert [s["ShardId"] for s in clocked.shards(arn)] == [child["ShardId"]]
    assert "ParentShardId" not in clocked.shards(arn)[0]


def test_split_shards_divide_the_keys(clocked: Clocked) -> None:
    arn = created(clocked)
    names = [str(n) for n in range(40)]
    clocked.put(*names)
    (held,) = clocked.service.catalog.tables.values()
    held.store.split(held.store.map.open[0].number, 2)
    clocked.put(*names, v="2")
    parent, left, right = clocked.shards(arn)
    assert left["ParentShardId"] == right["ParentShardId"] == parent["ShardId"]
    parts = [clocked.keys(clocked.iterator(arn, n))[0] for n in range(3)]
    assert parts[0] == names
    assert sorted(parts[1] + parts[2], key=int) == names
    assert 5 < len(parts[1]) < 35


def test_disabled_stream_can_be_read_for_a_day_and_a_new_one_begins(clocked: Clocked) -> None:
    arn = created(clocked)
    clocked.put("a")
    clocked.call("UpdateTable", TableName="events", StreamSpecification={"StreamEnabled": False})
    clocked.put("unseen")
    assert clocked.stream("DescribeStream", StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED"
    assert clocked.keys(clocked.iterator(arn)) == (["a"], None)
    specification = stream("KEYS_ONLY")["StreamSpecification"]
    described = clocked.call("UpdateTable", TableName="events", StreamSpecification=specification)["TableDescription"]
    second = described["LatestStreamArn"]
    clocked.put("b")
    assert second != arn
    assert clocked.keys(clocked.iterator(second))[0] == ["b"]
    assert [s["StreamArn"] for s in clocked.stream("ListStreams")["Streams"]] == [arn, second]
    clocked.now += RETENTION_MS + 1
    assert [s["StreamArn"] for s in clocked.stream("ListStreams")["Streams"]] == [second]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        clocked.shards(arn)


def test_stream_of_a_deleted_table_can_be_read_for_a_day(clocked: Clocked) -> None:
    arn = created(clocked)
    clocked.put("a")
    clocked.call("DeleteTable", TableName="events")
    assert clocked.keys(clocked.iterator(arn)) == (["a"], None)
    again = created(clocked)
    clocked.put("b")
    assert clocked.keys(clocked.iterator(arn)) == (["a"], None)
    assert clocked.keys(clocked.iterator(again))[0] == ["b"]
    clocked.now += RETENTION_MS + 1
    clocked.service.tend()
    assert clocked.service.catalog.deleted == []
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        clocked.shards(arn)


def test_pages_end_at_one_megabyte(clocked: Clocked) -> None:
    arn = created(clocked, "NEW_IMAGE")
    clocked.put(*map(str, range(5)), v="x" * 300_000)
    iterator: str | None = clocked.iterator(arn)
    counts = []
    for _ in range(2):
        assert iterator is not None
        keys, iterator = clocked.keys(iterator)
        counts.append(len(keys))
    assert counts == [3, 2]


def test_items_expire_with_the_service_as_their_remover(clocked: Clocked) -> None:
    arn = created(clocked)
    clocked.call(
        "UpdateTimeToLive", TableName="events", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    for name, until in (("past", "1600000000000"), ("due", "1700000000"), ("ancient", "1"), ("never", None)):
        item = {"id": {"S": name}, **({"until": {"N": until}} if until else {})}
        clocked.call("PutItem", TableName="events", Item=item)
    clocked.service.tend()
    left = {i["id"]["S"] for i in clocked.call("Scan", TableName="events")["Items"]}
    assert left == {"past", "ancient", "never"}
    removed = clocked.stream("GetRecords", ShardIterator=clocked.iterator(arn))["Records"][-1]
    assert removed["eventName"] == "REMOVE"
    assert removed["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({}, "ValidationException"),
        ({"ShardIterator": "nonsense"}, "ValidationException"),
        ({"ShardIterator": "bm9uc2Vuc2U="}, "ValidationException"),
        ({"ShardIterator": 5}, "SerializationException"),
        ({"ShardIterator": "x", "Limit": 0}, "ValidationException"),
        ({"ShardIterator": "x", "Limit": "many"}, "SerializationException"),
    ],
)
def test_wrong_requests_for_records_are_refused(clocked: Clocked, request_: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError, match=code):
        clocked.stream("GetRecords", **request_)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"StreamArn": None}, "ValidationException"),
        ({"StreamArn": "arn:aws:dynamodb:us-east-1:000000000000:table/no/stream/x"}, "ResourceNotFoundException"),
        ({"ShardId": "shardId-00000000000000000000-00000000"}, "ResourceNotFoundException"),
        ({"ShardId": None}, "ValidationException"),
        ({"ShardIteratorType": "NEWEST"}, "ValidationException"),
        ({"ShardIteratorType": "AT_SEQUENCE_NUMBER"}, "ValidationException"),
        ({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "12"}, "ValidationException"),
        ({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "9" * 41}, "ValidationException"),
        ({"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "x"}, "ValidationException"),
    ],
)
def test_wrong_requests_for_iterators_are_refused(clocked: Clocked, change: dict[str, Any], code: str) -> None:
    arn = created(clocked)
    clocked.put("a")
    request = {"StreamArn": arn, "ShardId": clocked.shards(arn)[0]["ShardId"], "ShardIteratorType": "LATEST", **change}
    with pytest.raises(ClientError, match=code):
        clocked.stream("GetShardIterator", **{k: v for k, v in request.items() if v is not None})


def test_position_between_records_is_refused(clocked: Clocked) -> None:
    """A sequence number is a place in the log: one that is not the start of a record must not be read from."""
    arn = created(clocked)
    clocked.put("a", "b")
    (first, _) = clocked.stream("GetRecords", ShardIterator=clocked.iterator(arn))["Records"]
    beside = str(int(first["dynamodb"]["SequenceNumber"]) + 10**6)
    with pytest.raises(ClientError, match="ValidationException"):
        clocked.iterator(arn, kind="AT_SEQUENCE_NUMBER", SequenceNumber=beside)


def test_lists_and_shards_come_in_pages(clocked: Clocked) -> None:
    arns = []
    for n in range(3):
        made = clocked.call("CreateTable", **table(f"paged-{n}", **stream()))
        arns.append(made["TableDescription"]["LatestStreamArn"])
    first = clocked.stream("ListStreams", Limit=2)
    assert [s["StreamArn"] for s in first["Streams"]] == arns[:2]
    rest = clocked.stream("ListStreams", ExclusiveStartStreamArn=first["LastEvaluatedStreamArn"])
    assert [s["StreamArn"] for s in rest["Streams"]] == arns[2:]
    assert "LastEvaluatedStreamArn" not in rest
    assert [s["TableName"] for s in clocked.stream("ListStreams", TableName="paged-1")["Streams"]] == ["paged-1"]
    held = next(h for h in clocked.service.catalog.tables.values() if h.name == "paged-0")
    for shard in list(held.store.map.open):
        held.store.split(shard.number, 3)
    page = clocked.stream("DescribeStream", StreamArn=arns[0], Limit=2)["StreamDescription"]
    assert len(page["Shards"]) == 2
    more = clocked.stream("DescribeStream", StreamArn=arns[0], ExclusiveStartShardId=page["LastEvaluatedShardId"])
    assert len(more["StreamDescription"]["Shards"]) == 1
