"""Transactions: all or nothing, why they were cancelled, and tokens that make them idempotent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.table_support import NewTable, refused

KEY = {"id": {"S": "k"}}


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def put(table: str, key: str, **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": {"id": {"S": key}}, **more}}


def add_one(table: str) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": table,
            "Key": KEY,
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": number(1)},
        }
    }


def test_transaction_when_it_succeeds_does_every_action(dynamodb: Any, new_table: NewTable) -> None:
    table, other = new_table(), new_table()
    dynamodb.put_item(TableName=table, Item={"id": {"S": "gone"}})
    dynamodb.put_item(TableName=table, Item={"id": {"S": "checked"}})
    dynamodb.transact_write_items(
        TransactItems=[
            put(other, "new"),
            add_one(table),
            {"Delete": {"TableName": table, "Key": {"id": {"S": "gone"}}}},
            {
                "ConditionCheck": {
                    "TableName": table,
                    "Key": {"id": {"S": "checked"}},
                    "ConditionExpression": "attribute_exists(id)",
                }
            },
        ]
    )
    answer = dynamodb.transact_get_items(
        TransactItems=[
            {"Get": {"TableName": table, "Key": KEY}},
            {"Get": {"TableName": table, "Key": {"id": {"S": "gone"}}}},
            {"Get": {"TableName": other, "Key": {"id": {"S": "new"}}, "ProjectionExpression": "id"}},
        ]
    )
    assert [found.get("Item") for found in answer["Responses"]] == [{**KEY, "n": number(1)}, None, {"id": {"S": "new"}}]


def test_transaction_when_a_condition_fails_does_nothing_and_gives_a_reason_for_each_action(
    dynamodb: Any, new_table: NewTable
) -> None:
    table = new_table()
    item = {**KEY, "n": number(7)}
    dynamodb.put_item(TableName=table, Item=item)
    absent = {"ConditionExpression": "attribute_not_exists(id)"}
    asked = {**absent, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    with refused("TransactionCanceledException", "[None, ConditionalCheckFailed, None]") as error:
        dynamodb.transact_write_items(TransactItems=[put(table, "a"), put(table, "k", **asked), put(table, "b")])
    codes = [reason["Code"] for reason in error["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed", "None"]
    assert error["CancellationReasons"][1]["Item"] == item
    assert error["CancellationReasons"][1]["Message"] == "The conditional request failed"
    with refused("TransactionCanceledException") as error:
        dynamodb.transact_write_items(TransactItems=[put(table, "k", **absent)])
    assert "Item" not in error["CancellationReasons"][0]
    assert dynamodb.scan(TableName=table)["Items"] == [item]


def test_transaction_when_an_action_is_invalid_is_cancelled_for_that(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    dynamodb.put_item(TableName=table, Item={**KEY, "n": {"S": "text"}})
    with refused("TransactionCanceledException") as error:
        dynamodb.transact_write_items(TransactItems=[put(table, "a"), add_one(table)])
    assert [reason["Code"] for reason in error["CancellationReasons"]] == ["None", "ValidationError"]
    assert dynamodb.scan(TableName=table)["Count"] == 1


def test_transaction_when_sent_again_with_its_token_is_done_once(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    token = f"token-{table}"
    for _ in range(2):
        dynamodb.transact_write_items(TransactItems=[add_one(table)], ClientRequestToken=token)
    assert dynamodb.get_item(TableName=table, Key=KEY)["Item"]["n"] == number(1)
    with refused("IdempotentParameterMismatchException"):
        dynamodb.transact_write_items(TransactItems=[put(table, "b")], ClientRequestToken=token)
    dynamodb.transact_write_items(TransactItems=[add_one(table)], ClientRequestToken=f"{token}-2")
    assert dynamodb.get_item(TableName=table, Key=KEY)["Item"]["n"] == number(2)


TABLE = "TABLE"
INVALID: dict[str, list[dict[str, Any]]] = {
    "same-item-twice": [put(TABLE, "k"), {"Delete": {"TableName": TABLE, "Key": KEY}}],
    "over-a-hundred": [put(TABLE, str(n)) for n in range(101)],
    "none": [],
    "two-actions-in-one": [{**put(TABLE, "k"), **add_one(TABLE)}],
    "no-action": [{}],
    "check-without-condition": [{"ConditionCheck": {"TableName": TABLE, "Key": KEY}}],
}


@pytest.mark.parametrize(
    "actions",
    INVALID.values(),
    ids=["same-item-twice", "over-a-hundred", "none", "two-actions-in-one", "no-action", "check-without-condition"],
)
def test_transaction_when_dynamodb_does_not_take_it_is_refused(
    dynamodb: Any, new_table: NewTable, actions: list[dict[str, Any]]
) -> None:
    table = new_table()
    named = [{kind: {**body, "TableName": table} for kind, body in action.items()} for action in actions]
    with refused("ValidationException"):
        dynamodb.transact_write_items(TransactItems=named)
    assert dynamodb.scan(TableName=table)["Count"] == 0


def test_transaction_when_a_table_does_not_exist_is_refused(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    with refused("ResourceNotFoundException"):
        dynamodb.transact_write_items(TransactItems=[put(table, "a"), put("no-such-table", "a")])
    with refused("ResourceNotFoundException"):
        dynamodb.transact_get_items(TransactItems=[{"Get": {"TableName": "no-such-table", "Key": KEY}}])
    assert dynamodb.scan(TableName=table)["Count"] == 0


def test_transaction_when_of_a_hundred_items_is_done(dynamodb: Any, new_table: NewTable) -> None:
    table = new_table()
    dynamodb.transact_write_items(TransactItems=[put(table, str(n)) for n in range(100)])
    assert dynamodb.scan(TableName=table)["Count"] == 100
