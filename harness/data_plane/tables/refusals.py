"""Requests that DynamoDB refuses and MiniStack's module takes for something else, in DynamoDB's words."""

from __future__ import annotations

from typing import Any

from harness.data_plane.tables.update_expressions import Token

_ACTIONS = ("ConditionCheck", "Put", "Delete", "Update")
_NEVER_IN_KEY_CONDITIONS = {"NE": "<>"}


def refusal(module: Any, definition: dict[str, Any] | None, operation: str, request: dict[str, Any]) -> str | None:
    """Return the message of a ValidationException, or None. `definition` is that of the table that is named."""
    if operation == "TransactWriteItems":
        return _transaction(request)
    if operation in ("CreateTable", "UpdateTable"):
        return _stream(definition if operation == "UpdateTable" else None, request.get("StreamSpecification"))
    if definition is None:
        return None
    if operation == "UpdateTimeToLive":
        return _time_to_live(module, request)
    if operation not in ("Query", "Scan"):
        return None
    index = request.get("IndexName")
    if request.get("Select") == "ALL_ATTRIBUTES" and index is not None:
        projection = _projection_of_global_index(definition, index)
        if projection not in (None, "ALL"):
            return (
                "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global "
                f"secondary index {index} because its projection type is not ALL"
            )
    if operation == "Query":
        condition, filtered = request.get("KeyConditionExpression"), request.get("FilterExpression")
        return (_key_condition(module, condition) if condition else None) or (
            _filter(module, definition, request, filtered) if filtered else None
        )
    return None


def fetches(definition: dict[str, Any] | None, request: dict[str, Any]) -> bool:
    """Tell whether a Query or Scan of a local index returns attributes of the table that the index lacks."""
    local = [index["IndexName"] for index in (definition or {}).get("LocalSecondaryIndexes") or []]
    asked = request.get("Select") == "ALL_ATTRIBUTES" or request.get("ProjectionExpression") is not None
    return request.get("IndexName") in local and (asked or request.get("AttributesToGet") is not None)


def _transaction(request: dict[str, Any]) -> str | None:
    for number, entry in enumerate(request.get("TransactItems") or [], 1):
        if not isinstance(entry, dict) or sum(entry.get(action) is not None for action in _ACTIONS) != 1:
            return "TransactItems can only contain one of Check, Put, Update or Delete"
        check = entry.get("ConditionCheck")
        if check is not None and check.get("ConditionExpression") is None:
            return (
                f"1 validation error detected: Value null at 'transactItems.{number}.member.conditionCheck."
                "conditionExpression' failed to satisfy constraint: Member must not be null"
            )
    return None


def _stream(definition: dict[str, Any] | None, wanted: Any) -> str | None:
    """Look at the StreamSpecification of a new table, or of one that is changed."""
    if not wanted:
        return None
    enable = bool(wanted.get("StreamEnabled"))
    if enable and wanted.get("StreamViewType") is None:
        return "One or more parameter values were invalid: StreamViewType must be given for a stream that is enabled"
    if definition is None:
        return None
    enabled = bool((definition.get("StreamSpecification") or {}).get("StreamEnabled"))
    if enable and enabled:
        return f"Table already has an enabled stream: TableName: {definition['TableName']}"
    if not enable and not enabled:
        return f"Table has no stream to disable: TableName: {definition['TableName']}"
    return None


def _time_to_live(module: Any, request: dict[str, Any]) -> str | None:
    wanted = request.get("TimeToLiveSpecification")
    enable = wanted.get("Enabled") if isinstance(wanted, dict) else None
    name = module._normalize_table_name(request.get("TableName"))
    enabled = (module._ttl_settings.get(name) or {}).get("TimeToLiveStatus") == "ENABLED"
    if enable is None or enable != enabled:
        return None
    return f"TimeToLive is already {'enabled' if enabled else 'disabled'}"


def _projection_of_global_index(definition: dict[str, Any], name: Any) -> str | None:
    for index in definition.get("GlobalSecondaryIndexes") or []:
        if index["IndexName"] == name:
            return str((index.get("Projection") or {}).get("ProjectionType", "ALL"))
    return None


def _key_condition(module: Any, expression: str) -> str | None:
    for kind, text in _tokens(module, expression):
        word = text.upper() if kind == "IDENT" else _NEVER_IN_KEY_CONDITIONS.get(kind, "")
        if word in ("OR", "NOT", "IN", "<>"):
            return f"Invalid operator used in KeyConditionExpression: {word}"
    return None


def _filter(module: Any, definition: dict[str, Any], request: dict[str, Any], expression: str) -> str | None:
    partition, sort, _ = module._resolve_index_keys(definition, request.get("IndexName"))
    names = request.get("ExpressionAttributeNames") or {}
    before = ""
    for kind, text in _tokens(module, expression):
        # Behind a dot it is a member of a document, whatever its name.
        name = names.get(text, "") if kind == "NAME_REF" else text if kind == "IDENT" else ""
        if before != "DOT" and name and name in (partition, sort):
            return f"Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
        before = kind
    return None


def _tokens(module: Any, expression: str) -> list[Token]:
    tokens: list[Token] = module._tokenize(expression)
    return tokens
