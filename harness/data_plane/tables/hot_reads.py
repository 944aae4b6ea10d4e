"""Reads that carry the load, on bytes: gets, batches of gets, scans without a filter, whole partitions.

As in `hot`, each operation returns the body of a successful answer, or None for a request that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import repeat
from typing import NamedTuple

import orjson
from msgspec import Raw

from harness.data_plane.tables import projection, requests
from harness.data_plane.tables.capacity import Ledger, read_units
from harness.data_plane.tables.catalog import Catalog, HeldTable
from harness.data_plane.tables.costs import Cost, added, consumed, read_cost
from harness.data_plane.tables.items import read_key
from harness.data_plane.tables.keys import KeySchema, hash_of, key_json
from harness.data_plane.tables.pages import read_page, segment_bounds
from harness.data_plane.tables.store import Version

MAX_BATCH_GETS = 100
MAX_BATCH_GET_BYTES = 16 * 1024 * 1024

_partition_condition = re.compile(r"\s*(#?[A-Za-z0-9_]+)\s*=\s*(:[A-Za-z0-9_]+)\s*").fullmatch

Scope = tuple[str, str]
"""Account and region."""


class _Asked(NamedTuple):
    """What a batch asks of one table, and what was found, in the order of the keys."""

    held: HeldTable
    request: requests.KeysAndAttributes
    project: projection.Project | None
    keys: list[tuple[bytes, bytes]]
    found: list[Version | None]


class HotReads:
    """Operations that read."""

    def __init__(self, catalog: Catalog, ledger: Ledger, reserved: frozenset[str]) -> None:
        self._catalog = catalog
        self._ledger = ledger
        self._reserved = reserved
        self._projections: dict[tuple[str, tuple[tuple[str, str], ...]], projection.Project | None] = {}

    def _table(self, scope: Scope, name: str) -> HeldTable | None:
        return self._catalog.tables.get((*scope, name))

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
        if not request.RequestItems or sum(len(a.Keys) for a in request.RequestItems.values()) > MAX_BATCH_GETS:
            return None
        batch = []
        for name, wanted in request.RequestItems.items():
            asked = self._asked(scope, name, wanted)
            if asked is None:
                return None
            batch.append(asked)
        admitted = self._admitted(batch)
        detail = request.ReturnConsumedCapacity
        responses, unprocessed, capacities = [], [], []
        room = MAX_BATCH_GET_BYTES
        for held, wanted, project, _, found in batch:
            images: list[bytes] = []
            left: list[Raw] = []
            costs: list[Cost] = []
            for raw, version in zip(wanted.Keys, found, strict=True):
                size = version.size if version else 0
                if not next(admitted) or size > room:
                    left.append(raw)
                    continue
                room -= size
                if detail != "NONE":
                    costs.append(read_cost(size, wanted.ConsistentRead))
                if version is not None:
                    images.append(project(version.image) if project else version.image)
            quoted = orjson.dumps(held.name)
            responses.append(b"%b:[%b]" % (quoted, b",".join(images)))
            if left:
                wanted.Keys = left
                unprocessed.append(b"%b:%b" % (quoted, requests.rest_json(wanted)))
            if detail != "NONE":
                capacities.append(consumed(held.name, added(costs), detail))
        answer = b'{"Responses":{%b},"UnprocessedKeys":{%b}' % (b",".join(responses), b",".join(unprocessed))
        if capacities:
            answer += b',"ConsumedCapacity":' + orjson.dumps(capacities)
        return answer + b"}"

    def _asked(self, scope: Scope, name: str, wanted: requests.KeysAndAttributes) -> _Asked | None:
        """Return what a batch finds in one table, None when that is not certainly valid."""
        held = self._table(scope, name)
        plain, project = self._project(wanted.ProjectionExpression, wanted.ExpressionAttributeNames)
        if held is None or not plain or not wanted.Keys:
            return None
        keys = [key for raw in wanted.Keys if (key := read_key(raw, held.schema)) is not None]
        if len(set(keys)) < len(wanted.Keys):
            return None
        return _Asked(held, wanted, project, keys, held.store.get_all(keys))

    def _admitted(self, batch: list[_Asked]) -> Iterator[bool]:
        """Charge for a batch and yield for each of its keys whether it is admitted; raises Throttled when none is."""
        ledger = self._ledger
        if ledger.enforced and not ledger.is_paused:
            charges = [
                read_cost(version.size if version else 0, asked.request.ConsistentRead).charge(asked.held, key[0])
                for asked in batch
                for key, version in zip(asked.keys, asked.found, strict=True)
            ]
            return iter(ledger.admit_reads(charges))
        for asked in batch:
            consistent = asked.request.ConsistentRead
            units = sum(read_units(version.size if version else 0, consistent) for version in asked.found)
            ledger.count_reads(asked.held.key, units)
        return repeat(True)

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
