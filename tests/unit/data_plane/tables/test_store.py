"""A table's store against a plain dictionary: writes, rollbacks, splits, streams, kills and restarts."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness.data_plane.tables.frames import EXPIRE, INSERT, MODIFY, REMOVE
from harness.data_plane.tables.journal import FILE as JOURNAL
from harness.data_plane.tables.journal import Journal
from harness.data_plane.tables.keys import KeySchema
from harness.data_plane.tables.shards import RETENTION_MS, ROLL_MS
from harness.data_plane.tables.store import TableStore, Version, same_item
from tests.depth import examples

SCHEMA = KeySchema("id", "S", "n", "S")
pks = st.sampled_from([b"a", b"b", b"c", b"key-4", b"key-5"])
sks = st.sampled_from([b"", b"1", b"2"])
images = st.integers(0, 3).map(lambda n: orjson.dumps({"id": {"S": "x"}, "v": {"S": "v" * n}}))

Record = tuple[int, bytes, bytes, bytes, bytes]
"""Kind, key, new image, old image."""


class StoreMachine(RuleBasedStateMachine):
    """The store must hold what the model holds, and its stream must say how it came about."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="tables-test-"))
        self.now = 1_700_000_000_000
        self.items: dict[tuple[bytes, bytes], bytes] = {}
        self.stored: dict[tuple[bytes, bytes], bytes] = {}
        self.records: list[Record] = []
        self.pending: list[Record] = []
        self.label: str | None = None
        self.labels = 0

    @initialize(shards=st.integers(1, 4))
    def open(self, shards: int) -> None:
        self.shards = shards
        self.journal = Journal(self.root)
        self.store = self.new_store()

    def new_store(self) -> TableStore:
        return TableStore(SCHEMA, self.root / "table", lambda: self.now, self.shards)

    @rule(pk=pks, sk=sks, image=images)
    def put(self, pk: bytes, sk: bytes, image: bytes) -> None:
        old = self.store.put(pk, sk, image, len(image))
        known = self.items.get((pk, sk))
        assert (old.image if old else None) == known
        self.items[pk, sk] = image
        if known != image:
            self.pending.append((MODIFY if known else INSERT, pk, sk, image, known or b""))

    @rule(rows=st.dictionaries(st.tuples(pks, sks), images, min_size=1))
    def put_all(self, rows: dict[tuple[bytes, bytes], bytes]) -> None:
        sizes = self.store.put_all([(*key, image, len(image)) for key, image in rows.items()])
        assert sizes == [len(self.items.get(key, b"")) for key in rows]
        for (pk, sk), image in rows.items():
            known = self.items.get((pk, sk))
            if known != image:
                self.pending.append((MODIFY if known else INSERT, pk, sk, image, known or b""))
        self.items.update(rows)

    @rule(keys=st.lists(st.tuples(pks, sks)))
    def get_all(self, keys: list[tuple[bytes, bytes]]) -> None:
        found = self.store.get_all(keys)
        assert found == [Version(self.items[key], len(self.items[key])) if key in self.items else None for key in keys]

    @rule(pk=pks, sk=sks, expired=st.booleans())
    def delete(self, pk: bytes, sk: bytes, expired: bool) -> None:
        old = self.store.delete(pk, sk, expired=expired)
        known = self.items.pop((pk, sk), None)
        assert (old.image if old else None) == known
        if known:
            self.pending.append((EXPIRE if expired else REMOVE, pk, sk, b"", known))

    @rule(atomic=st.booleans())
    def commit(self, atomic: bool) -> None:
        self.journal.commit([self.store], atomic)
        self.stored = dict(self.items)
        if self.label is not None:
            self.records += self.pending
        self.pending = []

    @rule()
    def rollback(self) -> None:
        self.store.rollback()
        self.items = dict(self.stored)
        self.pending = []

    @rule(pick=st.integers(0, 100), parts=st.integers(1, 3))
    def split(self, pick: int, parts: int) -> None:
        self.commit(False)
        shards = self.store.map.open
        self.store.split(shards[pick % len(shards)].number, parts)

    @precondition(lambda self: self.label is None)
    @rule()
    def begin_stream(self) -> None:
        self.commit(False)
        self.labels += 1
        self.label = f"2026-01-01T00:00:00.{self.labels:03d}"
        self.store.begin_stream(self.label, "NEW_AND_OLD_IMAGES")
        self.records = []

    @precondition(lambda self: self.label is not None)
    @rule()
    def end_stream(self) -> None:
        self.commit(False)
        self.store.end_stream()
        self.label = None

    @rule(cut=st.integers(0, 10**6))
    def kill_and_restart(self, cut: int) -> None:
        """Pending changes are lost; of the frames being written a part may be in the file."""
        torn = [(log.path, log.pending()) for log in self.store.dirty]
        self.store.close()
        self.journal.close()
        for path, data in torn[:1]:
            assert path is not None
            with path.open("ab") as file:
                file.write(data[: cut % (len(data) + 1)] if cut % (len(data) + 1) < len(data) else b"\x00garbage")
        if torn and cut % (len(torn[0][1]) + 1) < len(torn[0][1]):
            self.keep_whole_frames(cut % (len(torn[0][1]) + 1), torn[0][1])
        else:
            self.items, self.pending = dict(self.stored), []
        self.journal = Journal(self.root)
        self.store = self.new_store()
        self.stored = dict(self.items)

    def keep_whole_frames(self, size: int, data: bytes) -> None:
        """A frame that was written in full before the kill counts: a client without an answer cannot tell."""
        from harness.data_plane.tables import frames

        self.items = dict(self.stored)
        for _, frame in frames.valid_frames(data[:size]):
            known = self.items.get((frame.pk, frame.sk), b"")
            if frame.kind >= REMOVE:
                self.items.pop((frame.pk, frame.sk))
            else:
                self.items[frame.pk, frame.sk] = frame.image
            if self.label is not None:
                self.records.append((frame.kind, frame.pk, frame.sk, frame.image, known))
        self.pending = []

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert {(pk, sk): v.image for pk, sk, v in self.store.scan()} == self.items
        assert self.store.count == len(self.items)
        assert self.store.bytes == sum(map(len, self.items.values()))

    @invariant()
    def stream_tells_each_key_in_order(self) -> None:
        if self.label is None:
            return
        seen: dict[tuple[bytes, bytes], list[Record]] = {}
        numbers: list[int] = []
        for shard in self.store.map.of_stream(self.label):
            if shard.parent is not None:
                assert shard.parent < shard.number
            for at, frame in self.store.log(shard.number).frames_from(self.store.start(shard)):
                if at >= self.store.end(shard):
                    break
                number = shard.sequence_number(at)
                numbers.append(int(number))
                assert shard.offset_of(number) == at
                old = self.store.version_at(frame.previous).image if frame.previous else b""
                seen.setdefault((frame.pk, frame.sk), []).append((frame.kind, frame.pk, frame.sk, frame.image, old))
        assert len(set(numbers)) == len(numbers)
        expected: dict[tuple[bytes, bytes], list[Record]] = {}
        for record in self.records + self.pending:
            expected.setdefault((record[1], record[2]), []).append(record)
        assert seen == expected

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.journal.close()
        shutil.rmtree(self.root)


