"""Tables of a stack, made and deleted by calls of DynamoDB's API wherever the engine's DynamoDB is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from harness.data_plane.tables import cloudformation
from harness.engines.embedded.template_tables import TemplateTable
from harness.errors import EngineError

_log = logging.getLogger(__name__)

Values = dict[tuple[str, str | None], str]
"""What Ref (attribute None) and GetAtt give, by logical id and attribute."""


class StackTables:
    """The tables of all stacks; `dynamodb` is the client they are made with."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb
        self._names: dict[str, list[str]] = {}

    def create(self, stack_name: str, tables: Mapping[str, TemplateTable]) -> Values:
        """Create a stack's tables, all or none; returns what the template may refer to.

        Raises TemplateError for a property that is not supported, EngineError for what DynamoDB refuses.
        """
        plans = {k: cloudformation.plan(k, table.name, table.properties) for k, table in tables.items()}
        made = self._names.setdefault(stack_name, [])
        values: Values = {}
        for logical_id, calls in plans.items():
            try:
                table = cloudformation.create(self._dynamodb, calls)
            except (ClientError, BotoCoreError) as error:
                self.delete(stack_name)
                raise EngineError(f"stack {stack_name} was not created: {logical_id}: {error}") from error
            made.append(table.name)
            values[(logical_id, None)] = table.name
            values[(logical_id, "Arn")] = table.arn
            if table.stream_arn is not None:
                values[(logical_id, "StreamArn")] = table.stream_arn
        return values

    def delete(self, stack_name: str) -> None:
        """Delete a stack's tables, whatever protects them; raises ClientError, BotoCoreError."""
        for name in self._names.pop(stack_name, ()):
            try:
                if self._dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
                    self._dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
                self._dynamodb.delete_table(TableName=name)
            except self._dynamodb.exceptions.ResourceNotFoundException:
                _log.info("table %s of stack %s was deleted before", name, stack_name)
