"""Batches of DynamoDB tables: how many items and bytes, which are refused whole, what comes back."""

from __future__ import annotations

from typing import Any

from tests.contract.table_support import KEY, KIB, NewTable, put_all, refused, stored


def test_batch_write_when_of_more_than_25_is_refused_whole(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    puts = [{"PutRequest": {"Item": {"id": {"S": str(n)}}}} for n in range(26)]
    with refused("ValidationException"):
        dynamodb.batch_write_item(RequestItems={table: puts})
    assert dynamodb.scan(TableName=table)["Count"] == 0
    assert dynamodb.batch_write_item(RequestItems={table: puts[:25]})["UnprocessedItems"] == {}
    assert dynamodb.scan(TableName=table)["Count"] == 25


def test_batch_when_it_names_an_item_twice_is_refused_whole(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    entries: list[dict[str, Any]] = [{"PutRequest": {"Item": {**KEY, "v": {"N": "1"}}}}]
    for double in ({"PutRequest": {"Item": KEY}}, {"DeleteRequest": {"Key": KEY}}):
        with refused("ValidationException", "duplicates"):
            dynamodb.batch_write_item(RequestItems={table: [*entries, double]})
    with refused("ValidationException", "duplicates"):
        dynamodb.batch_get_item(RequestItems={table: {"Keys": [KEY, KEY]}})
    assert stored(dynamodb, table) is None


def test_batch_get_when_of_more_than_100_is_refused(dynamodb: Any, new_table: NewTable) -> None:
    keys = [{"id": {"S": str(n)}} for n in range(101)]
    with refused("ValidationException"):
        dynamodb.batch_get_item(RequestItems={new_table(): {"Keys": keys}})


def test_batch_get_when_larger_than_16_megabytes_returns_the_rest_unprocessed(
    dynamodb: Any, new_table: NewTable
) -> None:
    table = new_table()
    size = 390 * KIB
    keys = [{"id": {"S": f"{n:02}"}} for n in range(50)]
    for start in range(0, 50, 10):
        put_all(dynamodb, table, [{**key, "v": {"S": "x" * size}} for key in keys[start : start + 10]])
    asked: dict[str, Any] = {table: {"Keys": keys}}
    counts: list[int] = []
    got: list[str] = []
    while asked:
        answer = dynamodb.batch_get_item(RequestItems=asked)
        items = answer["Responses"].get(table, [])
        counts.append(len(items))
        got += [item["id"]["S"] for item in items]
        asked = answer["UnprocessedKeys"]
    assert sorted(got) == [f"{n:02}" for n in range(50)]
    assert len(counts) == 2
    assert max(counts) * size <= 16 * KIB * KIB


def test_batch_get_when_items_are_absent_leaves_them_out(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    dynamodb.put_item(TableName=table, Item={**KEY, "v": {"N": "1"}, "w": {"N": "2"}})
    asked = {table: {"Keys": [KEY, {"id": {"S": "absent"}}], "ProjectionExpression": "v"}}
    answer = dynamodb.batch_get_item(RequestItems=asked)
    assert (answer["Responses"], answer["UnprocessedKeys"]) == ({table: [{"v": {"N": "1"}}]}, {})
