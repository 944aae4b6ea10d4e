"""Query and Scan of tables and of their secondary indexes: conditions, order, pages, segments."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.table_support import (
    KIB,
    NewTable,
    attributes,
    index,
    items_of,
    pages,
    put_all,
    refused,
    schema,
)

MEGABYTE = KIB * KIB


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def partition(table: str, **more: Any) -> dict[str, Any]:
    """Return a Query of the partition `a`; `more` may bring further values."""
    values = {":id": {"S": "a"}, **more.pop("ExpressionAttributeValues", {})}
    return {"TableName": table, "KeyConditionExpression": "id = :id", "ExpressionAttributeValues": values, **more}


CONDITIONS: dict[str, tuple[str, list[int]]] = {
    "equal": ("n = :low", [-2]),
    "less": ("n < :low", [-10]),
    "at-most": ("n <= :low", [-10, -2]),
    "greater": ("n > :high", [30]),
    "at-least": ("n >= :high", [4, 30]),
    "between": ("n BETWEEN :low AND :high", [-2, 0, 4]),
}


@pytest.mark.parametrize(
    "condition", CONDITIONS.values(), ids=["equal", "less", "at-most", "greater", "at-least", "between"]
)
def test_query_when_the_sort_key_is_compared_returns_that_range_in_order(
    dynamodb: Any, new_table: NewTable, condition: tuple[str, list[int]]
) -> None:
    table = new_table(sort="N")
    put_all(dynamodb, table, [{"id": {"S": "a"}, "n": number(n)} for n in (30, -2, 4, 0, -10)])
    put_all(dynamodb, table, [{"id": {"S": "b"}, "n": number(n)} for n in (-2, 4)])
    expression, expected = condition
    values = {name: value for name, value in ((":low", number(-2)), (":high", number(4))) if name in expression}
    request = partition(table, ExpressionAttributeValues=values)
    request["KeyConditionExpression"] += f" AND {expression}"
    assert [int(i["n"]["N"]) for i in dynamodb.query(**request)["Items"]] == expected
    backwards = dynamodb.query(**request, ScanIndexForward=False)["Items"]
    assert [int(i["n"]["N"]) for i in backwards] == expected[::-1]


def test_query_when_the_sort_key_is_text_compares_its_bytes(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table(sort="S")
    texts = ["Z", "a", "ab", "abc", "b", "é", "😀"]
    put_all(dynamodb, table, [{"id": {"S": "a"}, "n": {"S": text}} for text in reversed(texts)])
    assert [i["n"]["S"] for i in dynamodb.query(**partition(table))["Items"]] == texts
    request = partition(table, ExpressionAttributeValues={":ab": {"S": "ab"}})
    request["KeyConditionExpression"] += " AND begins_with(n, :ab)"
    assert [i["n"]["S"] for i in dynamodb.query(**request)["Items"]] == ["ab", "abc"]


def test_query_when_it_has_a_limit_ends_each_page_there_and_goes_on(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table(sort="N")
    put_all(dynamodb, table, [{"id": {"S": "a"}, "n": number(n)} for n in range(7)])
    found = pages(dynamodb.query, **partition(table), Limit=3)
    assert [page["Count"] for page in found] == [3, 3, 1]
    assert found[0]["LastEvaluatedKey"] == {"id": {"S": "a"}, "n": number(2)}
    assert [int(i["n"]["N"]) for i in items_of(found)] == list(range(7))
    backwards = pages(dynamodb.query, **partition(table), Limit=4, ScanIndexForward=False)
    assert [int(i["n"]["N"]) for i in items_of(backwards)] == list(range(6, -1, -1))


def test_query_when_filtered_limits_what_is_read_not_what_is_returned(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table(sort="N")
    put_all(dynamodb, table, [{"id": {"S": "a"}, "n": number(n), "odd": {"BOOL": n % 2 == 1}} for n in range(6)])
    request = partition(table, ExpressionAttributeValues={":true": {"BOOL": True}}, FilterExpression="odd = :true")
    first = dynamodb.query(**request, Limit=3)
    assert (first["Count"], first["ScannedCount"], first["LastEvaluatedKey"]["n"]) == (1, 3, number(2))
    assert [int(i["n"]["N"]) for i in items_of(pages(dynamodb.query, **request, Limit=3))] == [1, 3, 5]
    with refused("ValidationException"):
        dynamodb.query(**partition(table, ExpressionAttributeValues={":n": number(1)}, FilterExpression="n = :n"))


def test_page_when_of_a_query_ends_at_one_megabyte(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table(sort="N")
    size = 100 * KIB
    put_all(dynamodb, table, [{"id": {"S": "a"}, "n": number(n), "v": {"S": "x" * size}} for n in range(24)])
    found = pages(dynamodb.query, **partition(table))
    assert [int(i["n"]["N"]) for i in items_of(found)] == list(range(24))
    counts = [page["Count"] for page in found]
    # The item with which a page reaches 1 MB is still in it.
    assert counts[:2] == [11, 11] or counts[:2] == [10, 10]
    counted = pages(dynamodb.query, **partition(table), Select="COUNT")
    assert [page["Count"] for page in counted] == counts
    assert not any("Items" in page for page in counted)


def test_page_when_of_a_scan_ends_at_one_megabyte_before_its_filter(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    put_all(dynamodb, table, [{"id": {"S": str(n)}, "v": {"S": "x" * 100 * KIB}} for n in range(24)])
    none = {"FilterExpression": "attribute_exists(absent)"}
    found = pages(dynamodb.scan, TableName=table, **none)
    assert [page["Count"] for page in found] == [0] * len(found)
    assert len(found) == 3
    assert sum(page["ScannedCount"] for page in found) == 24
    assert all(page["ScannedCount"] * 100 * KIB <= MEGABYTE + 101 * KIB for page in found)


def test_scan_when_parallel_covers_every_item_once(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    names = sorted(f"key-{n}" for n in range(200))
    put_all(dynamodb, table, [{"id": {"S": name}} for name in names])
    for total in (1, 3, 7):
        found = [
            item["id"]["S"]
            for segment in range(total)
            for item in items_of(pages(dynamodb.scan, TableName=table, Segment=segment, TotalSegments=total, Limit=9))
        ]
        assert sorted(found) == names


SEGMENTS: dict[str, dict[str, int]] = {
    "segment-alone": {"Segment": 0},
    "total-alone": {"TotalSegments": 2},
    "segment-beyond": {"Segment": 2, "TotalSegments": 2},
    "negative": {"Segment": -1, "TotalSegments": 2},
    "too-many": {"Segment": 0, "TotalSegments": 1_000_001},
}


@pytest.mark.parametrize(
    "segment",
    SEGMENTS.values(),
    ids=["segment-alone", "total-alone", "segment-beyond", "negative", "too-many"],
)
def test_scan_when_its_segment_does_not_exist_is_refused(
    dynamodb: Any, new_table: NewTable, segment: dict[str, int]
) -> None:
    with refused("ValidationException"):
        dynamodb.scan(TableName=new_table(), **segment)


REFUSED_QUERIES: dict[str, dict[str, Any]] = {
    "no-condition": {"KeyConditionExpression": None, "ExpressionAttributeValues": None},
    "partition-key-compared": {"KeyConditionExpression": "id > :id"},
    "no-partition-key": {"KeyConditionExpression": "n = :id"},
    "another-attribute": {"KeyConditionExpression": "id = :id AND v = :id"},
    "sort-key-unequal": {"KeyConditionExpression": "id = :id AND n <> :id"},
    "either": {"KeyConditionExpression": "id = :id OR n = :id"},
    "limit-of-zero": {"Limit": 0},
    "unknown-index": {"IndexName": "no-such-index"},
    "count-with-projection": {"Select": "COUNT", "ProjectionExpression": "v"},
    "start-of-another-shape": {"ExclusiveStartKey": {"id": {"S": "a"}}},
}


@pytest.mark.parametrize(
    "change",
    REFUSED_QUERIES.values(),
    ids=[
        "no-condition",
        "partition-key-compared",
        "no-partition-key",
        "another-attribute",
        "sort-key-unequal",
        "either",
        "limit-of-zero",
        "unknown-index",
        "count-with-projection",
        "start-of-another-shape",
    ],
)
def test_query_when_dynamodb_does_not_take_it_is_refused(
    dynamodb: Any, new_table: NewTable, change: dict[str, Any]
) -> None:
    request = {**partition(new_table(sort="S")), **change}
    with refused("ValidationException"):
        dynamodb.query(**{name: value for name, value in request.items() if value is not None})


def indexed(new_table: NewTable, **index_settings: Any) -> str:
    """Return a table with a global index `by-city` of city and year, and a local index `by-year`."""
    return new_table(
        sort="N",
        AttributeDefinitions=attributes(id="S", n="N", city="S", year="N"),
        GlobalSecondaryIndexes=[index("by-city", "city", "year", **index_settings)],
        LocalSecondaryIndexes=[index("by-year", "id", "year", "KEYS_ONLY")],
    )


def of_city(table: str, city: str, **more: Any) -> dict[str, Any]:
    return {
        "TableName": table,
        "IndexName": "by-city",
        "KeyConditionExpression": "city = :c",
        "ExpressionAttributeValues": {":c": {"S": city}},
        **more,
    }


def person(key: str, n: int, city: str | None, year: int | None, **more: Any) -> dict[str, Any]:
    item: dict[str, Any] = {"id": {"S": key}, "n": number(n), **more}
    if city is not None:
        item["city"] = {"S": city}
    if year is not None:
        item["year"] = number(year)
    return item


def test_global_index_when_queried_has_the_items_with_its_keys_in_order(dynamodb: Any, new_table: NewTable) -> None:
    table = indexed(new_table)
    put_all(
        dynamodb,
        table,
        [
            person("a", 1, "Ulm", 1990),
            person("b", 1, "Ulm", 1970),
            person("c", 1, "Ulm", 1970),
            person("d", 1, "Bonn", 1980),
            person("e", 1, None, 1980),
            person("f", 1, "Ulm", None),
        ],
    )
    found = dynamodb.query(**of_city(table, "Ulm"))["Items"]
    assert [int(i["year"]["N"]) for i in found] == [1970, 1970, 1990]
    assert sorted(i["id"]["S"] for i in found) == ["a", "b", "c"]
    paged = pages(dynamodb.query, **of_city(table, "Ulm"), Limit=1)
    assert [i["id"]["S"] for i in items_of(paged)] == [i["id"]["S"] for i in found]
    assert set(paged[0]["LastEvaluatedKey"]) == {"id", "n", "city", "year"}
    assert dynamodb.scan(TableName=table, IndexName="by-city")["Count"] == 4
    dynamodb.put_item(TableName=table, Item=person("a", 1, "Bonn", 1990))
    dynamodb.delete_item(TableName=table, Key={"id": {"S": "b"}, "n": number(1)})
    assert [i["id"]["S"] for i in dynamodb.query(**of_city(table, "Ulm"))["Items"]] == ["c"]


def test_global_index_when_it_projects_some_attributes_returns_only_these(dynamodb: Any, new_table: NewTable) -> None:
    table = indexed(new_table, projection="INCLUDE", NonKeyAttributes=["kept"])
    item = person("a", 1, "Ulm", 1990, kept={"S": "k"}, left={"S": "l"})
    dynamodb.put_item(TableName=table, Item=item)
    [found] = dynamodb.query(**of_city(table, "Ulm"))["Items"]
    assert found == {name: value for name, value in item.items() if name != "left"}
    with refused("ValidationException"):
        dynamodb.query(**of_city(table, "Ulm"), Select="ALL_ATTRIBUTES")


def test_global_index_when_read_consistently_is_refused(dynamodb: Any, new_table: NewTable) -> None:
    with refused("ValidationException", "Consistent reads are not supported on global secondary indexes"):
        dynamodb.query(**of_city(indexed(new_table), "Ulm"), ConsistentRead=True)


def test_local_index_when_queried_orders_the_partition_and_fetches_what_it_lacks(
    dynamodb: Any, new_table: NewTable
) -> None:
    table = indexed(new_table)
    put_all(
        dynamodb,
        table,
        [person("a", n, None, year, v=number(n)) for n, year in ((1, 1990), (2, 1970), (3, 1980))]
        + [person("a", 4, None, None), person("b", 1, None, 1970)],
    )
    request = partition(table, IndexName="by-year", ConsistentRead=True)
    found = dynamodb.query(**request)["Items"]
    assert [int(i["n"]["N"]) for i in found] == [2, 3, 1]
    assert all(set(i) == {"id", "n", "year"} for i in found)
    whole = dynamodb.query(**request, Select="ALL_ATTRIBUTES")["Items"]
    assert [i["v"] for i in whole] == [number(2), number(3), number(1)]


def test_index_key_when_of_another_type_refuses_the_item(dynamodb: Any, new_table: NewTable) -> None:
    table = indexed(new_table)
    for wrong in ({"city": number(1)}, {"city": {"S": ""}}):
        with refused("ValidationException"):
            dynamodb.put_item(TableName=table, Item={**person("a", 1, None, 1990), **wrong})
        with refused("ValidationException"):
            dynamodb.batch_write_item(
                RequestItems={table: [{"PutRequest": {"Item": {**person("a", 1, None, 1990), **wrong}}}]}
            )
    assert dynamodb.scan(TableName=table)["Count"] == 0


def test_index_when_added_later_has_the_items_that_were_there(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    put_all(dynamodb, table, [{"id": {"S": str(n)}, "city": {"S": "Ulm"}} for n in range(3)])
    dynamodb.update_table(
        TableName=table,
        AttributeDefinitions=attributes(id="S", city="S"),
        GlobalSecondaryIndexUpdates=[{"Create": index("by-city", "city")}],
    )

    def active() -> bool:
        [found] = dynamodb.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"]
        return bool(found["IndexStatus"] == "ACTIVE")

    from tests.contract.support import eventually

    eventually("the index is active", active, seconds=300)
    assert dynamodb.query(**of_city(table, "Ulm"))["Count"] == 3


def test_local_index_when_of_another_partition_key_is_refused(dynamodb: Any, new_table: NewTable) -> None:
    with refused("ValidationException"):
        new_table(
            sort="N",
            AttributeDefinitions=attributes(id="S", n="N", city="S"),
            LocalSecondaryIndexes=[{**index("bad", "city"), "KeySchema": schema("city", "n")}],
        )
