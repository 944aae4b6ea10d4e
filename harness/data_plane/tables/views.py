"""A table's store as the mapping of mappings that MiniStack's DynamoDB module keeps items in.

`table["items"][partition key][sort key]` is an item as decoded JSON; keys are the text of the key attribute's value.
Each read decodes anew, so an item may be changed freely and is stored only when it is assigned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import orjson

from harness.data_plane.tables.keys import key_bytes, key_text
from harness.data_plane.tables.store import TableStore, Version

NO_SORT_KEY = "__no_sort__"
"""The module's sort key in tables without one."""

Item = dict[str, Any]
SizeOf = Callable[[Item], int]


def _bytes_or_none(kind: str, text: Any) -> bytes | None:
    try:
        return key_bytes(kind, text) if isinstance(text, str) else None
    except (ValueError, ArithmeticError):
        return None


class ItemsView(MutableMapping[str, MutableMapping[str, Item]]):
    """All items of a store, by partition key."""

    def __init__(self, store: TableStore, size_of: SizeOf) -> None:
        self.store = store
        self.size_of = size_of
        self._kind = store.schema.pk_type

    def _pk(self, text: Any) -> bytes | None:
        return _bytes_or_none(self._kind, text)

    def version(self, pk_text: str, sk_text: str) -> Version | None:
        """Return an item as stored, by the text of its key."""
        pk = self._pk(pk_text)
        return PartitionView(self, pk).version(sk_text) if pk is not None else None

    def __contains__(self, text: object) -> bool:
        pk = self._pk(text)
        return pk is not None and self.store.index.has_partition(pk)

    def __getitem__(self, text: str) -> PartitionView:
        pk = self._pk(text)
        if pk is None or not self.store.index.has_partition(pk):
            raise KeyError(text)
        return PartitionView(self, pk)

    def __setitem__(self, text: str, partition: MutableMapping[str, Item]) -> None:
        view = self.setdefault(text)
        view.clear()
        view.update(partition)

    def __delitem__(self, text: str) -> None:
        # The module deletes a partition that it has just emptied, which here is no longer there.
        pk = self._pk(text)
        if pk is not None:
            PartitionView(self, pk).clear()

    def setdefault(self, key: str, default: Any = None) -> PartitionView:  # noqa: ARG002
        """Return the partition, which need not have an item yet."""
        return PartitionView(self, key_bytes(self._kind, key))

    def __iter__(self) -> Iterator[str]:
        return (key_text(self._kind, pk) for pk in self.store.index.partitions())

    def __len__(self) -> int:
        return self.store.index.partition_count()

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, dict[str, Item]]:
        return {pk: dict(partition) for pk, partition in self.items()}


class PartitionView(MutableMapping[str, Item]):
    """The items of one partition key, by sort key."""

    def __init__(self, items: ItemsView, pk: bytes) -> None:
        self._store = items.store
        self._size_of = items.size_of
        self._pk = pk
        schema = items.store.schema
        self._kind = schema.sk_type if schema.sk is not None else None

    def _sk(self, text: Any) -> bytes | None:
        if self._kind is None:
            return b"" if text == NO_SORT_KEY else None
        return _bytes_or_none(self._kind, text)

    def __contains__(self, text: object) -> bool:
        sk = self._sk(text)
        return sk is not None and bool(self._store.index.get(self._pk, sk))

    def version(self, text: str) -> Version | None:
        """Return an item as stored, by the text of its sort key."""
        sk = self._sk(text)
        return self._store.get(self._pk, sk) if sk is not None else None

    def __getitem__(self, text: str) -> Item:
        found = self.version(text)
        if found is None:
            raise KeyError(text)
        item: Item = orjson.loads(found.image)
        return item

    def __setitem__(self, text: str, item: Item) -> None:
        sk = self._sk(text)
        if sk is None:
            raise ValueError(f"not a sort key of type {self._kind}: {text!r}")
        self._store.put(self._pk, sk, orjson.dumps(item), self._size_of(item))

    def __delitem__(self, text: str) -> None:
        sk = self._sk(text)
        if sk is None or self._store.delete(self._pk, sk) is None:
            raise KeyError(text)

    def __iter__(self) -> Iterator[str]:
        for sk, _ in self._store.index.partition(self._pk):
            yield NO_SORT_KEY if self._kind is None else key_text(self._kind, sk)

    def __len__(self) -> int:
        return len(self._store.index.partition(self._pk))

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Item]:
        return dict(self)
