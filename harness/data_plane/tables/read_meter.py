"""What the module's reads cost. By itself it calls every read one unit; here what it read is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.data_plane.tables.capacity import Ledger
from harness.data_plane.tables.catalog import HeldTable
from harness.data_plane.tables.costs import Cost, added, consumed, read_cost
from harness.data_plane.tables.keys import key_bytes
from harness.data_plane.tables.store import Version
from harness.data_plane.tables.views import ItemsView

METERED = frozenset({"GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems"})


class ReadMeter:
    """Notes the size of the page that the module reads, and charges for it."""

    def __init__(self, module: Any, ledger: Ledger, held: Callable[[Any], HeldTable | None]) -> None:
        """`held` finds the table of one of the module's definitions."""
        self._module = module
        self._held = held
        self._ledger = ledger
        self._page_size = 0
        self._paginate = module._paginate_evaluated_items
        self._add = module._add_consumed_capacity
        module._paginate_evaluated_items = self._page
        module._add_consumed_capacity = self._add_consumed

    def _page(self, items: Any, limit: Any, table: Any, index_name: Any = None) -> Any:
        page, more = self._paginate(items, limit, table, index_name)
        entries = (self._module._apply_index_projection(i, table, index_name) if index_name else i for i in page)
        self._page_size = sum(map(self._module._item_size_bytes, entries))
        return page, more

    def _add_consumed(self, result: Any, data: Any, table_name: Any, write: bool = False, **members: Any) -> None:
        self._add(result, data, table_name, write=write, **members)
        capacity = result.get("ConsumedCapacity")
        if write or capacity is None:
            return
        table = self._module._tables.get(table_name)
        size = self._item_size(table, data.get("Key")) if "Key" in data else self._page_size
        units = read_cost(size, bool(data.get("ConsistentRead"))).table
        capacity["CapacityUnits"] = units
        for part in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
            for share in capacity.get(part, {}).values():
                share["CapacityUnits"] = units
        if "Table" in capacity and not capacity.keys() & {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"}:
            capacity["Table"]["CapacityUnits"] = units

    def _item_size(self, table: Any, key: Any) -> int:
        version = self._version(table, key)
        return version.size if version else 0

    def _version(self, table: Any, key: Any) -> Version | None:
        """Return the item with a key that the module has accepted."""
        items = table["items"]
        if not isinstance(items, ItemsView) or not isinstance(key, dict):
            return None
        module = self._module
        texts = module._resolve_table_key_values(table, key, allow_extra=False)
        return items.version(*texts[:2])

    def charge(self, operation: str, held: HeldTable | None, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """Charge for a read that succeeded, and complete its answer; raises Throttled.

        `held` is the table of a request that names one.
        """
        if operation == "BatchGetItem":
            self._charge_batch(request, answer)
        elif operation == "TransactGetItems":
            self._charge_transaction(request, answer)
        elif operation == "GetItem":
            self._charge_key(request["TableName"], request["Key"], 1 if request.get("ConsistentRead") else 0.5)
        elif held is not None:
            index = request.get("IndexName")
            cost = read_cost(self._page_size, bool(request.get("ConsistentRead")))
            if isinstance(index, str) and index in {
                i["IndexName"] for i in held.definition.get("GlobalSecondaryIndexes") or []
            }:
                cost = Cost(0.0, {index: cost.table}, {})
            self._ledger.require_read(cost.charge(held, self._partition(held, request, index)))

    def _partition(self, held: HeldTable, request: dict[str, Any], index: Any) -> bytes:
        """Return the partition key that a Query reads; a Scan of an index has none."""
        module = self._module
        name, kind = held.schema.pk, held.schema.pk_type
        if index is not None:
            # An index's partitions are not ours: any bytes of its key spread the load.
            name, kind = module._resolve_index_keys(held.definition, index)[0], "S"
        condition, legacy = request.get("KeyConditionExpression"), request.get("KeyConditions")
        if condition:
            values, names = request.get("ExpressionAttributeValues", {}), request.get("ExpressionAttributeNames", {})
            text = module._extract_pk_from_condition(condition, values, names, name)
        else:
            text = module._extract_pk_from_key_conditions(legacy, name) if legacy else None
        return key_bytes(kind, str(text)) if text is not None else b""

    def _charge_key(self, name: str, key: Any, times: float) -> Cost:
        table = self._module._tables.get(self._module._normalize_table_name(name))
        held = self._held(table)
        cost = Cost(read_cost(self._item_size(table, key), consistent=True).table * times, {}, {})
        if held is not None and held.view is not None:
            pk = self._module._extract_key_val(key[held.schema.pk])
            self._ledger.require_read(cost.charge(held, key_bytes(held.schema.pk_type, pk)))
        return cost

    def _charge_transaction(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        costs: dict[str, list[Cost]] = {}
        for entry in request["TransactItems"]:
            name = entry["Get"]["TableName"]
            costs.setdefault(name, []).append(self._charge_key(name, entry["Get"]["Key"], 2))
        detail = request.get("ReturnConsumedCapacity", "NONE")
        if detail != "NONE":
            capacities = [consumed(name, added(part), detail) for name, part in costs.items()]
            answer["ConsumedCapacity"] = [{**c, "ReadCapacityUnits": c["CapacityUnits"]} for c in capacities]

    def _charge_batch(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        detail = request.get("ReturnConsumedCapacity", "NONE")
        capacities = []
        for name, asked in request["RequestItems"].items():
            times = 1 if asked.get("ConsistentRead") else 0.5
            costs = [self._charge_key(name, key, times) for key in asked.get("Keys", [])]
            capacities.append(consumed(name, added(costs), detail))
        if detail != "NONE":
            answer["ConsumedCapacity"] = capacities
