"""MiniStack's DynamoDB module, imported into this process to serve what needs expressions or definitions.

It keeps the definitions of tables and evaluates conditions, updates, filters, projections, PartiQL and transactions
on items that it finds through `views`. What it kept by itself and now lies in a store is replaced here: stream
records, the reaper of time to live, counts. Its version is pinned; every name used here is checked when it is loaded.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from typing import Any

import orjson

from harness.data_plane.tables import update_expressions
from harness.errors import REINSTALL, EngineError

SUPPORTED_VERSION = "1.5.33"
_REAPER_THREAD = "dynamodb-ttl-reaper"

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body, as the module's functions return them."""

OPERATIONS = {
    "CreateTable": "_create_table",
    "DeleteTable": "_delete_table",
    "DescribeTable": "_describe_table",
    "ListTables": "_list_tables",
    "UpdateTable": "_update_table",
    "PutItem": "_put_item",
    "GetItem": "_get_item",
    "DeleteItem": "_delete_item",
    "UpdateItem": "_update_item",
    "Query": "_query",
    "Scan": "_scan",
    "BatchWriteItem": "_batch_write_item",
    "BatchGetItem": "_batch_get_item",
    "TransactWriteItems": "_transact_write_items",
    "TransactGetItems": "_transact_get_items",
    "DescribeTimeToLive": "_describe_ttl",
    "UpdateTimeToLive": "_update_ttl",
    "DescribeContinuousBackups": "_describe_continuous_backups",
    "UpdateContinuousBackups": "_update_continuous_backups",
    "DescribeEndpoints": "_describe_endpoints",
    "TagResource": "_tag_resource",
    "UntagResource": "_untag_resource",
    "ListTagsOfResource": "_list_tags",
    "EnableKinesisStreamingDestination": "_enable_kinesis_streaming_destination",
    "DisableKinesisStreamingDestination": "_disable_kinesis_streaming_destination",
    "DescribeKinesisStreamingDestination": "_describe_kinesis_streaming_destination",
    "UpdateKinesisStreamingDestination": "_update_kinesis_streaming_destination",
    "ExecuteStatement": "_execute_statement",
    "BatchExecuteStatement": "_batch_execute_statement",
    "ExecuteTransaction": "_execute_transaction",
    "UpdateContributorInsights": "_update_contributor_insights",
    "DescribeContributorInsights": "_describe_contributor_insights",
    "ListContributorInsights": "_list_contributor_insights",
    "PutResourcePolicy": "_put_resource_policy",
    "GetResourcePolicy": "_get_resource_policy",
    "DeleteResourcePolicy": "_delete_resource_policy",
    "ExportTableToPointInTime": "_export_table_to_point_in_time",
    "DescribeExport": "_describe_export",
    "ListExports": "_list_exports",
    "ImportTable": "_import_table",
    "DescribeImport": "_describe_import",
    "ListImports": "_list_imports",
    "CreateBackup": "_create_backup",
    "DescribeBackup": "_describe_backup",
    "DeleteBackup": "_delete_backup",
    "ListBackups": "_list_backups",
    "RestoreTableFromBackup": "_restore_table_from_backup",
    "RestoreTableToPointInTime": "_restore_table_to_point_in_time",
    "DescribeLimits": "_describe_limits",
    "SearchVectors": "_search_vectors",
}
"""The module's function for each operation."""

STATE = (
    "_tables",
    "_tags",
    "_ttl_settings",
    "_pitr_settings",
    "_kinesis_destinations",
    "_backups",
    "_contributor_insights",
    "_resource_policies",
    "_exports",
    "_imports",
)
"""The module's dictionaries by account and region: all it remembers, apart from tokens of transactions."""

FUNCTIONS = (
    "_add_consumed_capacity",
    "_apply_index_projection",
    "_apply_projection",
    "_apply_update_expression",
    "_emit_stream_event",
    "_evaluate_condition",
    "_evaluate_legacy_filter",
    "_extract_key_val",
    "_extract_pk_from_condition",
    "_extract_pk_from_key_conditions",
    "_index_item",
    "_index_write_units",
    "_item_size_bytes",
    "_nesting_level",
    "_normalize_table_name",
    "_paginate_evaluated_items",
    "_parse_path_from_tokens",
    "_replicate_write",
    "_resolve_index_keys",
    "_resolve_table_key_values",
    "_table_description",
    "_tokenize",
    "_validate_index_key_values",
    "_validate_item",
    "_values_error_response",
    "drop_stream_records",
)
"""Further functions that are called or replaced here."""


REPLACED = (
    "_add_consumed_capacity",
    "_apply_index_projection",
    "_apply_update_expression",
    "_emit_stream_event",
    "_paginate_evaluated_items",
    "_table_description",
    "drop_stream_records",
)
"""Functions that services replace."""
_originals: dict[str, Any] = {}


class FastJson:
    """Stands in for the `json` module inside MiniStack's: orjson, and the standard library for what that cannot do."""

    JSONDecodeError = json.JSONDecodeError

    @staticmethod
    def loads(text: str | bytes) -> Any:
        """Return the decoded value; raises json.JSONDecodeError."""
        return orjson.loads(text)

    @staticmethod
    def dumps(value: Any, **options: Any) -> str:
        """Return JSON text of the value; white space may differ from the standard library's."""
        if not options.keys() <= {"ensure_ascii", "separators", "default"}:
            return json.dumps(value, **options)
        try:
            return orjson.dumps(value, default=options.get("default")).decode()
        except TypeError:
            return json.dumps(value, **options)


@contextlib.contextmanager
def _without_reaper() -> Iterator[None]:
    """Keep the module from starting its own thread, which would delete items behind the store's back."""
    start = threading.Thread.start

    def start_unless_reaper(thread: threading.Thread) -> None:
        if thread.name != _REAPER_THREAD:
            start(thread)

    threading.Thread.start = start_unless_reaper  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]


def load() -> Any:
    """Return the module, patched where stores take its place; raises EngineError for a version not tested with."""
    found = version("ministack")
    if found != SUPPORTED_VERSION:
        raise EngineError(
            f"MiniStack {found} is installed, {SUPPORTED_VERSION} is needed",
            hint=REINSTALL,
        )
    with _without_reaper():
        module: Any = import_module("ministack.services.dynamodb")
    missing = [name for name in (*OPERATIONS.values(), *STATE, *FUNCTIONS) if not hasattr(module, name)]
    if missing:
        raise EngineError(f"MiniStack {found} lacks {', '.join(missing)}")
    # A second service in this process (tests have several) must not wrap what the first has wrapped.
    for name in REPLACED:
        setattr(module, name, _originals.setdefault(name, getattr(module, name)))
    module.json = FastJson
    module._apply_update_expression = update_expressions.checked(module, module._apply_update_expression)
    return module


def replace_stream_events(module: Any) -> None:
    """Let the frames of stores be the stream records; a write is still carried to the replicas of its table."""
    replicate_write = module._replicate_write
    tables = module._tables

    def emit(name: str, event: str, old: Any, new: Any, replicate: bool = True) -> None:
        table = tables.get(name)
        if table and replicate:
            replicate_write(table, event, old, new)

    module._emit_stream_event = emit
    module.drop_stream_records = lambda _name, _table=None: None
