"""Items of DynamoDB tables: what is stored, what is returned, which expressions are refused, through the API alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.contract.table_support import KEY, NewTable, refused, stored

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
