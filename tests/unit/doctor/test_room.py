"""How many rows fit into memory and onto the disk of temporary files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.doctor import room
from harness.doctor.room import DISK_FIXED, MEMORY_FIXED, Room, free_room, refuse_if_too_many, room_for, rows_that_fit
from harness.errors import EnvironmentProblem

PLENTY = 10**15


@pytest.mark.parametrize("memory", [0, 1, MEMORY_FIXED - 1, MEMORY_FIXED, room_for(999).memory])
def test_rows_that_fit_when_memory_is_short_is_nothing(memory: int) -> None:
    assert rows_that_fit(Room(memory, PLENTY)) == 0


@pytest.mark.parametrize("disk", [0, DISK_FIXED, room_for(999).disk])
def test_rows_that_fit_when_the_disk_is_short_is_nothing(disk: int) -> None:
    assert rows_that_fit(Room(PLENTY, disk)) == 0


@pytest.mark.parametrize("rows", [1000, 50_000, 800_000])
def test_rows_that_fit_when_there_is_just_enough_gives_them_all(rows: int) -> None:
    need = room_for(rows)
    assert rows_that_fit(need) == rows
    assert rows_that_fit(Room(need.memory - 1, need.disk)) == rows - 1000
    assert rows_that_fit(Room(need.memory, need.disk - 1)) == rows - 1000


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_rows_that_fit_when_given_any_room_are_whole_thousands_and_the_most(memory: int, disk: int) -> None:
    rows = rows_that_fit(Room(memory, disk))
    more = room_for(rows + 1000)
    assert rows % 1000 == 0
    assert more.memory > memory or more.disk > disk
    if rows:
        assert room_for(rows).memory <= memory
        assert room_for(rows).disk <= disk


def test_rows_that_fit_when_asked_without_a_number_uses_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_room", lambda: room_for(7000))
    assert rows_that_fit() == 7000


def test_refusal_when_rows_do_not_fit_says_what_they_need_and_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_room", lambda: room_for(7000))
    refuse_if_too_many(7000)
    with pytest.raises(EnvironmentProblem, match=r"the load has 7,001 rows.* GB .*: 7,000 rows fit") as said:
        refuse_if_too_many(7001, "the load")
    assert "TMPDIR" in said.value.hint


def test_free_room_when_asked_is_of_this_machine() -> None:
    free = free_room()
    assert free.memory > 0
    assert free.disk > 0
