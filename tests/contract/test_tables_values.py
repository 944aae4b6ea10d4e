"""Values that DynamoDB tables take: numbers, sizes, types, keys."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.table_support import KEY, KIB, NewTable, refused, stored


def test_number_when_of_38_digits_is_kept_exactly(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    exact = ["1" * 38, "-" + "9" * 38, "0." + "7" * 38, "1" * 20 + "." + "3" * 18, "0"]
    dynamodb.put_item(TableName=table, Item={**KEY, "v": {"L": [{"N": text} for text in exact]}})
    item = stored(dynamodb, table)
    assert item is not None
    assert [value["N"] for value in item["v"]["L"]] == exact
    added = dynamodb.update_item(
        TableName=table,
        Key=KEY,
        UpdateExpression="SET added = v[0] + :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="UPDATED_NEW",
    )
    assert added["Attributes"]["added"] == {"N": "1" * 37 + "2"}


def test_number_when_stored_loses_zeros_that_mean_nothing(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table(sort="N")
    dynamodb.put_item(TableName=table, Item={**KEY, "n": {"N": "01.50"}, "v": {"N": "+00.10"}, "w": {"N": "5E2"}})
    item = stored(dynamodb, table, {**KEY, "n": {"N": "1.5"}})
    assert item == {**KEY, "n": {"N": "1.5"}, "v": {"N": "0.1"}, "w": {"N": "500"}}


BAD_NUMBERS = {"39-digits": "1" * 39, "too-large": "1e126", "too-small": "1e-131", "no-number": "one", "empty": ""}


@pytest.mark.parametrize(
    "number", BAD_NUMBERS.values(), ids=["39-digits", "too-large", "too-small", "no-number", "empty"]
)
def test_number_when_dynamodb_cannot_hold_it_is_refused(dynamodb: Any, new_table: NewTable, number: str) -> None:
    table = new_table()
    with refused("ValidationException"):
        dynamodb.put_item(TableName=table, Item={**KEY, "v": {"N": number}})
    assert stored(dynamodb, table) is None


def test_item_when_larger_than_400_kilobytes_is_refused(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    largest = {**KEY, "v": {"S": "x" * (400 * KIB - len("id" + "k" + "v"))}}
    dynamodb.put_item(TableName=table, Item=largest)
    with refused("ValidationException", "Item size has exceeded the maximum allowed size"):
        dynamodb.put_item(TableName=table, Item={**largest, "v": {"S": largest["v"]["S"] + "x"}})
    with refused("ValidationException", "Item size"):
        dynamodb.update_item(
            TableName=table, Key=KEY, UpdateExpression="SET w = :x", ExpressionAttributeValues={":x": {"S": "x"}}
        )
    assert stored(dynamodb, table) == largest


BAD_ITEMS: dict[str, dict[str, Any]] = {
    "no-partition-key": {"n": {"N": "1"}},
    "no-sort-key": {"id": {"S": "k"}},
    "key-of-another-type": {"id": {"N": "1"}, "n": {"N": "1"}},
    "sort-key-of-another-type": {"id": {"S": "k"}, "n": {"S": "1"}},
    "empty-key": {"id": {"S": ""}, "n": {"N": "1"}},
    "long-key": {"id": {"S": "k" * (2 * KIB + 1)}, "n": {"N": "1"}},
    "empty-set": {"id": {"S": "k"}, "n": {"N": "1"}, "v": {"SS": []}},
    "doubled-member": {"id": {"S": "k"}, "n": {"N": "1"}, "v": {"SS": ["a", "a"]}},
    "no-type": {"id": {"S": "k"}, "n": {"N": "1"}, "v": {}},
    "two-types": {"id": {"S": "k"}, "n": {"N": "1"}, "v": {"S": "a", "N": "1"}},
}


@pytest.mark.parametrize(
    "item",
    BAD_ITEMS.values(),
    ids=[
        "no-partition-key",
        "no-sort-key",
        "key-of-another-type",
        "sort-key-of-another-type",
        "empty-key",
        "long-key",
        "empty-set",
        "doubled-member",
        "no-type",
        "two-types",
    ],
)
def test_item_when_it_breaks_the_rules_is_refused(dynamodb: Any, new_table: NewTable, item: dict[str, Any]) -> None:
    table = new_table(sort="N")
    with refused("ValidationException"):
        dynamodb.put_item(TableName=table, Item=item)
    with refused("ValidationException"):
        dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}}]})
    assert dynamodb.scan(TableName=table)["Count"] == 0


BAD_KEYS: dict[str, dict[str, Any]] = {
    "too-few": {"id": {"S": "k"}},
    "too-many": {"id": {"S": "k"}, "n": {"N": "1"}, "v": {"S": "x"}},
    "another-type": {"id": {"S": "k"}, "n": {"S": "1"}},
}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=["too-few", "too-many", "another-type"])
def test_key_when_it_does_not_match_the_schema_is_refused(
    dynamodb: Any, new_table: NewTable, key: dict[str, Any]
) -> None:
    table = new_table(sort="N")
    for call in (dynamodb.get_item, dynamodb.delete_item, dynamodb.update_item):
        with refused("ValidationException", "The provided key element does not match the schema"):
            call(TableName=table, Key=key)
