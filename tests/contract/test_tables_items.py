"""Items of DynamoDB tables: what is stored, what is returned, what is refused, through the API alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.contract.table_support import KIB, NewTable, put_all, refused

KEY = {"id": {"S": "k"}}
EVERY_TYPE: dict[str, Any] = {
    **KEY,
    "text": {"S": 'quoted " and \\ é € 😀\n'},
    "empty": {"S": ""},
    "number": {"N": "-12.5"},
    "bytes": {"B": b"\x00\xff"},
    "true": {"BOOL": True},
    "null": {"NULL": True},
    "map": {"M": {"list": {"L": [{"N": "1"}, {"M": {}}]}}},
    "list": {"L": []},
}


def stored(dynamodb: Any, table: str, key: Any = KEY) -> dict[str, Any] | None:
    item: dict[str, Any] | None = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    return item


def test_item_when_put_comes_back_with_every_type(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    sets = {"texts": {"SS": ["a", "b"]}, "numbers": {"NS": ["1", "2"]}, "blobs": {"BS": [b"a", b"b"]}}
    dynamodb.put_item(TableName=table, Item={**EVERY_TYPE, **sets})
    item = stored(dynamodb, table)
    assert item is not None
    for name, value in sets.items():
        assert {kind: sorted(members) for kind, members in item.pop(name).items()} == value
    assert item == EVERY_TYPE
    assert stored(dynamodb, table, {"id": {"S": "absent"}}) is None


def test_put_when_asked_returns_the_item_that_it_replaces(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    first, second = {**KEY, "v": {"N": "1"}}, {**KEY, "w": {"N": "2"}}
    assert "Attributes" not in dynamodb.put_item(TableName=table, Item=first, ReturnValues="ALL_OLD")
    assert "Attributes" not in dynamodb.put_item(TableName=table, Item=first)
    assert dynamodb.put_item(TableName=table, Item=second, ReturnValues="ALL_OLD")["Attributes"] == first
    assert stored(dynamodb, table) == second


def test_delete_when_asked_returns_the_item_and_of_nothing_nothing(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    dynamodb.put_item(TableName=table, Item=EVERY_TYPE)
    assert dynamodb.delete_item(TableName=table, Key=KEY, ReturnValues="ALL_OLD")["Attributes"] == EVERY_TYPE
    assert "Attributes" not in dynamodb.delete_item(TableName=table, Key=KEY, ReturnValues="ALL_OLD")
    assert stored(dynamodb, table) is None


RETURNED: dict[str, dict[str, Any] | None] = {
    "NONE": None,
    "ALL_OLD": {**KEY, "v": {"N": "1"}, "w": {"S": "w"}, "gone": {"S": "g"}},
    "UPDATED_OLD": {"v": {"N": "1"}, "gone": {"S": "g"}},
    "ALL_NEW": {**KEY, "v": {"N": "3"}, "w": {"S": "w"}, "new": {"S": "n"}},
    "UPDATED_NEW": {"v": {"N": "3"}, "new": {"S": "n"}},
}


@pytest.mark.parametrize(
    "values",
    ["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"],
    ids=["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"],
)
def test_update_when_asked_returns_values(dynamodb: Any, new_table: NewTable, values: str) -> None:
    table = new_table()
    dynamodb.put_item(TableName=table, Item=RETURNED["ALL_OLD"])
    answer = dynamodb.update_item(
        TableName=table,
        Key=KEY,
        UpdateExpression="SET v = v + :two, #new = :n REMOVE gone",
        ExpressionAttributeNames={"#new": "new"},
        ExpressionAttributeValues={":two": {"N": "2"}, ":n": {"S": "n"}},
        ReturnValues=values,
    )
    assert answer.get("Attributes") == RETURNED[values]
    assert stored(dynamodb, table) == RETURNED["ALL_NEW"]


def test_update_when_the_item_is_absent_creates_it_with_its_key(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    dynamodb.update_item(
        TableName=table, Key=KEY, UpdateExpression="ADD n :one", ExpressionAttributeValues={":one": {"N": "1"}}
    )
    assert stored(dynamodb, table) == {**KEY, "n": {"N": "1"}}
    dynamodb.update_item(TableName=table, Key={"id": {"S": "bare"}})
    assert stored(dynamodb, table, {"id": {"S": "bare"}}) == {"id": {"S": "bare"}}


def test_condition_when_it_fails_changes_nothing_and_returns_the_item_if_asked(
    dynamodb: Any, new_table: NewTable
) -> None:
    table = new_table()
    item = {**KEY, "v": {"N": "1"}}
    dynamodb.put_item(TableName=table, Item=item)
    attempts: list[tuple[Any, dict[str, Any]]] = [
        (dynamodb.put_item, {"Item": {**KEY, "v": {"N": "2"}}}),
        (dynamodb.delete_item, {"Key": KEY}),
        (dynamodb.update_item, {"Key": KEY, "UpdateExpression": "REMOVE v"}),
    ]
    for call, request in attempts:
        given = {"TableName": table, "ConditionExpression": "attribute_not_exists(id)", **request}
        with refused("ConditionalCheckFailedException", "The conditional request failed") as error:
            call(**given)
        assert "Item" not in error
        with refused("ConditionalCheckFailedException") as error:
            call(**given, ReturnValuesOnConditionCheckFailure="ALL_OLD")
        assert error["Item"] == item
    assert stored(dynamodb, table) == item


def test_condition_when_there_is_no_item_returns_none(dynamodb: Any, new_table: NewTable) -> None:
    with refused("ConditionalCheckFailedException") as error:
        dynamodb.delete_item(
            TableName=new_table(),
            Key=KEY,
            ConditionExpression="attribute_exists(id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert "Item" not in error


CONDITIONS = {
    "comparisons": "v = :five AND v <> :six AND v < :six AND v <= :five AND v > :four AND v >= :five",
    "between-and-in": "v BETWEEN :four AND :six AND v IN (:four, :five)",
    "functions": (
        "attribute_exists(v) AND attribute_not_exists(absent) AND attribute_type(v, :type) AND "
        "begins_with(s, :ab) AND contains(s, :bc) AND contains(tags, :ab)"
    ),
    "size": "size(s) = :four AND size(tags) = :two AND size(m) = :one",
    "paths": "m.l[1] = :five",
    "precedence": "NOT v = :six AND (v = :four OR v = :five)",
    "types-differ": "NOT v = :text AND v <> :text",
    "absent-compares-false": "NOT absent = :five AND NOT absent < :five",
}
ALL_VALUES: dict[str, Any] = {
    ":one": {"N": "1"},
    ":two": {"N": "2"},
    ":four": {"N": "4"},
    ":five": {"N": "5"},
    ":six": {"N": "6"},
    ":text": {"S": "5"},
    ":type": {"S": "N"},
    ":ab": {"S": "ab"},
    ":bc": {"S": "bc"},
}


@pytest.mark.parametrize(
    "condition",
    CONDITIONS.values(),
    ids=[
        "comparisons",
        "between-and-in",
        "functions",
        "size",
        "paths",
        "precedence",
        "types-differ",
        "absent-compares-false",
    ],
)
def test_condition_when_evaluated_is_true(dynamodb: Any, new_table: NewTable, condition: str) -> None:
    table = new_table()
    item = {
        **KEY,
        "v": {"N": "5"},
        "s": {"S": "abcd"},
        "tags": {"SS": ["ab", "x"]},
        "m": {"M": {"l": {"L": [{"N": "4"}, {"N": "5"}]}}},
    }
    dynamodb.put_item(TableName=table, Item=item)
    used = {name: ALL_VALUES[name] for name in re.findall(r":\w+", condition)}
    request = {"TableName": table, "Item": item, "ExpressionAttributeValues": used}
    dynamodb.put_item(**request, ConditionExpression=condition)
    with refused("ConditionalCheckFailedException"):
        dynamodb.put_item(**request, ConditionExpression=f"NOT ({condition})")


def test_update_expression_when_it_has_every_clause_does_them_on_the_item_before(
    dynamodb: Any, new_table: NewTable
) -> None:
    table = new_table()
    dynamodb.put_item(
        TableName=table,
        Item={
            **KEY,
            "a": {"N": "1"},
            "b": {"N": "10"},
            "parts": {"L": [{"S": "x"}]},
            "tags": {"SS": ["p", "q"]},
            "m": {"M": {"kept": {"S": "o"}, "gone": {"S": "g"}}},
        },
    )
    answer = dynamodb.update_item(
        TableName=table,
        Key=KEY,
        UpdateExpression=(
            "SET a = b, b = a - :one, parts = list_append(parts, :more), m.kept = if_not_exists(m.kept, :zero), "
            "m.fresh = if_not_exists(m.fresh, :zero) REMOVE m.gone ADD added :one DELETE tags :q"
        ),
        ExpressionAttributeValues={
            ":one": {"N": "1"},
            ":zero": {"N": "0"},
            ":more": {"L": [{"S": "y"}]},
            ":q": {"SS": ["q"]},
        },
        ReturnValues="ALL_NEW",
    )
    assert answer["Attributes"] == {
        **KEY,
        "a": {"N": "10"},
        "b": {"N": "0"},
        "added": {"N": "1"},
        "parts": {"L": [{"S": "x"}, {"S": "y"}]},
        "tags": {"SS": ["p"]},
        "m": {"M": {"kept": {"S": "o"}, "fresh": {"N": "0"}}},
    }


REFUSED_EXPRESSIONS: dict[str, dict[str, Any]] = {
    "unused-value": {"UpdateExpression": "REMOVE v", "ExpressionAttributeValues": {":x": {"N": "1"}}},
    "unused-name": {"UpdateExpression": "REMOVE v", "ExpressionAttributeNames": {"#x": "x"}},
    "undefined-value": {"UpdateExpression": "SET v = :x"},
    "undefined-name": {"UpdateExpression": "REMOVE #x"},
    "reserved-word": {"UpdateExpression": "REMOVE status"},
    "overlapping-paths": {
        "UpdateExpression": "SET m.a = :x REMOVE m",
        "ExpressionAttributeValues": {":x": {"N": "1"}},
    },
    "key-attribute": {"UpdateExpression": "SET id = :x", "ExpressionAttributeValues": {":x": {"S": "1"}}},
    "path-that-is-absent": {
        "UpdateExpression": "SET nothing.a = :x",
        "ExpressionAttributeValues": {":x": {"N": "1"}},
    },
    "syntax": {"UpdateExpression": "SET v"},
    "empty": {"UpdateExpression": ""},
}


@pytest.mark.parametrize(
    "expression",
    REFUSED_EXPRESSIONS.values(),
    ids=[
        "unused-value",
        "unused-name",
        "undefined-value",
        "undefined-name",
        "reserved-word",
        "overlapping-paths",
        "key-attribute",
        "path-that-is-absent",
        "syntax",
        "empty",
    ],
)
def test_expression_when_dynamodb_does_not_take_it_is_refused(
    dynamodb: Any, new_table: NewTable, expression: dict[str, Any]
) -> None:
    table = new_table()
    item = {**KEY, "v": {"N": "1"}, "m": {"M": {"a": {"N": "1"}}}}
    dynamodb.put_item(TableName=table, Item=item)
    with refused("ValidationException"):
        dynamodb.update_item(TableName=table, Key=KEY, **expression)
    assert stored(dynamodb, table) == item


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


def test_projection_when_given_returns_only_these_paths(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    dynamodb.put_item(TableName=table, Item=EVERY_TYPE)
    got = dynamodb.get_item(
        TableName=table,
        Key=KEY,
        ProjectionExpression="#n, #m.#l[0], absent",
        ExpressionAttributeNames={"#n": "number", "#m": "map", "#l": "list"},
    )["Item"]
    assert got == {"number": {"N": "-12.5"}, "map": {"M": {"list": {"L": [{"N": "1"}]}}}}


def test_refusal_when_returned_has_aws_shape(dynamodb: Any, new_table: NewTable) -> None:
    with refused("ResourceNotFoundException", "Requested resource not found") as error:
        dynamodb.put_item(TableName="no-such-table", Item=KEY)
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    headers = error["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert headers["x-amzn-requestid"]
    assert headers["x-amz-crc32"].isdecimal()
    with refused("ValidationException"):
        dynamodb.get_item(TableName=new_table(), Key={})
    with refused("SerializationException"):
        dynamodb.get_item(TableName="no-such-table", Key={"id": {"S": 1}})