StoreMachine.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=30, deadline=None)
TestStore = StoreMachine.TestCase


def test_children_have_greater_sequence_numbers_than_their_parents(tmp_path: Path) -> None:
    store = TableStore(SCHEMA, tmp_path, lambda: 1000, 1)
    store.begin_stream("label", "NEW_IMAGE")
    last: dict[int | None, int] = {None: 0}
    for generation in range(4):
        for number in range(20):
            store.put(b"key%d" % number, b"", b"%d" % generation, 1)
        Journal(None).commit([store], atomic=False)
        for shard in list(store.map.open):
            numbers = [
                int(shard.sequence_number(at)) for at, _ in store.log(shard.number).frames_from(store.start(shard))
            ]
            assert numbers == sorted(numbers)
            assert all(number > last[shard.parent] for number in numbers)
            last[shard.number] = max(numbers, default=last[shard.parent])
            store.split(shard.number, 2)
    store.close()


def test_records_older_than_a_day_are_trimmed_and_items_stay(tmp_path: Path) -> None:
    now = [1_000_000]
    store = TableStore(SCHEMA, tmp_path, lambda: now[0], 1)
    store.begin_stream("label", "NEW_IMAGE")
    (shard,) = store.map.of_stream("label")
    store.put(b"old", b"", b"1", 1)
    now[0] += RETENTION_MS
    store.put(b"new", b"", b"2", 1)
    assert [f.pk for _, f in store.log(shard.number).frames_from(store.start(shard))] == [b"old", b"new"]
    now[0] += 1
    assert [f.pk for _, f in store.log(shard.number).frames_from(store.start(shard))] == [b"new"]
    assert store.count == 2
    now[0] += RETENTION_MS
    assert store.start(shard) == store.end(shard)
    store.close()


