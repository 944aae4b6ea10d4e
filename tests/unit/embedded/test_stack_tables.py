"""Tables of a stack as calls of DynamoDB's API: all of them or none."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.engines.embedded.stack_tables import StackTables
from harness.engines.embedded.template_tables import TemplateTable
from harness.errors import EngineError, TemplateError

PROPERTIES: dict[str, Any] = {
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}


class ResourceNotFoundException(Exception):
    pass


class Exceptions:
    ResourceNotFoundException = ResourceNotFoundException


class FakeDynamoDb:
    """A client that knows tables by name, and refuses to make one named `refused`."""

    exceptions = Exceptions

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}

    def create_table(self, **request: Any) -> dict[str, Any]:
        name = request["TableName"]
        if name == "refused":
            raise ClientError({"Error": {"Code": "LimitExceededException", "Message": "too many"}}, "CreateTable")
        self.tables[name] = request
        found = {"TableName": name, "TableArn": f"arn:{name}"}
        if "StreamSpecification" in request:
            found["LatestStreamArn"] = f"arn:{name}/stream/1"
        return {"TableDescription": found}

    def describe_table(self, TableName: str) -> dict[str, Any]:
        if TableName not in self.tables:
            raise ResourceNotFoundException
        return {"Table": self.tables[TableName]}

    def update_table(self, TableName: str, **changes: Any) -> None:
        self.tables[TableName] |= changes

    def delete_table(self, TableName: str) -> None:
        assert not self.tables[TableName].get("DeletionProtectionEnabled")
        del self.tables[TableName]


def tables(*names: str, **properties: Any) -> dict[str, TemplateTable]:
    return {f"T{i}": TemplateTable(name, {**PROPERTIES, **properties}) for i, name in enumerate(names)}


def test_create_when_it_succeeds_returns_what_the_template_may_refer_to() -> None:
    client = FakeDynamoDb()
    made = StackTables(client)
    assert made.create("s", tables("a")) == {("T0", None): "a", ("T0", "Arn"): "arn:a"}
    values = made.create("s", tables("b", StreamSpecification={"StreamViewType": "NEW_IMAGE"}))
    assert values[("T0", "StreamArn")] == "arn:b/stream/1"
    made.delete("s")
    assert client.tables == {}


def test_create_when_one_table_is_refused_leaves_none() -> None:
    client = FakeDynamoDb()
    with pytest.raises(EngineError, match=r"stack s was not created: T1: .*too many"):
        StackTables(client).create("s", tables("a", "refused"))
    assert client.tables == {}


def test_create_when_a_property_is_not_supported_makes_nothing() -> None:
    client = FakeDynamoDb()
    given = {**tables("a"), **{"K": TemplateTable("k", {**PROPERTIES, "KinesisStreamSpecification": {}})}}
    with pytest.raises(TemplateError, match="K: property KinesisStreamSpecification"):
        StackTables(client).create("s", given)
    assert client.tables == {}


def test_delete_when_a_table_is_protected_or_gone_deletes_the_rest() -> None:
    client = FakeDynamoDb()
    made = StackTables(client)
    made.create("s", tables("a", "b", DeletionProtectionEnabled=True))
    del client.tables["a"]
    made.delete("s")
    made.delete("s")
    assert client.tables == {}
