"""The order in which a stream's shards are read: parents first, each once, whatever the listings look like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.lambda_service.event_sources.shards import Shard, ShardTree


def test_shard_when_described_has_its_parent_and_whether_it_is_closed() -> None:
    description = {"ShardId": "b", "ParentShardId": "a", "SequenceNumberRange": {"StartingSequenceNumber": "1"}}
    assert Shard.from_description(description) == Shard("b", "a", False)
    closed = {"ShardId": "a", "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "2"}}
    assert Shard.from_description(closed) == Shard("a", "", True)
    assert Shard.from_description({"ShardId": "a"}) == Shard("a", "", False)


def test_children_when_the_parent_is_read_wait_for_its_end() -> None:
    tree = ShardTree("TRIM_HORIZON")
    listing = [Shard("c1", "p", False), Shard("c2", "p", False), Shard("p", "", True)]
    assert tree.ready(listing) == [("p", "TRIM_HORIZON")]
    assert tree.ready(listing) == []
    assert tree.reading == {"p"}
    tree.finish("p")
    assert tree.ready(listing) == [("c1", "TRIM_HORIZON"), ("c2", "TRIM_HORIZON")]


def test_child_when_its_parent_has_expired_begins_at_once() -> None:
    assert ShardTree("TRIM_HORIZON").ready([Shard("c", "gone", False)]) == [("c", "TRIM_HORIZON")]


def test_grandchild_when_the_waiting_parent_expires_still_waits_for_the_grandparent() -> None:
    tree = ShardTree("TRIM_HORIZON")
    chain = [Shard("g", "", True), Shard("p", "g", True), Shard("c", "p", False)]
    assert tree.ready(chain) == [("g", "TRIM_HORIZON")]
    assert tree.ready(chain[2:]) == []
    tree.finish("g")
    assert tree.ready(chain[2:]) == [("c", "TRIM_HORIZON")]


def test_shard_when_it_names_itself_as_its_parent_is_read() -> None:
    assert ShardTree("TRIM_HORIZON").ready([Shard("a", "a", False)]) == [("a", "TRIM_HORIZON")]


def test_shard_when_finished_and_listed_again_is_not_read_again() -> None:
    tree = ShardTree("TRIM_HORIZON")
    listing = [Shard("a", "", True)]
    assert tree.ready(listing) == [("a", "TRIM_HORIZON")]
    tree.finish("a")
    assert tree.ready([]) == []
    assert tree.ready(listing) == []


def test_latest_when_first_listed_skips_closed_shards_and_takes_open_ones_from_their_end() -> None:
    tree = ShardTree("LATEST")
    listing = [Shard("p", "", True), Shard("c", "p", False), Shard("o", "", False), Shard("e", "", True)]
    assert tree.ready(listing) == [("c", "LATEST"), ("o", "LATEST")]
    later = [*listing, Shard("n", "o", False), Shard("e1", "e", False)]
    # The child of a shard that was skipped continues it: what it holds is newer than the mapping.
    assert tree.ready(later) == [("e1", "TRIM_HORIZON")]
    tree.finish("o")
    assert tree.ready(later) == [("n", "TRIM_HORIZON")]


def test_latest_when_a_parent_is_not_listed_as_closed_yet_takes_its_child() -> None:
    tree = ShardTree("LATEST")
    assert tree.ready([Shard("p", "", False), Shard("c", "p", False)]) == [("c", "LATEST")]


def test_latest_when_nothing_was_listed_at_first_reads_what_appears_from_its_beginning() -> None:
    tree = ShardTree("LATEST")
    assert tree.ready([]) == []
    assert tree.ready([Shard("a", "", False)]) == [("a", "TRIM_HORIZON")]


@st.composite
def forests(draw: st.DrawFn) -> list[Shard]:
    count = draw(st.integers(1, 12))
    shards = []
    for i in range(count):
        parent = draw(st.integers(-2, i - 1))
        name = "" if parent == -1 else "expired" if parent == -2 else f"s{parent}"
        shards.append(Shard(f"s{i}", name, True))
    return draw(st.permutations(shards))


@given(forests(), st.data())
def test_shards_when_they_form_any_forest_are_each_read_once_and_after_their_parent(
    forest: list[Shard], data: st.DataObject
) -> None:
    tree = ShardTree("TRIM_HORIZON")
    parents = {shard.shard_id: shard.parent for shard in forest}
    finished: list[str] = []
    reading: list[str] = []
    while len(finished) < len(forest):
        known = data.draw(st.permutations(forest))
        for shard_id, position in tree.ready(known):
            assert position == "TRIM_HORIZON"
            assert parents[shard_id] in ("", "expired", *finished)
            assert shard_id not in (*reading, *finished)
            reading.append(shard_id)
        assert reading, "nothing is read and not everything is finished"
        done = data.draw(st.sampled_from(reading))
        reading.remove(done)
        finished.append(done)
        tree.finish(done)
    assert tree.ready(forest) == []