def test_old_shards_are_rolled_once_written_to(tmp_path: Path) -> None:
    now = [1_000_000]
    store = TableStore(SCHEMA, tmp_path, lambda: now[0], 2)
    store.begin_stream("label", "NEW_IMAGE")
    now[0] += ROLL_MS
    assert store.roll_old() == 0
    store.put(b"a", b"", b"1", 1)
    Journal(None).commit([store], atomic=False)
    assert store.roll_old() == 1
    assert store.roll_old() == 0
    child = store.map.of_stream("label")[-1]
    assert child.parent is not None
    parent = store.map.shards[child.parent]
    assert (parent.low, parent.high) == (child.low, child.high)
    store.close()


def test_commit_of_several_logs_is_finished_after_a_kill(tmp_path: Path) -> None:
    """Kill after the journal and after each byte of the logs that follow."""
    stores: list[TableStore] = []

    def fresh() -> None:
        for store in stores:
            store.close()
        stores[:] = [TableStore(SCHEMA, tmp_path / "data" / name, lambda: 1, 2) for name in ("one", "two")]

    journal = Journal(tmp_path / "data")
    fresh()
    for store in stores:
        for number in range(6):
            store.put(b"key%d" % number, b"", b"v%d" % number, 2)
    pending = [(log.path, log.written, log.pending()) for store in stores for log in store.dirty]
    assert len(pending) == 4
    content: list[bytes] = []

    class Killed(Exception):
        pass

    def kill() -> None:
        content.append((tmp_path / "data" / JOURNAL).read_bytes())
        raise Killed

    pending_log = stores[0].dirty[0]
    pending_log.flush = kill  # type: ignore[method-assign]
    with contextlib.suppress(Killed):
        journal.commit(stores, atomic=True)
    journal.close()
    for number, (path, _, data) in enumerate(pending):
        assert path is not None
        for cut in range(0, len(data), 5):
            for other, (earlier, at, whole) in enumerate(pending):
                assert earlier is not None
                with earlier.open("r+b") as file:
                    file.truncate(at)
                    file.seek(at)
                    file.write(whole if other < number else data[:cut] if other == number else b"")
            (tmp_path / "data" / JOURNAL).write_bytes(content[0])
            Journal(tmp_path / "data").close()
            assert (tmp_path / "data" / JOURNAL).read_bytes() == b""
            fresh()
            for store in stores:
                assert {pk: v.image for pk, _, v in store.scan()} == {b"key%d" % n: b"v%d" % n for n in range(6)}
    # A journal that was not whole never began to be applied.
    for path, at, _ in pending:
        assert path is not None
        with path.open("r+b") as file:
            file.truncate(at)
    (tmp_path / "data" / JOURNAL).write_bytes(content[0][:-1])
    Journal(tmp_path / "data").close()
    fresh()
    assert [store.count for store in stores] == [0, 0]
    for store in stores:
        store.close()


def test_failed_commit_takes_everything_back(tmp_path: Path, monkeypatch: Any) -> None:
    store = TableStore(SCHEMA, tmp_path / "t", lambda: 1, 4)
    for number in range(12):
        store.put(b"key%d" % number, b"", b"1", 1)
    journal = Journal(tmp_path)
    journal.commit([store], atomic=False)
    before = {log.path: log.end for log in (store.log(s.number) for s in store.map.open)}
    for number in range(12):
        store.put(b"key%d" % number, b"", b"22", 2)
    store.delete(b"key3")

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.dirty[-1], "flush", full)
    try:
        journal.commit([store], atomic=False)
    except OSError:
        pass
    else:
        raise AssertionError("the commit succeeded")
    assert {v.image for _, _, v in store.scan()} == {b"1"}
    assert (store.count, store.bytes) == (12, 12)
    assert {log.path: log.end for log in (store.log(s.number) for s in store.map.open)} == before
    store.close()


def test_same_item_ignores_order_of_attributes_and_sets_only() -> None:
    def image(value: Any) -> bytes:
        return orjson.dumps(value)

    a = {"id": {"S": "k"}, "s": {"SS": ["x", "y"]}, "l": {"L": [{"S": "1"}, {"S": "2"}]}}
    assert same_item(image(a), image(dict(reversed(a.items()))))
    assert same_item(image(a), image({**a, "s": {"SS": ["y", "x"]}}))
    assert not same_item(image(a), image({**a, "l": {"L": [{"S": "2"}, {"S": "1"}]}}))
    assert not same_item(image(a), image({**a, "id": {"S": "j"}}))
    nested = {"m": {"M": {"SS": {"M": {"s": {"NS": ["1", "2"]}}}}}}
    assert same_item(image(nested), image({"m": {"M": {"SS": {"M": {"s": {"NS": ["2", "1"]}}}}}}))
