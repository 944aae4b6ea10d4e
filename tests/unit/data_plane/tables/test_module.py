"""What is assumed of MiniStack's DynamoDB module, which is pinned: a new version must be read before it is used."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from harness.data_plane.tables import module as ministack
from harness.data_plane.tables.capacity import read_units, write_units
from harness.data_plane.tables.items import MAX_ITEM, MAX_PARTITION_KEY, MAX_SORT_KEY, number_size
from harness.data_plane.tables.keys import KeySchema
from harness.data_plane.tables.store import TableStore
from harness.data_plane.tables.views import NO_SORT_KEY, ItemsView
from harness.errors import EngineError

MODULE = ministack.load()
SOURCE = inspect.getsource(MODULE)


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ministack, "version", lambda _: "1.5.34")
    with pytest.raises(EngineError, match=r"MiniStack 1\.5\.34 is installed, 1\.5\.33 is needed"):
        ministack.load()


def test_missing_name_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(MODULE, "_replicate_write")
    with pytest.raises(EngineError, match="lacks _replicate_write"):
        ministack.load()


def test_every_operation_of_the_module_is_offered() -> None:
    handlers = SOURCE[SOURCE.index("    handlers = {") :]
    named = dict(re.findall(r'"(\w+)": (_\w+),', handlers[: handlers.index("    }\n")]))
    assert named == ministack.OPERATIONS


def test_its_reaper_does_not_run() -> None:
    assert SOURCE.count("threading.Thread(") == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "dynamodb-ttl-reaper"]


def test_all_it_remembers_is_known() -> None:
    """A dictionary that is not saved would be lost by a restart."""
    dictionaries = set(re.findall(r"^(_\w+) = Account\w*Dict\(\)", SOURCE, re.MULTILINE))
    replaced = {"_stream_records", "_stream_trimmed", "_closed_streams"}
    forgotten = {"_txn_idempotency"}
    assert dictionaries == {*ministack.STATE, *replaced, *forgotten}


def test_items_are_only_used_as_a_mapping_of_mappings(tmp_path: Path) -> None:
    """Every method that the module calls on items is one of a MutableMapping."""
    used = set(re.findall(r'(?:table|tbl|replica|src|bucket|_tables\[target\])\["items"\]\.(\w+)', SOURCE))
    assert used <= {"get", "items", "keys", "values", "setdefault"}
    store = TableStore(KeySchema("id", "S"), tmp_path, lambda: 1, 1)
    view = ItemsView(store, MODULE._item_size_bytes)
    assert isinstance(view, MutableMapping)
    assert all(hasattr(view, name) for name in used)
    store.close()


@pytest.mark.parametrize("sort_key", [None, "n"])
def test_module_writes_and_removes_through_the_view(tmp_path: Path, sort_key: str | None) -> None:
    store = TableStore(KeySchema("id", "S", sort_key, "N"), tmp_path, lambda: 1, 2)
    definition: dict[str, Any] = {"items": ItemsView(store, MODULE._item_size_bytes), "ItemCount": 0}
    sk = "1.5" if sort_key else NO_SORT_KEY
    item = {"id": {"S": "a"}, "n": {"N": "1.5"}}
    assert MODULE._set_item(definition, "a", sk, item) is None
    assert MODULE._set_item(definition, "a", sk, {**item, "v": {"S": "2"}}) == item
    assert store.count == definition["ItemCount"] == 1
    assert {pk: dict(part) for pk, part in definition["items"].items()} == {"a": {sk: {**item, "v": {"S": "2"}}}}
    assert MODULE._remove_item(definition, "a", sk) == {**item, "v": {"S": "2"}}
    assert MODULE._remove_item(definition, "a", sk) is None
    assert (store.count, definition["ItemCount"], len(definition["items"])) == (0, 0, 0)
    store.close()


def test_binary_and_odd_keys_are_found_only_as_what_they_are(tmp_path: Path) -> None:
    store = TableStore(KeySchema("id", "B"), tmp_path, lambda: 1, 1)
    view = ItemsView(store, MODULE._item_size_bytes)
    view.setdefault("AP8=")[NO_SORT_KEY] = {"id": {"B": "AP8="}}
    assert list(view) == ["AP8="]
    for absent in ("***", "AP8", "", "AP7="):
        assert absent not in view
        assert view.get(absent, {}).get(NO_SORT_KEY) is None
    assert view["AP8="].get("other") is None
    store.close()


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 4096, MAX_ITEM])
def test_write_units_are_counted_alike(size: int) -> None:
    assert write_units(size) == MODULE._capacity_kb(size)


def test_limits_are_the_same() -> None:
    assert (MAX_ITEM, MAX_PARTITION_KEY, MAX_SORT_KEY) == (
        MODULE._DDB_ITEM_MAX_BYTES,
        MODULE._DDB_KEY_MAX_BYTES,
        MODULE._DDB_SORT_KEY_MAX_BYTES,
    )
    assert read_units(0, True) == 1


@pytest.mark.parametrize("text", ["0", "1", "10", "100", "12", "123", "1200", "-1", "0.1", "0.001", "12.5", "-12.25"])
def test_numbers_have_the_same_size(text: str) -> None:
    assert number_size(text) == MODULE._number_size_bytes(text)
