"""What the contract tests of tables share: definitions of tables, and reading all of a table or of its stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from harness.engines.base import Engine

NewTable = Callable[..., str]
"""Given settings of `table_request`, returns the name of a new table."""
KIB = 1024
KEY = {"id": {"S": "k"}}
"""The key of the one item that most tests of items have."""


def sending_anything(engine: Engine, service: str) -> Any:
    """Return a client of the engine that neither checks what it sends nor sends anything twice."""
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    return engine.session().client(service, endpoint_url=engine.endpoints.url(service), config=config)


def schema(partition: str, sort: str | None = None) -> list[dict[str, str]]:
    """Return a KeySchema."""
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        *([{"AttributeName": sort, "KeyType": "RANGE"}] if sort else []),
    ]


def index(name: str, partition: str, sort: str | None = None, projection: str = "ALL", **more: Any) -> dict[str, Any]:
    """Return a secondary index of a CreateTable request."""
    return {
        "IndexName": name,
        "KeySchema": schema(partition, sort),
        "Projection": {"ProjectionType": projection, **more},
    }


def attributes(**types: str) -> list[dict[str, str]]:
    """Return AttributeDefinitions: name to type."""
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def table_request(name: str, *, sort: str = "", view: str = "", **settings: Any) -> dict[str, Any]:
    """Return a CreateTable request: partition key `id`, a string, and with `sort` (S, N or B) the sort key `n` of that
    type; with `view` a stream of that view type. `settings` are members of the request."""
    keys = {"id": "S", **({"n": sort} if sort else {})}
    request = {
        "TableName": name,
        "KeySchema": schema("id", "n" if sort else None),
        "AttributeDefinitions": attributes(**keys),
        "BillingMode": "PAY_PER_REQUEST",
        **settings,
    }
    if view:
        request["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
    return request


@contextmanager
def refused(code: str, *words: str) -> Iterator[dict[str, Any]]:
    """Expect a refusal with this code and these words in its message; the dictionary is then the error's response."""
    response: dict[str, Any] = {}
    with pytest.raises(ClientError) as caught:
        yield response
    response.update(caught.value.response)
    assert response["Error"]["Code"] == code, response["Error"]
    for word in words:
        assert word in response["Error"]["Message"]


def pages(call: Callable[..., dict[str, Any]], **request: Any) -> list[dict[str, Any]]:
    """Return every page of a Query or a Scan."""
    found = [call(**request)]
    while "LastEvaluatedKey" in found[-1]:
        found.append(call(**request, ExclusiveStartKey=found[-1]["LastEvaluatedKey"]))
    return found


def items_of(answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the items of all pages."""
    return [item for answer in answers for item in answer["Items"]]


def put_all(client: Any, table: str, items: Sequence[dict[str, Any]]) -> None:
    """Put items, 25 at a time; what comes back unprocessed is sent again."""
    for start in range(0, len(items), 25):
        left = {table: [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]}
        while left:
            left = client.batch_write_item(RequestItems=left)["UnprocessedItems"]


def stored(dynamodb: Any, table: str, key: Any = KEY) -> dict[str, Any] | None:
    """Return an item as a consistent read gives it, or None."""
    item: dict[str, Any] | None = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    return item
