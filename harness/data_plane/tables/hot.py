"""The operations that carry the load, on bytes: unconditional writes, gets, scans without a filter, whole partitions.

Each takes a request's body and returns the body of a successful answer, or None: then the request is one that this
path does not know, or one that will be refused, and MiniStack's module serves it on the same store. So nothing is
refused here, and nothing is written before all of a request is known to be valid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any, NamedTuple

import orjson
from msgspec import Raw

from harness.data_plane.tables import projection, requests
from harness.data_plane.tables.capacity import Ledger, write_units
from harness.data_plane.tables.catalog import Catalog, HeldTable
from harness.data_plane.tables.costs import NOTHING, Cost, added, consumed, read_cost, write_cost
from harness.data_plane.tables.items import NOT_DECODED, Item, read_item, read_key
from harness.data_plane.tables.keys import KeySchema, hash_of, key_bytes, key_json, key_text
from harness.data_plane.tables.pages import read_page, segment_bounds
from harness.data_plane.tables.rows import table_name
from harness.data_plane.tables.store import Version
from harness.data_plane.tables.views import NO_SORT_KEY

MAX_BATCH_WRITES = 25
MAX_BATCH_GETS = 100
_ALL_PROCESSED = b'{"UnprocessedItems":{}}'
MAX_BATCH_GET_BYTES = 16 * 1024 * 1024

_partition_condition = re.compile(r"\s*(#?[A-Za-z0-9_]+)\s*=\s*(:[A-Za-z0-9_]+)\s*").fullmatch

Scope = tuple[str, str]
"""Account and region."""


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
        self._reserved = reserved
        self._projections: dict[tuple[str, tuple[tuple[str, str], ...]], projection.Project | None] = {}
        self._operations: dict[str, Callable[[Scope, Any], bytes | None]] = {
            "BatchWriteItem": self.batch_write_item,
            "PutItem": self.put_item,
            "DeleteItem": self.delete_item,
            "GetItem": self.get_item,
            "BatchGetItem": self.batch_get_item,
            "Scan": self.scan,
            "Query": self.query,
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

    # writes

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

    # reads

    def _project(self, expression: str | None, names: dict[str, str] | None) -> tuple[bool, projection.Project | None]:
        """Return whether the projection can be served here, and what makes it (None: the whole item)."""
        if expression is None:
            return not names, None
        asked = (expression, tuple((names or {}).items()))
        if asked not in self._projections:
            if len(self._projections) > 1000:
                self._projections.clear()
            self._projections[asked] = projection.parse(expression, names, self._reserved)
        project = self._projections[asked]
        return project is not None, project

    def get_item(self, scope: Scope, request: requests.GetItem) -> bytes | None:
        """Serve GetItem."""
        held = self._table(scope, request.TableName)
        plain, project = self._project(request.ProjectionExpression, request.ExpressionAttributeNames)
        key = read_key(request.Key, held.schema) if held is not None and plain else None
        if held is None or key is None:
            return None
        found = held.store.get(*key)
        cost = read_cost(found.size if found else 0, request.ConsistentRead)
        self._ledger.require_read(cost.charge(held, key[0]))
        members = []
        if found is not None:
            members.append(b'"Item":' + (project(found.image) if project else found.image))
        if request.ReturnConsumedCapacity != "NONE":
            capacity = consumed(held.name, cost, request.ReturnConsumedCapacity)
            members.append(b'"ConsumedCapacity":' + orjson.dumps(capacity))
        return b"{%b}" % b",".join(members)

    def batch_get_item(self, scope: Scope, request: requests.BatchGetItem) -> bytes | None:
        """Serve BatchGetItem."""
        tables = request.RequestItems
        if not tables or sum(len(asked.Keys) for asked in tables.values()) > MAX_BATCH_GETS:
            return None
        plan = []
        for name, asked in tables.items():
            held = self._table(scope, name)
            plain, project = self._project(asked.ProjectionExpression, asked.ExpressionAttributeNames)
            if held is None or not plain or not asked.Keys:
                return None
            keys = [read_key(raw, held.schema) for raw in asked.Keys]
            if None in keys or len(set(keys)) < len(keys):
                return None
            found = [held.store.get(*key) for key in keys if key is not None]
            plan.append((name, held, asked, project, keys, found))
        detail = request.ReturnConsumedCapacity
        admitted = iter(
            self._ledger.admit_reads(
                [
                    read_cost(version.size if version else 0, asked.ConsistentRead).charge(held, key[0])
                    for _, held, asked, _, keys, found in plan
                    for key, version in zip(keys, found, strict=True)
                    if key is not None
                ]
            )
            if not self._ledger.is_paused
            else repeat(True)
        )
        responses, unprocessed, capacities = [], [], []
        total = 0
        for name, _, asked, project, _, found in plan:
            images: list[bytes] = []
            left: list[Raw] = []
            costs: list[Cost] = []
            for raw, version in zip(asked.Keys, found, strict=True):
                size = version.size if version else 0
                if not next(admitted) or total + size > MAX_BATCH_GET_BYTES:
                    left.append(raw)
                    continue
                total += size
                if detail != "NONE":
                    costs.append(read_cost(size, asked.ConsistentRead))
                if version is not None:
                    images.append(project(version.image) if project else version.image)
            quoted = orjson.dumps(name)
            responses.append(b"%b:[%b]" % (quoted, b",".join(images)))
            if left:
                asked.Keys = left
                unprocessed.append(b"%b:%b" % (quoted, requests.rest_json(asked)))
            if detail != "NONE":
                capacities.append(consumed(name, added(costs), detail))
        answer = b'{"Responses":{%b},"UnprocessedKeys":{%b}' % (b",".join(responses), b",".join(unprocessed))
        if capacities:
            answer += b',"ConsumedCapacity":' + orjson.dumps(capacities)
        return answer + b"}"

    def scan(self, scope: Scope, request: requests.Scan) -> bytes | None:
        """Serve Scan of a table without a filter."""
        held = self._table(scope, request.TableName)
        plain, project = self._project(request.ProjectionExpression, request.ExpressionAttributeNames)
        bounds = segment_bounds(request.Segment, request.TotalSegments)
        if held is None or not plain or bounds is None or (request.Limit is not None and request.Limit < 1):
            return None
        if request.Select is not None and request.ProjectionExpression is not None:
            return None
        after = None
        if request.ExclusiveStartKey:
            after = read_key(request.ExclusiveStartKey, held.schema)
            if after is None or not bounds[0] <= hash_of(after[0]) < bounds[1]:
                return None
        return self._page(held, held.store.scan(*bounds, after), request, project)

    def query(self, scope: Scope, request: requests.Query) -> bytes | None:
        """Serve Query of one whole partition."""
        held = self._table(scope, request.TableName)
        condition = _partition_condition(request.KeyConditionExpression)
        if held is None or condition is None or (request.Limit is not None and request.Limit < 1):
            return None
        schema = held.schema
        name, placeholder = condition.groups()
        names = request.ExpressionAttributeNames or {}
        if set(request.ExpressionAttributeValues) != {placeholder}:
            return None
        if set(names) != ({name} if name[0] == "#" else set()):
            return None
        if names.get(name, name) != schema.pk or (name[0] != "#" and name.upper() in self._reserved):
            return None
        whole = b"{%b:%b}" % (orjson.dumps(schema.pk), bytes(request.ExpressionAttributeValues[placeholder]))
        key = read_key(whole, KeySchema(schema.pk, schema.pk_type))
        if key is None:
            return None
        pk = key[0]
        after = None
        if request.ExclusiveStartKey:
            start = read_key(request.ExclusiveStartKey, schema)
            if start is None or start[0] != pk or schema.sk is None:
                return None
            after = start[1]
        store = held.store
        entries = (
            (pk, sk, store.version_at(location))
            for sk, location in store.index.partition_slice(pk, after, request.ScanIndexForward)
        )
        return self._page(held, entries, request, None)

    def _page(
        self,
        held: HeldTable,
        entries: Iterator[tuple[bytes, bytes, Version]],
        request: requests.Scan | requests.Query,
        project: projection.Project | None,
    ) -> bytes:
        page = read_page(entries, request.Limit)
        cost = read_cost(page.size, request.ConsistentRead)
        self._ledger.require_read(cost.charge(held, page.last[0] if page.last else b""))
        count = len(page.images)
        members = [b'"Count":%d,"ScannedCount":%d' % (count, count)]
        if request.Select != "COUNT":
            images = [project(image) for image in page.images] if project else page.images
            members.insert(0, b'"Items":[%b]' % b",".join(images))
        if page.more and page.last is not None:
            members.append(b'"LastEvaluatedKey":' + key_json(held.schema, *page.last))
        if request.ReturnConsumedCapacity != "NONE":
            capacity = consumed(held.name, cost, request.ReturnConsumedCapacity)
            members.append(b'"ConsumedCapacity":' + orjson.dumps(capacity))
        return b"{%b}" % b",".join(members)


def _units(old: Version | None, change: _Change) -> float:
    """Return the write units of a change to a table without indexes that took the place of `old`."""
    item = change.item
    return write_units(max(old.size if old else 0, item.size if item else 0))
