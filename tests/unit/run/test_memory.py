"""How many rows fit into memory."""

from __future__ import annotations

import psutil
import pytest

from harness.doctor.memory import BYTES_PER_ROW, FIXED_BYTES, bytes_for, rows_that_fit


@pytest.mark.parametrize("available", [0, 1, FIXED_BYTES - 1, FIXED_BYTES, FIXED_BYTES + 999 * BYTES_PER_ROW])
def test_rows_that_fit_when_memory_is_short_is_nothing(available: int) -> None:
    assert rows_that_fit(available) == 0


@pytest.mark.parametrize("rows", [1000, 50_000, 800_000])
def test_rows_that_fit_when_memory_is_just_enough_gives_them_all(rows: int) -> None:
    assert rows_that_fit(bytes_for(rows)) == rows
    assert rows_that_fit(bytes_for(rows) - 1) == rows - 1000


def test_rows_that_fit_when_given_any_memory_are_whole_thousands_and_do_fit() -> None:
    for available in range(2_000_000_000, 20_000_000_000, 777_777_777):
        rows = rows_that_fit(available)
        assert rows % 1000 == 0
        assert bytes_for(rows) <= available < bytes_for(rows + 1000)


def test_rows_that_fit_when_asked_without_a_number_uses_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        available = bytes_for(7000)

    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    assert rows_that_fit() == 7000


def test_bytes_for_when_there_are_no_rows_is_the_fixed_part() -> None:
    assert bytes_for(0) == FIXED_BYTES
