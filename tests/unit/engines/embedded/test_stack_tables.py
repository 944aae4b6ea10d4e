"""Tables of a stack as calls of DynamoDB's API: all of them or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.engines.embedded.data_folder import KeptPlans
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
        return {"TableDescription": self.describe_table(name)["Table"]}

    def describe_table(self, TableName: str) -> dict[str, Any]:
        if TableName not in self.tables:
            raise ResourceNotFoundException
        found = {**self.tables[TableName], "TableArn": f"arn:{TableName}"}
        if "StreamSpecification" in found:
            found["LatestStreamArn"] = f"arn:{TableName}/stream/1"
        return {"Table": found}

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


STREAM = {"StreamSpecification": {"StreamViewType": "NEW_IMAGE"}}


def kept(client: FakeDynamoDb, folder: Path) -> StackTables:
    """What an engine that starts on `folder` has."""
    return StackTables(client, KeptPlans(folder / "tables.json"))


def test_create_when_a_table_was_kept_finds_it_again(tmp_path: Path) -> None:
    client = FakeDynamoDb()
    made = kept(client, tmp_path).create("s", tables("a", **STREAM))
    client.tables["a"]["Items"] = 7
    assert kept(client, tmp_path).create("s", tables("a", **STREAM)) == made
    assert client.tables["a"]["Items"] == 7


def test_create_when_it_is_rolled_back_spares_what_was_kept(tmp_path: Path) -> None:
    client = FakeDynamoDb()
    kept(client, tmp_path).create("s", tables("a"))
    with pytest.raises(EngineError, match="too many"):
        kept(client, tmp_path).create("s", tables("a", "b", "refused"))
    assert set(client.tables) == {"a"}
    again = kept(client, tmp_path)
    again.create("s", tables("a", "b"))
    again.roll_back("s")
    assert set(client.tables) == {"a"}
    last = kept(client, tmp_path)
    last.create("s", tables("a"))
    last.delete("s")
    assert client.tables == {}
    assert KeptPlans(tmp_path / "tables.json").made("a") is None


def test_create_when_a_kept_table_has_other_keys_is_refused_with_both(tmp_path: Path) -> None:
    client = FakeDynamoDb()
    kept(client, tmp_path).create("s", tables("a"))
    other = {
        "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
    }
    with pytest.raises(
        EngineError, match=r"T0: table a is there with the keys id \(HASH\), the template has key \(HASH\)"
    ):
        kept(client, tmp_path).create("s", tables("a", **other))
    assert set(client.tables) == {"a"}


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (STREAM, "StreamSpecification"),
        ({"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}]}, "AttributeDefinitions"),
        ({"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "x"}}, "UpdateTimeToLive"),
    ],
)
def test_create_when_a_kept_table_has_other_properties_names_them(
    tmp_path: Path, other: dict[str, Any], named: str
) -> None:
    client = FakeDynamoDb()
    kept(client, tmp_path).create("s", tables("a"))
    with pytest.raises(EngineError, match=f"made with other properties than the template's: {named}$"):
        kept(client, tmp_path).create("s", tables("a", **other))
    assert set(client.tables) == {"a"}


def test_create_when_a_table_is_nobodys_is_refused(tmp_path: Path) -> None:
    client = FakeDynamoDb()
    StackTables(client).create("s", tables("a"))
    with pytest.raises(EngineError, match="table a is there, and was not made from a template"):
        kept(client, tmp_path).create("s", tables("a"))


def test_create_when_an_engine_ended_between_making_and_setting_up_begins_again(tmp_path: Path) -> None:
    client = FakeDynamoDb()
    StackTables(client).create("s", tables("a", DeletionProtectionEnabled=True))
    client.tables["a"]["Half"] = True
    KeptPlans(tmp_path / "tables.json").begin("a", [])
    kept(client, tmp_path).create("s", tables("a", DeletionProtectionEnabled=True))
    assert "Half" not in client.tables["a"]
    assert KeptPlans(tmp_path / "tables.json").made("a") is not None
