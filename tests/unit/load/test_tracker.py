"""When a file is finished: retries, dead letters, quarantine and late lines included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.pool import Expectation
from harness.load.tracker import completed_at, finished_at, finished_rows, redelivered_rows
from harness.telemetry import SourceTotals

RECEIVES = 3


def ok(rows: int, ended: int = 0) -> SourceTotals:
    return SourceTotals(rows_in=rows, rows_ok=rows, ok_ms=ended, ended_ms=ended)


def expect(rows: int = 100, quarantined: int = 0, **dead: int) -> Expectation:
    return Expectation(rows, rows - quarantined - sum(dead.values()), quarantined, dead)


def test_finished_rows_when_all_are_updated_is_all() -> None:
    assert finished_rows({"clean": ok(100), "update": ok(100)}, expect(), RECEIVES) == 100


def test_finished_rows_when_only_earlier_stages_are_done_is_none() -> None:
    assert finished_rows({"clean": ok(100), "insert": ok(100), "process": ok(100)}, expect(), RECEIVES) == 0


def test_finished_rows_when_a_message_came_twice_does_not_exceed_what_is_expected() -> None:
    assert finished_rows({"update": ok(150)}, expect(), RECEIVES) == 100


def test_finished_rows_when_clean_ran_twice_counts_quarantined_rows_once() -> None:
    clean = SourceTotals(rows_in=200, rows_ok=190, rows_quarantined=10, ended_ms=1)
    assert finished_rows({"clean": clean, "update": ok(95)}, expect(quarantined=5), RECEIVES) == 100


@pytest.mark.parametrize(("refusals", "finished"), [(0, 98), (1, 98), (4, 99), (7, 99), (8, 100), (9, 100)])
def test_finished_rows_when_rows_are_refused_waits_for_the_last_receive_of_each(refusals: int, finished: int) -> None:
    # Once among their neighbours and three times alone, each of two rows.
    totals = {"process": SourceTotals(rows_ok=98, rows_failed=refusals), "update": ok(98)}
    assert finished_rows(totals, expect(process=2), RECEIVES) == finished


def test_finished_rows_when_refusals_were_not_expected_does_not_count_them() -> None:
    totals = {"update": SourceTotals(rows_ok=60, rows_failed=40)}
    assert finished_rows(totals, expect(), RECEIVES) == 60


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 50), st.integers(0, 20), st.integers(0, 20))
def test_finished_rows_when_counts_are_any_is_between_nothing_and_all(
    updated: int, quarantined: int, refused: int, poison: int, rejects: int
) -> None:
    expected = expect(100, rejects, process=poison)
    totals = {
        "update": SourceTotals(rows_ok=updated),
        "clean": SourceTotals(rows_quarantined=quarantined),
        "process": SourceTotals(rows_failed=refused),
    }
    assert 0 <= finished_rows(totals, expected, RECEIVES) <= 100


def test_finished_at_when_the_update_is_last_is_its_end() -> None:
    assert finished_at({"clean": ok(100, 1000), "update": ok(100, 5000)}, expect()) == 5.0


def test_finished_at_when_a_dead_letter_is_last_is_its_last_refusal() -> None:
    totals = {"update": ok(99, 5000), "process": SourceTotals(rows_failed=4, failed_ms=20_000)}
    assert finished_at(totals, expect(process=1)) == 20.0


def test_completed_at_when_the_rows_add_up_is_the_last_successful_update() -> None:
    update = SourceTotals(rows_ok=100, rows_failed=3, ok_ms=7000, failed_ms=9000, ended_ms=9000)
    assert completed_at({"clean": ok(100, 1000), "update": update}, 100, 0, {}) == 7.0


def test_completed_at_when_a_message_came_twice_is_the_later_delivery_and_never_early() -> None:
    # 50 rows at 4 s, the same 50 again at 6 s, the other 50 at 8 s: counts add up at 6 s, rows at 8 s.
    assert completed_at({"update": ok(150, 8000)}, 100, 0, {}) == 8.0


def test_completed_at_when_all_rows_are_quarantined_is_the_end_of_clean() -> None:
    clean = SourceTotals(rows_in=100, rows_quarantined=100, ended_ms=3000)
    assert completed_at({"clean": clean}, 100, 100, {}) == 3.0


def test_completed_at_when_dead_letters_were_found_counts_them_and_their_last_refusal() -> None:
    totals = {"update": ok(98, 5000), "insert": SourceTotals(rows_ok=98, rows_failed=8, failed_ms=15_000)}
    assert completed_at(totals, 100, 0, {"insert": 2, "process": 0}) == 15.0


def test_completed_at_when_rows_are_missing_is_unknown() -> None:
    assert completed_at({"update": ok(99, 5000)}, 100, 0, {}) is None


def test_completed_at_when_there_is_no_telemetry_at_all_is_unknown() -> None:
    assert completed_at({}, 100, 0, {"clean": 100}) is None


@pytest.mark.parametrize(("updated", "twice"), [(100, 0), (99, 0), (150, 50)])
def test_redelivered_rows_when_more_were_updated_than_expected_is_the_difference(updated: int, twice: int) -> None:
    assert redelivered_rows({"update": ok(updated)}, expect()) == twice
