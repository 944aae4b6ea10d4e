"""Operations that MiniStack's module serves on our stores: definitions, expressions, PartiQL, transactions, indexes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from ministack.core.responses import error_response_json, request_scope

from harness.data_plane.tables import filtered_scan
from harness.data_plane.tables.capacity import Ledger, Throughput
from harness.data_plane.tables.catalog import Catalog, HeldTable
from harness.data_plane.tables.costs import consumed, read_cost, write_cost
from harness.data_plane.tables.keys import key_text
from harness.data_plane.tables.module import OPERATIONS, Response
from harness.data_plane.tables.read_meter import METERED, ReadMeter
from harness.data_plane.tables.refusals import fetches, refusal
from harness.data_plane.tables.store import Clock
from harness.data_plane.tables.views import NO_SORT_KEY

_CONTROL_VERBS = ("Create", "Delete", "Update", "Restore", "Tag", "Untag", "Put", "Enable", "Disable", "Export")
CONTROL = frozenset(operation for operation in OPERATIONS if operation.startswith(_CONTROL_VERBS)) - {
    "DeleteItem",
    "UpdateItem",
    "PutItem",
}
"""Operations after which definitions are compared and saved."""

TRANSACTIONS = frozenset({"TransactWriteItems", "ExecuteTransaction"})

ELSEWHERE = {
    "ImportTable": "an import reads from S3, which another process serves",
    "EnableKinesisStreamingDestination": "records for Kinesis would have to reach another process",
}
"""What is refused, and why."""

ITEMS_A_TURN = 2_000
"""Items whose time to live is looked at in one turn of a table."""


class Delegate:
    """Serves any operation through the module."""

    def __init__(self, catalog: Catalog, module: Any, ledger: Ledger, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._module = module
        self._ledger = ledger
        self._functions: dict[str, Callable[[dict[str, Any]], Response]] = {
            operation: getattr(module, name) for operation, name in OPERATIONS.items()
        }
        # Set anew by every request.
        self._fetching = False
        self._project = module._apply_index_projection
        module._apply_index_projection = self._projected
        self._meter = ReadMeter(module, ledger, self._held)
        self._expiry: dict[int, tuple[bytes, bytes]] = {}
        self._describe = module._table_description
        module._table_description = self._description
        self._configure_all()

    def serve(self, operation: str, scope: tuple[str, str], request: dict[str, Any]) -> Response:
        """Return status, headers and body; raises OSError, Throttled."""
        function = self._functions.get(operation)
        if function is None:
            return _refused("UnknownOperationException", f"Unknown operation: {operation}")
        if operation in ELSEWHERE:
            return _refused("ValidationException", f"{operation} is not supported here: {ELSEWHERE[operation]}")
        if operation in CONTROL:
            for each in self._catalog.tables.values():
                self._catalog.refresh_counts(each)
        with request_scope(*scope):
            named = self._named(scope, request)
            definition = named.definition if named is not None else None
            refused = refusal(self._module, definition, operation, request)
            if refused is not None:
                return _refused("ValidationException", refused)
            held = self._scanned(operation, scope, request)
            self._fetching = fetches(definition, request)
            response = function(request) if held is None else self._scan(held, request)
            if response[0] == 200 and held is None and operation in METERED:
                response = self._metered(operation, scope, request, response)
        if response[0] != 200:
            self._take_back()
        else:
            self._charge_writes(2.0 if operation in TRANSACTIONS else 1.0)
            self._catalog.commit(atomic=operation in TRANSACTIONS)
            if operation in CONTROL:
                if operation in ("CreateTable", "UpdateTable"):
                    self._warm(scope, request)
                try:
                    self._catalog.sync()
                except OSError:
                    if operation == "CreateTable":
                        self._unmake(scope, request)
                    raise
                self._configure_all()
        return response

    def _projected(self, item: Any, table: Any, index_name: Any) -> Any:
        """Return what an index shows of an item; a local one fetches from the table what it lacks, if asked."""
        return item if self._fetching else self._project(item, table, index_name)

    def _held(self, definition: Any) -> HeldTable | None:
        return next((held for held in self._catalog.tables.values() if held.definition is definition), None)

    def _metered(self, operation: str, scope: tuple[str, str], request: dict[str, Any], response: Response) -> Response:
        status, headers, body = response
        answer = orjson.loads(body)
        held = self._named(scope, request)
        self._meter.charge(operation, held, request, answer)
        return status, headers, orjson.dumps(answer)

    def _scanned(self, operation: str, scope: tuple[str, str], request: dict[str, Any]) -> HeldTable | None:
        """Return the table of a Scan that is not one of an index."""
        if operation != "Scan" or request.get("IndexName") is not None:
            return None
        return self._named(scope, request)

    def _named(self, scope: tuple[str, str], request: dict[str, Any]) -> HeldTable | None:
        name = self._module._normalize_table_name(request.get("TableName"))
        return self._catalog.tables.get((*scope, name)) if isinstance(name, str) else None

    def _scan(self, held: HeldTable, request: dict[str, Any]) -> Response:
        refusal = filtered_scan.refusal(self._module, held, request)
        if refusal is not None:
            return refusal
        try:
            answer, page = filtered_scan.scan(self._module, held, request)
        except ValueError as error:
            return _refused("ValidationException", str(error))
        cost = read_cost(page.size, bool(request.get("ConsistentRead")))
        self._ledger.require_read(cost.charge(held, page.last[0] if page.last else b""))
        detail = request.get("ReturnConsumedCapacity", "NONE")
        if detail != "NONE":
            answer["ConsumedCapacity"] = consumed(held.name, cost, detail)
        return 200, {}, orjson.dumps(answer)

    def _unmake(self, scope: tuple[str, str], request: dict[str, Any]) -> None:
        """Take back a table that could not be stored."""
        name = self._module._normalize_table_name(request["TableName"])
        with request_scope(*scope):
            definition = self._module._tables.pop(name, None)
            if definition is not None:
                self._module._tags.pop(definition.get("TableArn"), None)
        self._catalog.drop((*scope, name))

    def _warm(self, scope: tuple[str, str], request: dict[str, Any]) -> None:
        """Keep the warm throughput that the module reads but never stores."""
        warm = request.get("WarmThroughput")
        name = self._module._normalize_table_name(request.get("TableName"))
        definition = self._module._tables.get_scoped(*scope, name)
        if warm and definition is not None:
            definition["WarmThroughput"] = {**definition.get("WarmThroughput", {}), **warm, "Status": "ACTIVE"}

    def _take_back(self) -> None:
        """Undo what a refused request has written; the module restores copies of its own, which are dropped."""
        self._catalog.rollback()
        for held in self._catalog.tables.values():
            if held.definition.get("items") is not held.view:
                held.definition["items"] = held.view
                held.definition.pop("_index_members", None)
                self._catalog.refresh_counts(held)

    def _description(self, name: str) -> Any:
        held = self._held(self._module._tables.get(name))
        if held is not None:
            self._catalog.refresh_counts(held)
        return self._describe(name)

    # capacity

    def _configure_all(self) -> None:
        for held in self._catalog.tables.values():
            self._ledger.configure(held.key, held.arn, throughput(held.definition, held.definition), indexes(held))
        for key in self._ledger.usage.keys() - self._catalog.tables.keys():
            self._ledger.forget(key)

    def _charge_writes(self, times: float) -> None:
        """Charge for what is pending; in a transaction a table's own units count `times` two, its indexes' once."""
        by_store = {held.store: held for held in self._catalog.tables.values()}
        for store in self._catalog.changed:
            held = by_store.get(store)
            if held is None:
                continue
            for pk, old, new in store.pending_changes():
                cost = write_cost(self._module, held, old, new)
                self._ledger.require_write(cost._replace(table=cost.table * times).charge(held, pk))

    # time to live

    def expire_items(self) -> None:
        """Remove items whose time has come, some of each table in turn; raises OSError."""
        for (account, region, name), setting in list(self._module._ttl_settings.all_items()):
            held = self._catalog.tables.get((account, region, name))
            attribute = setting.get("AttributeName")
            if held is not None and attribute and setting.get("TimeToLiveStatus") == "ENABLED":
                with request_scope(account, region):
                    self._expire(held, attribute)
        self._catalog.commit(atomic=False)

    def _expire(self, held: HeldTable, attribute: str) -> None:
        now = self._clock() / 1000
        due: list[tuple[bytes, bytes, dict[str, Any]]] = []
        looked = 0
        last: tuple[bytes, bytes] | None = None
        for pk, sk, version in held.store.scan(after=self._expiry.get(id(held))):
            looked += 1
            if looked > ITEMS_A_TURN:
                break
            last = pk, sk
            item = orjson.loads(version.image)
            if is_expired(item.get(attribute), now):
                due.append((pk, sk, item))
        if looked > ITEMS_A_TURN and last is not None:
            self._expiry[id(held)] = last
        else:
            self._expiry.pop(id(held), None)
        for pk, sk, item in due:
            self._remove(held, pk, sk, item)

    def _remove(self, held: HeldTable, pk: bytes, sk: bytes, item: dict[str, Any]) -> None:
        held.store.delete(pk, sk, expired=True)
        schema = held.schema
        texts = key_text(schema.pk_type, pk), key_text(schema.sk_type, sk) if schema.sk is not None else NO_SORT_KEY
        self._module._index_item(held.definition, *texts, item, add=False)
        self._module._replicate_write(held.definition, "REMOVE", item, None)


def _refused(code: str, message: str) -> Response:
    response: Response = error_response_json(code, message, 400)
    return response


FIVE_YEARS = 5 * 365 * 86_400


def is_expired(value: Any, now: float) -> bool:
    """Tell whether a time-to-live attribute asks for removal: a number of seconds in the past, at most five years."""
    number = value.get("N") if isinstance(value, dict) else None
    return isinstance(number, str) and now - FIVE_YEARS <= float(number) <= now


def throughput(definition: dict[str, Any], part: dict[str, Any]) -> Throughput:
    """Return the settings of a table (`part` is its definition) or of one of its indexes."""
    billing = (definition.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED")
    provisioned = part.get("ProvisionedThroughput") or {}
    maximum = part.get("OnDemandThroughput") or {}
    warm = part.get("WarmThroughput") or {}

    def limit(name: str) -> float | None:
        value = int(maximum.get(name, -1))
        return float(value) if value > 0 else None

    return Throughput(
        on_demand=billing == "PAY_PER_REQUEST",
        write=float(provisioned.get("WriteCapacityUnits", 0)),
        read=float(provisioned.get("ReadCapacityUnits", 0)),
        max_write=limit("MaxWriteRequestUnits"),
        max_read=limit("MaxReadRequestUnits"),
        warm_write=float(warm.get("WriteUnitsPerSecond", 0)),
        warm_read=float(warm.get("ReadUnitsPerSecond", 0)),
    )


def indexes(held: HeldTable) -> dict[str, Throughput]:
    """Return the settings of a table's global secondary indexes; local ones use the table's capacity."""
    found = held.definition.get("GlobalSecondaryIndexes") or []
    return {index["IndexName"]: throughput(held.definition, index) for index in found}
