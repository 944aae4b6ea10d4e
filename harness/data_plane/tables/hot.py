"""The operations that carry the load, on bytes: unconditional writes, gets, scans without a filter, whole partitions.

Each takes a request's body and returns the body of a successful answer, or None: then the request is one that this
path does not know, or one that will be refused, and MiniStack's module serves it on the same store. So nothing is
refused here, and nothing is written before all of a request is known to be valid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from msgspec import Raw

from harness.data_plane.tables import requests
from harness.data_plane.tables.capacity import Ledger, write_units
from harness.data_plane.tables.catalog import Catalog, HeldTable
from harness.data_plane.tables.costs import NOTHING, Cost, added, consumed, write_cost
from harness.data_plane.tables.hot_reads import HotReads, Scope
from harness.data_plane.tables.items import NOT_DECODED, Item, read_item, read_key
from harness.data_plane.tables.keys import key_bytes, key_text
from harness.data_plane.tables.rows import table_name
from harness.data_plane.tables.store import Version
from harness.data_plane.tables.views import NO_SORT_KEY

MAX_BATCH_WRITES = 25
_ALL_PROCESSED = b'{"UnprocessedItems":{}}'


class _Change(NamedTuple):
    """One write of a batch: `item` for a put; the entry as it came, should it have to be returned unprocessed."""

    pk: bytes
    sk: bytes
    item: Item | None
    entry: requests.Write


class HotOperations:
    """The operations by name, see `serve`."""

    def __init__(self, catalog: Catalog, module: Any, ledger: Ledger, reserved: frozenset[str]) -> None:
        self._catalog = catalog
        self._module = module
        self._ledger = ledger
        reads = HotReads(catalog, ledger, reserved)
        self._operations: dict[str, Callable[[Scope, Any], bytes | None]] = {
            "BatchWriteItem": self.batch_write_item,
            "PutItem": self.put_item,
            "DeleteItem": self.delete_item,
            "GetItem": reads.get_item,
            "BatchGetItem": reads.batch_get_item,
            "Scan": reads.scan,
            "Query": reads.query,
        }

    def serve(self, operation: str, scope: Scope, body: bytes) -> bytes | None:
        """Return the answer's body, or None when the request must take the long way."""
        serve = self._operations.get(operation)
        if serve is None:
            return None
        if operation == "BatchWriteItem" and self._put_rows(scope, body):
            return _ALL_PROCESSED
        try:
            request = requests.DECODERS[operation].decode(body)
        except NOT_DECODED:
            return None
        return serve(scope, request)

    def _table(self, scope: Scope, name: str) -> HeldTable | None:
        return self._catalog.tables.get((*scope, name))

    def _fits_indexes(self, held: HeldTable, item: Item) -> bool:
        return self._module._validate_index_key_values(held.definition, orjson.loads(item.image)) is None

    def _validated(self, held: HeldTable, raw: Raw) -> Item | None:
        """Return an item that needs more than one look, or None when it is refused."""
        module, schema = self._module, held.schema
        try:
            item = orjson.loads(bytes(raw))
        except orjson.JSONDecodeError:
            return None
        # Most such items only have white space, as boto3 sends it.
        read = read_item(orjson.dumps(item), schema)
        if read is not None:
            return read
        if not isinstance(item, dict) or module._values_error_response(item.values(), envelope=False):
            return None
        if max((module._nesting_level(v) for v in item.values()), default=0) > module._DDB_MAX_NESTING_DEPTH:
            return None
        if module._validate_item(item, schema.pk, schema.sk):
            return None
        pk_text, sk_text, error = module._resolve_table_key_values(held.definition, item, allow_extra=True)
        if error:
            return None
        try:
            pk = key_bytes(schema.pk_type, pk_text)
            sk = key_bytes(schema.sk_type, sk_text) if schema.sk is not None else b""
        except ValueError:
            return None
        return Item(pk, sk, orjson.dumps(item), module._item_size_bytes(item))

    def put_item(self, scope: Scope, request: requests.PutItem) -> bytes | None:
        """Serve PutItem without a condition."""
        held = self._table(scope, request.TableName)
        read = self._changes(held, [requests.Write(PutRequest=requests.Put(request.Item))]) if held else None
        return self._written(held, request, read[0]) if held is not None and read else None

    def delete_item(self, scope: Scope, request: requests.DeleteItem) -> bytes | None:
        """Serve DeleteItem without a condition."""
        held = self._table(scope, request.TableName)
        read = self._changes(held, [requests.Write(DeleteRequest=requests.Delete(request.Key))]) if held else None
        return self._written(held, request, read[0]) if held is not None and read else None

    def _written(self, held: HeldTable, request: requests.PutItem | requests.DeleteItem, change: _Change) -> bytes:
        detail = request.ReturnConsumedCapacity
        if detail == "NONE" and self._counts_afterwards(held):
            old = self._apply(held, change)
            self._ledger.count_writes(held.key, _units(old, change))
            cost = NOTHING
        else:
            cost = self._cost(held, change)
            self._ledger.require_write(cost.charge(held, change.pk))
            old = self._apply(held, change)
        members = []
        if request.ReturnValues == "ALL_OLD" and old is not None:
            members.append(b'"Attributes":' + old.image)
        if detail != "NONE":
            members.append(b'"ConsumedCapacity":' + orjson.dumps(consumed(held.name, cost, detail)))
        return b"{%b}" % b",".join(members)

    def _apply(self, held: HeldTable, change: _Change) -> Version | None:
        """Write one change and return the version before."""
        pk, sk, item, _ = change
        store = held.store
        old = store.delete(pk, sk) if item is None else store.put(pk, sk, item.image, item.size)
        if held.indexed and held.definition.get("_index_members") is not None:
            schema = held.schema
            texts = key_text(schema.pk_type, pk), key_text(schema.sk_type, sk) if schema.sk is not None else NO_SORT_KEY
            if old is not None:
                self._module._index_item(held.definition, *texts, orjson.loads(old.image), add=False)
            if item is not None:
                self._module._index_item(held.definition, *texts, orjson.loads(item.image), add=True)
        return old

    def _counts_afterwards(self, held: HeldTable) -> bool:
        """Tell whether a write's cost decides nothing, and is known from what the write itself reads."""
        return not (self._ledger.enforced or held.indexed)

    def _cost(self, held: HeldTable, change: _Change) -> Cost:
        """Return what a change costs."""
        item = change.item
        new = Version(item.image, item.size) if item else None
        return write_cost(self._module, held, held.store.get(change.pk, change.sk), new)

    def _put_rows(self, scope: Scope, body: bytes) -> bool:
        """Serve BatchWriteItem where it puts rows of a known shape into one table and nothing need be admitted."""
        named = table_name(body)
        held = self._table(scope, named[0]) if named is not None else None
        if named is None or held is None or not held.plain or not self._counts_afterwards(held):
            return False
        rows = held.rows.read(body, named[1], MAX_BATCH_WRITES)
        if rows is None:
            return False
        before = held.store.put_all(rows)
        units = [write_units(max(old, row[3])) for old, row in zip(before, rows, strict=True)]
        self._ledger.count_writes(held.key, sum(units))
        return True

    def batch_write_item(self, scope: Scope, request: requests.BatchWriteItem) -> bytes | None:
        """Serve BatchWriteItem."""
        tables, detail = request.RequestItems, request.ReturnConsumedCapacity
        if not tables or not 0 < sum(map(len, tables.values())) <= MAX_BATCH_WRITES:
            return None
        changes: list[tuple[HeldTable, _Change]] = []
        afterwards = True
        for name, entries in tables.items():
            held = self._table(scope, name)
            read = self._changes(held, entries) if held is not None and entries else None
            if held is None or read is None:
                return None
            changes += [(held, change) for change in read]
            afterwards = afterwards and self._counts_afterwards(held)
        if detail == "NONE" and afterwards:
            for held, change in changes:
                self._ledger.count_writes(held.key, _units(self._apply(held, change), change))
            held, change = changes[0]
            put = change.entry.PutRequest
            if change.item is not None and put is not None and bytes(put.Item) == change.item.image:
                held.rows.learn(change.item.image)
            return _ALL_PROCESSED
        costs = [self._cost(held, change) for held, change in changes]
        admitted = self._ledger.admit_writes(
            [cost.charge(held, change.pk) for (held, change), cost in zip(changes, costs, strict=True)]
        )
        refused: dict[str, list[bytes]] = {}
        spent: dict[str, list[Cost]] = {name: [] for name in tables}
        for (held, change), cost, is_admitted in zip(changes, costs, admitted, strict=True):
            if is_admitted:
                self._apply(held, change)
                spent[held.name].append(cost)
            else:
                refused.setdefault(held.name, []).append(requests.entry_json(change.entry))
        unprocessed = [b"%b:[%b]" % (orjson.dumps(name), b",".join(entries)) for name, entries in refused.items()]
        answer = b'{"UnprocessedItems":{%b}' % b",".join(unprocessed)
        if detail != "NONE":
            capacities = [consumed(name, added(part), detail) for name, part in spent.items()]
            answer += b',"ConsumedCapacity":' + orjson.dumps(capacities)
        return answer + b"}"

    def _changes(self, held: HeldTable, entries: list[requests.Write]) -> list[_Change] | None:
        """Return the writes of a batch to one table, or None when any of them is not certainly valid."""
        schema = held.schema
        changes = []
        if not held.plain:
            return None
        for entry in entries:
            put, delete = entry.PutRequest, entry.DeleteRequest
            if put is not None and delete is None:
                item = read_item(put.Item, schema) or self._validated(held, put.Item)
                if item is None or (held.indexed and not self._fits_indexes(held, item)):
                    return None
                changes.append(_Change(item.pk, item.sk, item, entry))
            elif delete is not None and put is None:
                key = read_key(delete.Key, schema)
                if key is None:
                    return None
                changes.append(_Change(*key, None, entry))
            else:
                return None
        return changes if len({(c.pk, c.sk) for c in changes}) == len(changes) else None


def _units(old: Version | None, change: _Change) -> float:
    """Return the write units of a change to a table without indexes that took the place of `old`."""
    item = change.item
    return write_units(max(old.size if old else 0, item.size if item else 0))
