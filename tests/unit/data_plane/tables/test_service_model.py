"""The whole service against a plain dictionary, across restarts and across logs cut at any byte."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.data_plane.tables.conftest import stream, table
from tests.unit.data_plane.tables.test_streams import Clocked

Item = dict[str, Any]

names = st.sampled_from(["a", "b", "c", "d", "e", "f"])
values = st.sampled_from(
    [{"S": ""}, {"S": "é"}, {"N": "1"}, {"L": [{"N": "2"}]}, {"SS": ["x", "y"]}, {"M": {"a": {"NULL": True}}}]
)


@dataclass(frozen=True)
class Change:
    """What one request did, and where the log ended with it."""

    log: Path
    end: int
    key: str
    old: Item | None
    new: Item | None


class ServiceMachine(RuleBasedStateMachine):
    """Items and stream must be those of the changes that the logs hold."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="tables-test-"))
        self.changes: list[Change] = []

    @initialize(shards=st.integers(1, 3))
    def create(self, shards: int) -> None:
        self.shards = shards
        self.open()
        created = self.clocked.call("CreateTable", **table("events", **stream()))
        self.arn = created["TableDescription"]["LatestStreamArn"]

    def open(self) -> None:
        self.clocked = Clocked(directory=self.root, shards=self.shards)

    def items(self) -> dict[str, Item]:
        """Return what the model holds."""
        held: dict[str, Item] = {}
        for change in self.changes:
            if change.new is None:
                held.pop(change.key)
            else:
                held[change.key] = change.new
        return held

    def sizes(self) -> dict[Path, int]:
        return {path: path.stat().st_size for path in self.root.glob("*/*.log")}

    def change(self, key: str, new: Item | None, operation: str, **request: Any) -> None:
        """Make a call that replaces the item by `new`; a change must have grown one log, nothing else any."""
        before, old = self.sizes(), self.items().get(key)
        self.clocked.call(operation, TableName="events", **request)
        grown = {path: size for path, size in self.sizes().items() if size != before.get(path)}
        if old == new:
            assert not grown
            return
        [(log, end)] = grown.items()
        self.changes.append(Change(log, end, key, old, new))

    @rule(name=names, value=values)
    def put(self, name: str, value: Any) -> None:
        item = {"id": {"S": name}, "v": value}
        self.change(name, item, "PutItem", Item=item)

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.change(name, None, "DeleteItem", Key={"id": {"S": name}})

    @rule(name=names, value=values)
    def update(self, name: str, value: Any) -> None:
        new = {**self.items().get(name, {"id": {"S": name}}), "w": value}
        self.change(
            name,
            new,
            "UpdateItem",
            Key={"id": {"S": name}},
            UpdateExpression="SET w = :w",
            ExpressionAttributeValues={":w": value},
        )

    @rule(name=names, value=values)
    def put_if_absent(self, name: str, value: Any) -> None:
        item = {"id": {"S": name}, "v": value}
        request: dict[str, Any] = {"Item": item, "ConditionExpression": "attribute_not_exists(id)"}
        if name in self.items():
            before = self.sizes()
            with pytest.raises(ClientError, match="ConditionalCheckFailedException"):
                self.clocked.call("PutItem", TableName="events", **request)
            assert self.sizes() == before
        else:
            self.change(name, item, "PutItem", **request)

    @rule()
    def reopen(self) -> None:
        self.clocked.service.close()
        self.open()

    @precondition(lambda self: self.changes)
    @rule(pick=st.integers(0, 10**6), cut=st.integers(1, 10**6))
    def cut_a_log_and_reopen(self, pick: int, cut: int) -> None:
        """Cut a log within its last change, or between two: as much of it as is whole counts."""
        self.clocked.service.close()
        logs = sorted({change.log for change in self.changes})
        log = logs[pick % len(logs)]
        ends = [change.end for change in self.changes if change.log == log]
        low = ends[-2] if len(ends) > 1 else 0
        size = max(low, ends[-1] - cut % (ends[-1] - low + 1))
        with log.open("r+b") as file:
            file.truncate(size)
        self.changes = [change for change in self.changes if change.log != log or change.end <= size]
        self.open()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "arn"):
            return
        found = self.clocked.call("Scan", TableName="events", ConsistentRead=True)["Items"]
        assert {item["id"]["S"]: item for item in found} == self.items()
        assert self.clocked.call("DescribeTable", TableName="events")["Table"]["ItemCount"] == len(found)

    @invariant()
    def stream_tells_every_change_of_each_item_in_order(self) -> None:
        if not hasattr(self, "arn"):
            return
        told: dict[str, list[tuple[str, Item | None, Item | None]]] = {}
        for shard in range(len(self.clocked.shards(self.arn))):
            iterator = self.clocked.iterator(self.arn, shard)
            for record in self.clocked.stream("GetRecords", ShardIterator=iterator)["Records"]:
                change = record["dynamodb"]
                entry = record["eventName"], change.get("OldImage"), change.get("NewImage")
                told.setdefault(change["Keys"]["id"]["S"], []).append(entry)
        expected: dict[str, list[tuple[str, Item | None, Item | None]]] = {}
        for each in self.changes:
            kind = "REMOVE" if each.new is None else "MODIFY" if each.old is not None else "INSERT"
            expected.setdefault(each.key, []).append((kind, each.old, each.new))
        assert told == expected

    def teardown(self) -> None:
        if hasattr(self, "clocked"):
            self.clocked.service.close()
        shutil.rmtree(self.root)


ServiceMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestService = ServiceMachine.TestCase
