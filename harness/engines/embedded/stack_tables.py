"""Tables of a stack, made and deleted by calls of DynamoDB's API wherever the engine's DynamoDB is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from harness.data_plane.tables import cloudformation
from harness.data_plane.tables.cloudformation import Call, CreatedTable
from harness.engines.embedded.data_folder import KeptPlans, plain
from harness.engines.templates.tables import TemplateTable
from harness.errors import EngineError

_log = logging.getLogger(__name__)

Values = dict[tuple[str, str | None], str]
"""What Ref (attribute None) and GetAtt give, by logical id and attribute."""


class StackTables:
    """The tables of all stacks; `dynamodb` is the client they are made with.

    With `plans` a table that an earlier engine made from the same properties is found again, with its items.
    """

    def __init__(self, dynamodb: Any, plans: KeptPlans | None = None) -> None:
        self._dynamodb = dynamodb
        self._plans = plans
        self._names: dict[str, list[str]] = {}
        self._found: set[str] = set()

    def create(self, stack_name: str, tables: Mapping[str, TemplateTable]) -> Values:
        """Create or find a stack's tables, all or none; returns what the template may refer to.

        Raises TemplateError for a property that is not supported, EngineError for what DynamoDB refuses and for a
        table that was made from other properties.
        """
        plans = {k: cloudformation.plan(k, table.name, table.properties) for k, table in tables.items()}
        names = self._names.setdefault(stack_name, [])
        values: Values = {}
        try:
            for logical_id, calls in plans.items():
                table = self._table(logical_id, tables[logical_id].name, calls)
                names.append(table.name)
                values[(logical_id, None)] = table.name
                values[(logical_id, "Arn")] = table.arn
                if table.stream_arn is not None:
                    values[(logical_id, "StreamArn")] = table.stream_arn
        except (ClientError, BotoCoreError) as error:
            self.roll_back(stack_name)
            raise EngineError(f"stack {stack_name} was not created: {logical_id}: {error}") from error
        except EngineError:
            self.roll_back(stack_name)
            raise
        return values

    def roll_back(self, stack_name: str) -> None:
        """Delete what `create` made of a stack, and nothing that was there before."""
        self._delete([name for name in self._names.pop(stack_name, ()) if name not in self._found])

    def delete(self, stack_name: str) -> None:
        """Delete a stack's tables, whatever protects them; raises ClientError, BotoCoreError."""
        self._delete(self._names.pop(stack_name, ()))

    def _delete(self, names: Any) -> None:
        for name in names:
            try:
                self._delete_table(name)
            except self._dynamodb.exceptions.ResourceNotFoundException:
                _log.info("table %s was deleted before", name)
            self._found.discard(name)
            if self._plans is not None:
                self._plans.forget(name)

    def _delete_table(self, name: str) -> None:
        if self._dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
            self._dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
        self._dynamodb.delete_table(TableName=name)

    def _table(self, logical_id: str, name: str, calls: list[Call]) -> CreatedTable:
        if self._plans is None:
            return cloudformation.create(self._dynamodb, calls)
        present = self._present(name)
        if present is not None and self._plans.begun(name):
            # An engine was ended between making it and setting it up; no function had it yet.
            self._delete_table(name)
            present = None
        if present is not None:
            _check_same(logical_id, name, calls, self._plans.made(name), present)
            self._found.add(name)
            return CreatedTable(name, str(present["TableArn"]), present.get("LatestStreamArn"))
        self._plans.begin(name, calls)
        try:
            table = cloudformation.create(self._dynamodb, calls)
        except (ClientError, BotoCoreError):
            self._plans.forget(name)
            raise
        self._plans.complete(name)
        return table

    def _present(self, name: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = self._dynamodb.describe_table(TableName=name)["Table"]
        except self._dynamodb.exceptions.ResourceNotFoundException:
            return None
        return found


def _check_same(
    logical_id: str, name: str, calls: list[Call], before: list[Any] | None, present: Mapping[str, Any]
) -> None:
    """Raise EngineError where a table that is there is another than the template's."""
    wanted = plain(calls)
    hint = "name another folder with --data, or restore what the template said"
    request = wanted[0][1]
    if plain(present["KeySchema"]) != request["KeySchema"]:
        raise EngineError(
            f"{logical_id}: table {name} is there with the keys {_keys(present['KeySchema'])}, "
            f"the template has {_keys(request['KeySchema'])}",
            hint=hint,
        )
    if before is None:
        raise EngineError(f"{logical_id}: table {name} is there, and was not made from a template", hint=hint)
    kept = before[0][1]
    changed = [key for key in sorted({*kept, *request}) if kept.get(key) != request.get(key)]
    settings = sorted({call[0] for call in [*before[1:], *wanted[1:]]})
    changed += [setting for setting in settings if _of(before, setting) != _of(wanted, setting)]
    if changed:
        raise EngineError(
            f"{logical_id}: table {name} is there, and was made with other properties than the template's: "
            f"{', '.join(changed)}",
            hint=hint,
        )


def _of(calls: list[Any], operation: str) -> list[Any]:
    return [call for call in calls if call[0] == operation]


def _keys(schema: Any) -> str:
    return ", ".join(f"{key['AttributeName']} ({key['KeyType']})" for key in schema)
