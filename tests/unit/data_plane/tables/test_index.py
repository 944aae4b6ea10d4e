"""The index against a dictionary; its order; what it costs."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data_plane.tables.index import Index
from harness.data_plane.tables.keys import hash_of

pks = st.sampled_from([b"", b"a", b"b", b"ab", b"k1", b"k2", b"k3"])
sks = st.sampled_from([b"", b"1", b"2", b"3", b"10"])
steps = st.lists(st.tuples(pks, sks, st.integers(0, 5)), max_size=60)


@given(steps)
def test_index_holds_what_a_dictionary_holds(changes: list[tuple[bytes, bytes, int]]) -> None:
    index, model = Index(has_sort_key=True), dict[tuple[bytes, bytes], int]()
    for pk, sk, location in changes:
        assert index.set(pk, sk, location) == model.get((pk, sk), 0)
        if location:
            model[pk, sk] = location
        else:
            model.pop((pk, sk), None)
        assert index.count == len(model)
    for pk, sk, _ in changes:
        assert index.get(pk, sk) == model.get((pk, sk), 0)
        assert index.partition(pk) == sorted((s, v) for (p, s), v in model.items() if p == pk)
        assert index.has_partition(pk) == any(p == pk for p, _ in model)
    assert sorted(index.partitions()) == sorted({p for p, _ in model})
    assert {(p, s): v for p, s, v in index.scan()} == model


@given(steps, sks, st.booleans())
def test_partition_slices_go_on_after_any_key(
    changes: list[tuple[bytes, bytes, int]], after: bytes, forward: bool
) -> None:
    index = Index(has_sort_key=True)
    for pk, sk, location in changes:
        index.set(pk, sk, location)
    for pk in {pk for pk, _, _ in changes}:
        whole = index.partition(pk) if forward else index.partition(pk)[::-1]
        assert list(index.partition_slice(pk, None, forward)) == whole
        rest = [(s, v) for s, v in whole if (s > after if forward else s < after)]
        assert list(index.partition_slice(pk, after, forward)) == rest


@pytest.mark.parametrize("ranged", [False, True])
def test_scan_goes_on_after_every_key_present_or_not(ranged: bool) -> None:
    index = Index(ranged)
    for number in range(5_000):
        index.set(b"key%d" % (number // 3 if ranged else number), b"%d" % (number % 3) if ranged else b"", number + 1)
    whole = list(index.scan())
    assert len(whole) == 5_000
    for at in range(0, 5_000, 97):
        pk, sk, _ = whole[at]
        assert list(index.scan(after=(pk, sk))) == whole[at + 1 :]
        index.set(pk, sk, 0)
        assert list(index.scan(after=(pk, sk))) == whole[at + 1 :]
        index.set(pk, sk, whole[at][2])


@pytest.mark.parametrize("total", [1, 3, 7, 2048, 5000])
def test_segments_are_disjoint_and_whole(total: int) -> None:
    index = Index(has_sort_key=False)
    for number in range(1_000):
        index.set(b"%d" % number, b"", number + 1)
    seen: list[bytes] = []
    for segment in range(total):
        low, high = (segment << 32) // total, ((segment + 1) << 32) // total
        part = [pk for pk, _, _ in index.scan(low, high)]
        assert all(low <= hash_of(pk) < high for pk in part)
        seen += part
    assert sorted(seen) == sorted(b"%d" % number for number in range(1_000))


@pytest.mark.parametrize(("ranged", "per_partition", "limit"), [(False, 1, 200), (True, 1, 260), (True, 100, 200)])
def test_an_item_takes_few_bytes(ranged: bool, per_partition: int, limit: int) -> None:
    count = 30_000
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        index = Index(ranged)
        for number in range(count):
            pk = b"corpus-0001#%08d" % (number // per_partition)
            index.set(pk, b"%08d" % number if ranged else b"", 1 << 40 | number)
        used = (tracemalloc.get_traced_memory()[0] - before) / count
    finally:
        tracemalloc.stop()
    assert used <= limit
