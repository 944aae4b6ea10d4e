"""Which tables there are: the module's definitions, each with its store, and what a data directory keeps of them.

The module changes its definitions as it likes; `sync` afterwards gives each table its store, starts and ends streams,
and saves. A deleted table's store is held for as long as its stream can be read.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from harness.data_plane.tables.journal import Journal
from harness.data_plane.tables.keys import KeySchema
from harness.data_plane.tables.module import STATE
from harness.data_plane.tables.rows import RowReader
from harness.data_plane.tables.shards import Stream, shard_count
from harness.data_plane.tables.store import Clock, TableStore, read_document, write_atomically
from harness.data_plane.tables.views import ItemsView

FILE = "catalog.json"
_table_directory = re.compile(r"[0-9a-f]{32}").fullmatch
_NOT_SAVED = ("items", "_index_members")

Key = tuple[str, str, str]
"""Account, region, table name."""


@dataclass(eq=False)
class HeldTable:
    """A table and its store. Items of `plain` tables are written as bytes: they have no replica and no vector index.

    `indexed` ones have secondary indexes.
    """

    key: Key
    definition: dict[str, Any]
    schema: KeySchema
    store: TableStore
    directory: str
    deleted: bool = False
    plain: bool = False
    indexed: bool = False
    view: ItemsView | None = None
    rows: RowReader = field(init=False)

    def __post_init__(self) -> None:
        self.rows = RowReader(self.schema)

    @property
    def arn(self) -> str:
        """The table's ARN."""
        return str(self.definition["TableArn"])

    @property
    def name(self) -> str:
        """The table's name."""
        return self.key[2]

    def stream_arn(self, stream: Stream) -> str:
        """Return the ARN of one of the table's streams."""
        return f"{self.arn}/stream/{stream.label}"


