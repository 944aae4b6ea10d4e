from __future__ import annotations

from collections import Counter

import pytest

from harness.errors import EnvironmentProblem
from harness.lessons.visibility.drive import account


def test_account_when_every_row_is_there_once_is_exact() -> None:
    found = account(1, Counter(range(1, 11)), 3)
    assert (found.items_per_row, found.invocations_per_message, found.exact) == (1.0, 3.0, True)


def test_account_when_rows_are_there_twice_counts_items_and_is_not_exact() -> None:
    found = account(1, Counter(dict.fromkeys(range(1, 11), 2)), 2)
    assert (found.items, found.distinct, found.items_per_row, found.exact) == (20, 10, 2.0, False)


def test_account_when_one_row_is_missing_and_another_twice_is_not_exact() -> None:
    found = account(1, Counter([1, 1, *range(2, 10)]), 1)
    assert (found.items, found.exact) == (10, False)


def test_account_when_nothing_was_found_has_no_items() -> None:
    assert account(2, Counter(), 0).items_per_row == 0.0


@pytest.mark.parametrize("stray", [0, 11])
def test_account_when_a_row_was_never_sent_is_refused(stray: int) -> None:
    with pytest.raises(EnvironmentProblem, match=f"row {stray} was found, but 1 to 10 were sent"):
        account(1, Counter([1, stray]), 1)
