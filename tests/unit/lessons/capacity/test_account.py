from __future__ import annotations

import pytest

from harness.errors import EnvironmentProblem
from harness.lessons.capacity.account import account


def test_account_when_rows_are_in_both_counts_them_once_as_kept() -> None:
    found = account(10, {1, 2, 3}, {3, 4})
    assert (found.in_table, found.in_dlq, found.in_both, found.lost) == (3, 1, 1, 6)
    assert found.kept_share == 0.3


def test_account_when_nothing_was_found_has_lost_all() -> None:
    assert account(5, set(), set()).lost == 5


@pytest.mark.parametrize("stray", [0, 11])
def test_account_when_a_row_was_never_sent_is_refused(stray: int) -> None:
    with pytest.raises(EnvironmentProblem, match="were sent"):
        account(10, {1}, {stray})