class Catalog:
    """All tables of the process."""

    def __init__(self, module: Any, directory: Path | None, clock: Clock, shards: int | None = None) -> None:
        """Load what `directory` holds; raises OSError. `shards` overrides how many shards a new table gets."""
        self._module = module
        self._directory = directory
        self._clock = clock
        self._shards = shards
        self.tables: dict[Key, HeldTable] = {}
        self.deleted: list[HeldTable] = []
        self.changed: set[TableStore] = set()
        self.journal = Journal(directory)
        if directory is not None:
            self._load(directory)

    # what the module did

    def sync(self) -> None:
        """Bring stores in line with the module's definitions, and save them; raises OSError."""
        present = dict(self._module._tables.all_items())
        for key, held in list(self.tables.items()):
            if present.get(key) is not held.definition:
                del self.tables[key]
                self._let_go(held)
        for key, definition in present.items():
            held = self.tables.get(key) or self._adopt(key, definition)
            self._sync_items(held)
            self._sync_stream(held)
            held.plain = not (definition.get("VectorIndexes") or definition.get("_global_regions"))
            held.indexed = bool(definition.get("GlobalSecondaryIndexes") or definition.get("LocalSecondaryIndexes"))
        self.save()
        self.remove_expired()

    def _adopt(self, key: Key, definition: dict[str, Any]) -> HeldTable:
        directory = uuid.uuid4().hex
        held = self._open(key, definition, directory)
        self.tables[key] = held
        return held

    def _open(self, key: Key, definition: dict[str, Any], directory: str) -> HeldTable:
        types = {a["AttributeName"]: a["AttributeType"] for a in definition["AttributeDefinitions"]}
        pk, sk = definition["pk_name"], definition["sk_name"]
        schema = KeySchema(pk, types[pk], sk, types[sk] if sk else "S")
        billing = (definition.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED")
        throughput = definition.get("ProvisionedThroughput") or {}
        shards = self._shards or shard_count(
            billing == "PAY_PER_REQUEST",
            int(throughput.get("WriteCapacityUnits", 0)),
            int(throughput.get("ReadCapacityUnits", 0)),
        )
        path = self._directory / directory if self._directory is not None else None
        store = TableStore(schema, path, self._clock, shards, self.changed)
        return HeldTable(key, definition, schema, store, directory)

    def _sync_items(self, held: HeldTable) -> None:
        items = held.definition.get("items")
        if held.view is not None and items is held.view:
            return
        view = ItemsView(held.store, self._module._item_size_bytes)
        # Restored tables and replicas come with plain items.
        for pk, partition in dict(items or {}).items():
            for sk, item in partition.items():
                view.setdefault(pk)[sk] = item
        self.commit(atomic=False)
        held.definition["items"] = held.view = view
        held.definition.pop("_index_members", None)
        self.refresh_counts(held)

    def _sync_stream(self, held: HeldTable) -> None:
        specification = held.definition.get("StreamSpecification") or {}
        label = held.definition.get("LatestStreamLabel") if specification.get("StreamEnabled") else None
        current = held.store.map.current
        if current is not None and current.label != label:
            held.store.end_stream()
            current = None
        if current is None and label:
            held.store.begin_stream(label, specification.get("StreamViewType", "NEW_AND_OLD_IMAGES"))

    def _let_go(self, held: HeldTable) -> None:
        held.deleted = True
        held.store.end_stream()
        self.deleted.append(held)

    def drop(self, key: Key) -> None:
        """Forget a table that could not be saved, with its files; a directory that stays goes at the next start."""
        held = self.tables.pop(key, None)
        if held is not None:
            self.changed.discard(held.store)
            with contextlib.suppress(OSError):
                held.store.remove()

    def remove_expired(self) -> None:
        """Delete the stores of deleted tables without a stream that can be read; raises OSError."""
        for held in list(self.deleted):
            streams = held.store.map.streams.values()
            if len(held.store.expired_streams()) == len(streams):
                self.deleted.remove(held)
                self.changed.discard(held.store)
                self.save()
                held.store.remove()

    def refresh_counts(self, held: HeldTable) -> None:
        """Put the number of items and bytes into the definition."""
        held.definition["ItemCount"] = held.store.count
        held.definition["TableSizeBytes"] = held.store.bytes

    # requests

    def commit(self, atomic: bool) -> None:
        """Write what is pending; raises OSError, after which all of it is taken back."""
        if self.changed:
            stores = list(self.changed)
            self.changed.clear()
            try:
                self.journal.commit(stores, atomic)
            except OSError:
                self._forget_derived(stores)
                raise

    def rollback(self) -> None:
        """Take back what is pending."""
        stores = list(self.changed)
        for store in stores:
            store.rollback()
        self.changed.clear()
        self._forget_derived(stores)

    def _forget_derived(self, stores: list[TableStore]) -> None:
        """Drop what the module derived from items that were taken back; it makes it anew."""
        for held in self.tables.values():
            if held.store in stores:
                held.definition.pop("_index_members", None)
                self.refresh_counts(held)

    # streams

    def streams(self, account: str, region: str) -> list[tuple[HeldTable, Stream]]:
        """Return the streams of an account and region that can be read, by table name and time."""
        found = [
            (held, stream)
            for held in (*self.tables.values(), *self.deleted)
            if held.key[:2] == (account, region)
            for stream in held.store.map.streams.values()
            if stream not in held.store.expired_streams()
        ]
        return sorted(found, key=lambda pair: (pair[0].name, pair[1].label))

    def stream(self, account: str, region: str, arn: str) -> tuple[HeldTable, Stream] | None:
        """Return the stream with this ARN, if it can be read."""
        for held in (*self.tables.values(), *self.deleted):
            if held.key[:2] == (account, region) and arn.startswith(f"{held.arn}/stream/"):
                stream = held.store.map.streams.get(arn[len(held.arn) + len("/stream/") :])
                if stream is not None and stream not in held.store.expired_streams():
                    return held, stream
        return None

    # the data directory

    def save(self) -> None:
        """Write the definitions to the data directory, if there is one; raises OSError."""
        if self._directory is None:
            return
        state = {
            name: [[*key, value] for key, value in getattr(self._module, name).all_items()]
            for name in STATE
            if name != "_tables"
        }
        document = {
            "version": 1,
            "tables": [self._saved(held) for held in self.tables.values()],
            "deleted": [self._saved(held) for held in self.deleted],
            "state": state,
        }
        write_atomically(self._directory / FILE, orjson.dumps(document))

    @staticmethod
    def _saved(held: HeldTable) -> dict[str, Any]:
        definition = {name: value for name, value in held.definition.items() if name not in _NOT_SAVED}
        return {"key": held.key, "directory": held.directory, "definition": definition}

    def _load(self, directory: Path) -> None:
        path = directory / FILE
        if not path.exists():
            # Without a catalog it is not known whose the directories are: nothing is removed.
            return
        document = read_document(path)
        known = {saved["directory"] for saved in document["tables"] + document["deleted"]}
        for entry in directory.iterdir():
            # Left by a kill between making a table's directory and saving the catalog, or saving it and deleting.
            if entry.is_dir() and entry.name not in known and _table_directory(entry.name):
                shutil.rmtree(entry)
        for saved in document["tables"]:
            held = self._open(tuple(saved["key"]), saved["definition"], saved["directory"])
            self.tables[held.key] = held
            self._module._tables.set_scoped(*held.key, held.definition)
            self._sync_items(held)
        for saved in document["deleted"]:
            held = self._open(tuple(saved["key"]), saved["definition"], saved["directory"])
            held.deleted = True
            self.deleted.append(held)
        for name, entries in document["state"].items():
            for account, region, key, value in entries:
                getattr(self._module, name).set_scoped(account, region, key, value)
        self.sync()

    def close(self) -> None:
        """Close the files."""
        for held in (*self.tables.values(), *self.deleted):
            held.store.close()
        self.journal.close()
