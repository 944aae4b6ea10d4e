"""ConsumedCapacity, by the documented rules: a write unit a KB, a read unit 4 KB, half of it eventually consistent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.table_support import KIB, NewTable, attributes, index, put_all

KEY = {"id": {"S": "k"}}


def sized(size: int, key: str = "k") -> dict[str, Any]:
    """Return an item of this many bytes: names and values count."""
    return {"id": {"S": key}, "v": {"S": "x" * (size - len("id" + key + "v"))}}


def units(answer: dict[str, Any]) -> float:
    capacity = answer["ConsumedCapacity"]
    return float(capacity[0]["CapacityUnits"] if isinstance(capacity, list) else capacity["CapacityUnits"])


@pytest.mark.parametrize(
    ("size", "expected"),
    [(KIB, 1), (KIB + 1, 2), (10 * KIB, 10)],
    ids=["one-kilobyte", "a-byte-more", "ten-kilobytes"],
)
def test_write_when_of_a_size_costs_a_unit_for_each_kilobyte_begun(
    dynamodb: Any, new_table: NewTable, size: int, expected: int
) -> None:
    table = new_table()
    total = {"ReturnConsumedCapacity": "TOTAL"}
    assert units(dynamodb.put_item(TableName=table, Item=sized(size), **total)) == expected
    # The larger of the item before and the item after counts.
    assert units(dynamodb.put_item(TableName=table, Item=KEY, **total)) == expected
    assert units(dynamodb.put_item(TableName=table, Item=sized(size), **total)) == expected
    changed = dynamodb.update_item(
        TableName=table,
        Key=KEY,
        UpdateExpression="SET #v = :x",
        ExpressionAttributeNames={"#v": "v"},
        ExpressionAttributeValues={":x": {"S": ""}},
        **total,
    )
    assert units(changed) == expected
    dynamodb.put_item(TableName=table, Item=sized(size))
    assert units(dynamodb.delete_item(TableName=table, Key=KEY, **total)) == expected
    assert units(dynamodb.delete_item(TableName=table, Key=KEY, **total)) == 1


@pytest.mark.parametrize(
    ("size", "expected"),
    [(100, 1), (4 * KIB, 1), (4 * KIB + 1, 2), (40 * KIB, 10)],
    ids=["small", "four-kilobytes", "a-byte-more", "forty-kilobytes"],
)
def test_read_when_of_a_size_costs_a_unit_for_each_four_kilobytes_begun_and_half_if_eventual(
    dynamodb: Any, new_table: NewTable, size: int, expected: int
) -> None:
    table = new_table()
    dynamodb.put_item(TableName=table, Item=sized(size))
    total = {"ReturnConsumedCapacity": "TOTAL"}
    assert units(dynamodb.get_item(TableName=table, Key=KEY, ConsistentRead=True, **total)) == expected
    assert units(dynamodb.get_item(TableName=table, Key=KEY, **total)) == expected / 2
    projected = dynamodb.get_item(TableName=table, Key=KEY, ProjectionExpression="id", **total)
    assert units(projected) == expected / 2
    transaction = dynamodb.transact_get_items(TransactItems=[{"Get": {"TableName": table, "Key": KEY}}], **total)
    assert units(transaction) == 2 * expected


def test_read_when_nothing_is_found_costs_the_least(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    total = {"ReturnConsumedCapacity": "TOTAL"}
    assert units(dynamodb.get_item(TableName=table, Key=KEY, ConsistentRead=True, **total)) == 1
    assert units(dynamodb.get_item(TableName=table, Key=KEY, **total)) == 0.5


def test_query_when_it_reads_many_items_is_charged_for_their_sum_filtered_or_not(
    dynamodb: Any, new_table: NewTable
) -> None:
    table = new_table(sort="N")
    items = [{**sized(KIB), "n": {"N": str(n)}} for n in range(10)]
    put_all(dynamodb, table, items)
    size = 10 * (KIB + len("n") + 2)
    request: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "id = :id",
        "ExpressionAttributeValues": {":id": {"S": "k"}},
        "ConsistentRead": True,
        "ReturnConsumedCapacity": "TOTAL",
    }
    expected = -(-size // (4 * KIB))
    assert units(dynamodb.query(**request)) == expected == 3
    assert units(dynamodb.query(**request, FilterExpression="attribute_exists(absent)")) == expected
    assert units(dynamodb.query(**request, Select="COUNT")) == expected
    assert units(dynamodb.scan(TableName=table, ConsistentRead=True, ReturnConsumedCapacity="TOTAL")) == expected
    assert units(dynamodb.scan(TableName=table, ReturnConsumedCapacity="TOTAL")) == expected / 2


def test_batch_when_of_many_items_is_charged_for_each_by_itself(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    puts = [{"PutRequest": {"Item": sized(KIB + 1, f"{n:02}")}} for n in range(25)]
    written = dynamodb.batch_write_item(RequestItems={table: puts}, ReturnConsumedCapacity="TOTAL")
    assert written["ConsumedCapacity"] == [{"TableName": table, "CapacityUnits": 50.0}]
    keys = [{"id": {"S": f"{n:02}"}} for n in range(25)]
    got = dynamodb.batch_get_item(
        RequestItems={table: {"Keys": keys, "ConsistentRead": True}}, ReturnConsumedCapacity="TOTAL"
    )
    assert got["ConsumedCapacity"] == [{"TableName": table, "CapacityUnits": 25.0}]


def test_transaction_when_it_writes_costs_twice(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    answer = dynamodb.transact_write_items(
        TransactItems=[{"Put": {"TableName": table, "Item": sized(KIB + 1)}}], ReturnConsumedCapacity="TOTAL"
    )
    assert units(answer) == 4


def test_index_when_a_write_reaches_it_is_charged_by_what_changes(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table(
        AttributeDefinitions=attributes(id="S", city="S"),
        GlobalSecondaryIndexes=[index("by-city", "city", projection="KEYS_ONLY")],
    )

    def charged(**item: Any) -> tuple[float, float]:
        answer = dynamodb.put_item(TableName=table, Item={**KEY, **item}, ReturnConsumedCapacity="INDEXES")
        capacity = answer["ConsumedCapacity"]
        share = capacity.get("GlobalSecondaryIndexes", {}).get("by-city", {}).get("CapacityUnits", 0.0)
        assert capacity["CapacityUnits"] == capacity["Table"]["CapacityUnits"] + share
        return capacity["Table"]["CapacityUnits"], share

    assert charged() == (1, 0)
    assert charged(city={"S": "Ulm"}) == (1, 1)
    assert charged(city={"S": "Ulm"}, v={"S": "not projected"}) == (1, 0)
    assert charged(city={"S": "Bonn"}) == (1, 2)
    assert charged() == (1, 1)


def test_capacity_when_not_asked_for_is_not_returned(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    assert "ConsumedCapacity" not in dynamodb.put_item(TableName=table, Item=KEY)
    indexes = dynamodb.put_item(TableName=table, Item=KEY, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    assert indexes == {"TableName": table, "CapacityUnits": 1.0, "Table": {"CapacityUnits": 1.0}}
