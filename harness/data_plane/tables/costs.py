"""What requests cost, in capacity units, by table and index, and how answers say so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from harness.data_plane.tables.capacity import Charge, read_units, write_units
from harness.data_plane.tables.catalog import HeldTable
from harness.data_plane.tables.keys import hash_of
from harness.data_plane.tables.store import Version

Units = dict[str, float]


class Cost(NamedTuple):
    """Units of a table, of its global and of its local secondary indexes."""

    table: float
    gsi: Units
    lsi: Units

    @property
    def total(self) -> float:
        """All units together."""
        return self.table + sum(self.gsi.values()) + sum(self.lsi.values())

    def charge(self, held: HeldTable, pk: bytes) -> Charge:
        """Return the charge to the ledger; local indexes use the table's capacity."""
        return held.key, hash_of(pk), self.table + sum(self.lsi.values()), tuple(self.gsi.items())


NOTHING = Cost(0.0, {}, {})


def read_cost(size: int, consistent: bool) -> Cost:
    """Return the cost of reading `size` bytes of a table."""
    return Cost(read_units(size, consistent), {}, {})


def write_cost(module: Any, held: HeldTable, old: Version | None, new: Version | None) -> Cost:
    """Return the cost of a write that puts `new` in place of `old`: the larger of the two, and every index's share."""
    table = write_units(max(old.size if old else 0, new.size if new else 0))
    if not held.indexed:
        return Cost(table, {}, {})
    before = orjson.loads(old.image) if old else None
    after = orjson.loads(new.image) if new else None
    shares: list[Units] = []
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        indexes = held.definition.get(kind) or []
        units = {i["IndexName"]: module._index_write_units(held.definition, i, before, after) for i in indexes}
        shares.append({name: float(value) for name, value in units.items() if value})
    return Cost(table, *shares)


def added(costs: Iterable[Cost]) -> Cost:
    """Return the sum of costs."""
    table, gsi, lsi = 0.0, Units(), Units()
    for cost in costs:
        table += cost.table
        for total, part in ((gsi, cost.gsi), (lsi, cost.lsi)):
            for name, units in part.items():
                total[name] = total.get(name, 0.0) + units
    return Cost(table, gsi, lsi)


def consumed(table: str, cost: Cost, detail: str) -> dict[str, Any]:
    """Return a ConsumedCapacity; `detail` is TOTAL or INDEXES."""
    capacity: dict[str, Any] = {"TableName": table, "CapacityUnits": cost.total}
    if detail == "INDEXES":
        capacity["Table"] = {"CapacityUnits": cost.table}
        for name, units in (("GlobalSecondaryIndexes", cost.gsi), ("LocalSecondaryIndexes", cost.lsi)):
            if units:
                capacity[name] = {index: {"CapacityUnits": value} for index, value in units.items()}
    return capacity
