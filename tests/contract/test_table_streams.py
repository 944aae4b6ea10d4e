"""DynamoDB Streams through their API alone: records, order, shards, iterators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.support import eventually
from tests.contract.table_support import NewTable, refused, schema

FIRST = {"id": {"S": "k"}, "v": {"S": "one"}}
SECOND = {"id": {"S": "k"}, "v": {"S": "two"}, "w": {"L": [{"N": "1"}]}}
KEYS = {"id": {"S": "k"}}

Record = dict[str, Any]


def stream_of(dynamodb: Any, table: str) -> str:
    return str(dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"])


def shards_of(streams: Any, arn: str) -> list[dict[str, Any]]:
    """Return all shards of a stream."""
    found: list[dict[str, Any]] = []
    start: dict[str, str] = {}
    while True:
        page = streams.describe_stream(StreamArn=arn, **start)["StreamDescription"]
        found += page["Shards"]
        if "LastEvaluatedShardId" not in page:
            return found
        start = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}


def iterator(streams: Any, arn: str, shard: str, kind: str = "TRIM_HORIZON", number: str = "") -> str:
    position = {"SequenceNumber": number} if number else {}
    answer = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **position)
    return str(answer["ShardIterator"])


def by_shard(streams: Any, arn: str, count: int) -> dict[str, list[Record]]:
    """Return the records of each shard from its beginning, once there are `count` in all."""
    found: dict[str, list[Record]] = {shard["ShardId"]: [] for shard in shards_of(streams, arn)}
    positions: dict[str, str | None] = {shard: iterator(streams, arn, shard) for shard in found}

    def enough() -> bool:
        for shard, position in positions.items():
            if position is not None:
                page = streams.get_records(ShardIterator=position)
                found[shard] += page["Records"]
                positions[shard] = page.get("NextShardIterator")
        return sum(map(len, found.values())) >= count

    eventually(f"{count} records", enough)
    return found


def records(streams: Any, arn: str, count: int) -> list[Record]:
    return [record for shard in by_shard(streams, arn, count).values() for record in shard]


def change_all(dynamodb: Any, table: str) -> None:
    """Insert an item, put it again unchanged, change it, remove it, and remove it again."""
    for item in (FIRST, FIRST, SECOND):
        dynamodb.put_item(TableName=table, Item=item)
    for _ in range(2):
        dynamodb.delete_item(TableName=table, Key=KEYS)


VIEWS: dict[str, tuple[bool, bool]] = {
    "KEYS_ONLY": (False, False),
    "NEW_IMAGE": (True, False),
    "OLD_IMAGE": (False, True),
    "NEW_AND_OLD_IMAGES": (True, True),
}


@pytest.mark.parametrize("view", VIEWS, ids=["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_record_when_of_a_view_type_has_its_images(dynamodb: Any, streams: Any, new_table: NewTable, view: str) -> None:
    table = new_table(view=view)
    change_all(dynamodb, table)
    found = records(streams, stream_of(dynamodb, table), 3)
    has_new, has_old = VIEWS[view]
    assert [record["eventName"] for record in found] == ["INSERT", "MODIFY", "REMOVE"]
    for record, new, old in zip(found, (FIRST, SECOND, None), (None, FIRST, SECOND), strict=True):
        change = record["dynamodb"]
        assert change["Keys"] == KEYS
        assert change.get("NewImage") == (new if has_new else None)
        assert change.get("OldImage") == (old if has_old else None)
        assert change["StreamViewType"] == view


def test_record_when_read_says_where_it_is_from(dynamodb: Any, streams: Any, new_table: NewTable) -> None:
    table = new_table(view="NEW_AND_OLD_IMAGES")
    change_all(dynamodb, table)
    found = records(streams, stream_of(dynamodb, table), 3)
    region = dynamodb.meta.region_name
    for record in found:
        assert (record["eventSource"], record["awsRegion"], record["eventVersion"]) == ("aws:dynamodb", region, "1.1")
        assert record["dynamodb"]["SizeBytes"] > 0
        assert record["dynamodb"]["ApproximateCreationDateTime"].year >= 2024
        assert "userIdentity" not in record
    assert len({record["eventID"] for record in found}) == 3


def test_record_when_of_a_size_says_so(dynamodb: Any, streams: Any, new_table: NewTable) -> None:
    table = new_table(view="NEW_AND_OLD_IMAGES")
    dynamodb.put_item(TableName=table, Item=FIRST)
    dynamodb.put_item(TableName=table, Item={**FIRST, "v": {"S": "three"}})
    inserted, modified = records(streams, stream_of(dynamodb, table), 2)
    key = len("id" + "k")
    assert inserted["dynamodb"]["SizeBytes"] == key + len("idkvone")
    assert modified["dynamodb"]["SizeBytes"] == key + len("idkvone") + len("idkvthree")


def test_write_when_it_changes_nothing_leaves_no_record(dynamodb: Any, streams: Any, new_table: NewTable) -> None:
    table = new_table(view="NEW_IMAGE")
    dynamodb.put_item(TableName=table, Item=FIRST)
    dynamodb.put_item(TableName=table, Item=dict(reversed(FIRST.items())))
    dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": FIRST}}]})
    dynamodb.update_item(
        TableName=table,
        Key=KEYS,
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": FIRST["v"]},
    )
    with refused("ConditionalCheckFailedException"):
        dynamodb.put_item(TableName=table, Item=SECOND, ConditionExpression="attribute_not_exists(id)")
    dynamodb.put_item(TableName=table, Item={"id": {"S": "k"}, "v": {"S": "last"}})
    found = records(streams, stream_of(dynamodb, table), 2)
    assert [record["dynamodb"]["NewImage"]["v"]["S"] for record in found] == ["one", "last"]


def test_records_when_of_one_item_are_in_order_with_growing_numbers(
    dynamodb: Any, streams: Any, new_table: NewTable
) -> None:
    table = new_table(view="NEW_IMAGE")
    names = [f"key-{n}" for n in range(12)]
    for round_ in range(5):
        puts = [{"PutRequest": {"Item": {"id": {"S": name}, "v": {"N": str(round_)}}}} for name in names]
        dynamodb.batch_write_item(RequestItems={table: puts})
    found = by_shard(streams, stream_of(dynamodb, table), 60)
    seen: dict[str, list[int]] = {}
    for shard in found.values():
        numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in shard]
        assert numbers == sorted(set(numbers))
        for record in shard:
            image = record["dynamodb"]["NewImage"]
            seen.setdefault(image["id"]["S"], []).append(int(image["v"]["N"]))
    assert seen == {name: [0, 1, 2, 3, 4] for name in names}


def test_stream_when_of_a_table_with_several_partitions_has_a_shard_for_each(
    dynamodb: Any, streams: Any, new_table: NewTable
) -> None:
    table = new_table(view="KEYS_ONLY")
    for start in range(0, 100, 25):
        puts = [{"PutRequest": {"Item": {"id": {"S": str(n)}}}} for n in range(start, start + 25)]
        dynamodb.batch_write_item(RequestItems={table: puts})
    found = by_shard(streams, stream_of(dynamodb, table), 100)
    used = [shard for shard, inside in found.items() if inside]
    assert len(used) > 1
    keys = [record["dynamodb"]["Keys"]["id"]["S"] for shard in found.values() for record in shard]
    assert sorted(keys, key=int) == [str(n) for n in range(100)]


def test_iterator_when_of_each_kind_begins_where_it_says(dynamodb: Any, streams: Any, new_table: NewTable) -> None:
    table = new_table(view="NEW_IMAGE")
    arn = stream_of(dynamodb, table)
    for n in range(4):
        dynamodb.put_item(TableName=table, Item={**KEYS, "v": {"N": str(n)}})
    found = by_shard(streams, arn, 4)
    [shard] = [shard for shard, inside in found.items() if inside]
    second = found[shard][1]["dynamodb"]["SequenceNumber"]
    latest = iterator(streams, arn, shard, "LATEST")

    def read(position: str) -> list[int]:
        page = streams.get_records(ShardIterator=position)["Records"]
        return [int(record["dynamodb"]["NewImage"]["v"]["N"]) for record in page]

    assert read(iterator(streams, arn, shard, "TRIM_HORIZON")) == [0, 1, 2, 3]
    assert read(iterator(streams, arn, shard, "AT_SEQUENCE_NUMBER", second)) == [1, 2, 3]
    assert read(iterator(streams, arn, shard, "AFTER_SEQUENCE_NUMBER", second)) == [2, 3]
    assert read(latest) == []
    dynamodb.put_item(TableName=table, Item={**KEYS, "v": {"N": "4"}})
    eventually("the record after LATEST", lambda: read(latest) == [4])
    # An iterator is a position: reading from it again gives the same.
    assert read(latest) == [4]


def test_page_when_limited_goes_on_with_its_next_iterator(dynamodb: Any, streams: Any, new_table: NewTable) -> None:
    table = new_table(view="NEW_IMAGE")
    arn = stream_of(dynamodb, table)
    for n in range(5):
        dynamodb.put_item(TableName=table, Item={**KEYS, "v": {"N": str(n)}})
    [shard] = [shard for shard, inside in by_shard(streams, arn, 5).items() if inside]
    position: str = iterator(streams, arn, shard)
    counts = []
    for _ in range(3):
        page = streams.get_records(ShardIterator=position, Limit=2)
        counts.append(len(page["Records"]))
        position = page["NextShardIterator"]
    assert counts == [2, 2, 1]
    # The shard is open: there is always a next iterator.
    assert streams.get_records(ShardIterator=position)["Records"] == []


def test_shard_when_ended_is_read_to_its_end_without_a_next_iterator(
    dynamodb: Any, streams: Any, new_table: NewTable
) -> None:
    table = new_table(view="NEW_IMAGE")
    arn = stream_of(dynamodb, table)
    dynamodb.put_item(TableName=table, Item=FIRST)
    by_shard(streams, arn, 1)
    dynamodb.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})

    def disabled() -> bool:
        return bool(streams.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED")

    eventually("the stream is disabled", disabled)
    dynamodb.put_item(TableName=table, Item=SECOND)
    [ended] = [s for s in shards_of(streams, arn) if "EndingSequenceNumber" in s["SequenceNumberRange"]]
    seen: list[Record] = []

    def at_end(position: str | None = iterator(streams, arn, ended["ShardId"])) -> bool:
        while position is not None:
            page = streams.get_records(ShardIterator=position)
            seen.extend(page["Records"])
            position = page.get("NextShardIterator")
        return True

    assert at_end()
    assert [record["dynamodb"]["NewImage"] for record in seen] == [FIRST]
    numbers = ended["SequenceNumberRange"]
    assert int(numbers["StartingSequenceNumber"]) <= int(numbers["EndingSequenceNumber"])


def test_stream_when_described_names_its_table_and_view(dynamodb: Any, streams: Any, new_table: NewTable) -> None:
    table = new_table(view="OLD_IMAGE", sort="N")
    arn = stream_of(dynamodb, table)
    found = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert (found["StreamArn"], found["TableName"], found["StreamStatus"]) == (arn, table, "ENABLED")
    assert (found["StreamViewType"], found["KeySchema"]) == ("OLD_IMAGE", schema("id", "n"))
    assert arn.endswith(f"/stream/{found['StreamLabel']}")
    assert all(shard["SequenceNumberRange"]["StartingSequenceNumber"].isdecimal() for shard in found["Shards"])
    listed = streams.list_streams(TableName=table)["Streams"]
    assert listed == [{"StreamArn": arn, "TableName": table, "StreamLabel": found["StreamLabel"]}]


def test_stream_when_enabled_again_is_another(dynamodb: Any, streams: Any, new_table: NewTable) -> None:
    table = new_table(view="NEW_IMAGE")
    arn = stream_of(dynamodb, table)
    with refused("ValidationException"):
        dynamodb.update_table(
            TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
        )
    dynamodb.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})

    def active() -> bool:
        return bool(dynamodb.describe_table(TableName=table)["Table"]["TableStatus"] == "ACTIVE")

    eventually("the table is active", active)
    dynamodb.update_table(TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    eventually("the table is active", active)
    again = stream_of(dynamodb, table)
    assert again != arn
    dynamodb.put_item(TableName=table, Item=FIRST)
    [record] = records(streams, again, 1)
    assert "NewImage" not in record["dynamodb"]
    assert {s["StreamArn"] for s in streams.list_streams(TableName=table)["Streams"]} == {arn, again}


def test_transaction_when_it_succeeds_is_in_the_stream_and_when_not_is_not(
    dynamodb: Any, streams: Any, new_table: NewTable
) -> None:
    table = new_table(view="NEW_IMAGE")
    put = {"Put": {"TableName": table, "Item": FIRST, "ConditionExpression": "attribute_not_exists(id)"}}
    other = {"Put": {"TableName": table, "Item": {"id": {"S": "other"}}}}
    dynamodb.transact_write_items(TransactItems=[put])
    with refused("TransactionCanceledException"):
        dynamodb.transact_write_items(TransactItems=[other, put])
    dynamodb.put_item(TableName=table, Item=SECOND)
    found = records(streams, stream_of(dynamodb, table), 2)
    assert [record["dynamodb"]["NewImage"] for record in found] == [FIRST, SECOND]


Call = Callable[[Any, str, str], Any]
REFUSED: dict[str, tuple[str, Call]] = {
    "no-such-stream": (
        "ResourceNotFoundException",
        lambda streams, arn, _: streams.describe_stream(StreamArn=f"{arn[:-3]}999"),
    ),
    "no-such-shard": (
        "ResourceNotFoundException",
        lambda streams, arn, _: iterator(streams, arn, "shardId-00000000000000000000-00000000"),
    ),
    "unknown-kind": ("ValidationException", lambda streams, arn, shard: iterator(streams, arn, shard, "AT_TIMESTAMP")),
    "no-number": (
        "ValidationException",
        lambda streams, arn, shard: iterator(streams, arn, shard, "AT_SEQUENCE_NUMBER"),
    ),
    "no-iterator": ("ValidationException", lambda streams, _arn, _shard: streams.get_records(ShardIterator="x")),
    "limit-of-zero": (
        "ValidationException",
        lambda streams, arn, shard: streams.get_records(ShardIterator=iterator(streams, arn, shard), Limit=0),
    ),
    "limit-over-a-thousand": (
        "ValidationException",
        lambda streams, arn, shard: streams.get_records(ShardIterator=iterator(streams, arn, shard), Limit=1001),
    ),
}


@pytest.mark.parametrize(
    "case",
    REFUSED.values(),
    ids=[
        "no-such-stream",
        "no-such-shard",
        "unknown-kind",
        "no-number",
        "no-iterator",
        "limit-of-zero",
        "limit-over-a-thousand",
    ],
)
def test_stream_request_when_it_cannot_be_served_is_refused(
    dynamodb: Any, streams: Any, new_table: NewTable, case: tuple[str, Call]
) -> None:
    arn = stream_of(dynamodb, new_table(view="NEW_IMAGE"))
    code, call = case
    shard = shards_of(streams, arn)[0]["ShardId"]
    with refused(code):
        call(streams, arn, shard)
