from __future__ import annotations

from collections.abc import Mapping

import pytest

from harness.lessons.model import Finding, Verdict
from harness.lessons.visibility.arrangements import (
    ARRANGEMENTS,
    NAIVE_TABLE,
    NAIVE_WINDOW,
    OURS_TABLE,
    OURS_WINDOW,
    Arrangement,
)
from harness.lessons.visibility.drive import Account
from harness.lessons.visibility.judge import finding


def times(items: float, invocations: float = 1.0) -> Account:
    """A hundred rows in ten messages, each row so many times in the table."""
    return Account(100, round(items * 100), min(100, round(items * 100)), 10, round(invocations * 10))


ONCE = times(1)
AS_PUBLISHED: Mapping[Arrangement, Account] = {
    **dict.fromkeys(ARRANGEMENTS, ONCE),
    NAIVE_TABLE[0]: times(3, 3),
    NAIVE_TABLE[1]: times(2, 2),
    NAIVE_WINDOW[0]: times(2, 1.5),
    NAIVE_WINDOW[1]: times(2, 2),
    OURS_TABLE[0]: times(1, 3),
}


def found(**changed: Account) -> Finding:
    named = {a.stack_name: a for a in ARRANGEMENTS}
    return finding({**AS_PUBLISHED, **{named[name.replace("_", "-")]: one for name, one in changed.items()}})


def test_verdict_when_short_timeouts_double_rows_and_the_rule_of_six_does_not_is_reproduced() -> None:
    result = found()
    assert result.verdict is Verdict.REPRODUCED
    assert result.reason.startswith("with timeouts shorter than a batch each row is there 2.00 to 3.00 times")
    first = result.comparisons[0]
    assert first.reproduced == "by the naive function with 4 of 9 visibility timeouts"
    said = {one.what: one.reproduced for one in result.comparisons[1:]}
    assert said["naive, slow table, 1 s"] == "3.00 items a row, 3.00 invocations a message, 100 rows"
    assert len(said) == len(ARRANGEMENTS)


@pytest.mark.parametrize(
    ("arrangement", "account", "words"),
    [
        (NAIVE_TABLE[1], ONCE, "shorter than a batch each row is there 1.00 to 3.00 times"),
        (NAIVE_WINDOW[1], ONCE, "that Lambda accepts, but shorter than a window and a batch, 1.00 to 2.00 times"),
        (NAIVE_TABLE[-1], times(1.1), "by AWS's rule of six 1.00 to 1.10 times"),
        (NAIVE_WINDOW[-1], times(0.9), "by AWS's rule of six 0.90 to 1.00 times"),
        (OURS_WINDOW[0], times(2, 2), "has each row 1.00 to 2.00 times"),
        (OURS_TABLE[1], times(0.99), "has each row 0.99 to 1.00 times"),
        (OURS_TABLE[0], ONCE, "ours, which ran up to 1.00 times for a message"),
    ],
    ids=["batch", "window", "six-more", "six-less", "ours-twice", "ours-lost", "ours-never-again"],
)
def test_verdict_when_one_part_does_not_hold_differs_and_says_which(
    arrangement: Arrangement, account: Account, words: str
) -> None:
    result = found(**{arrangement.stack_name.replace("-", "_"): account})
    assert result.verdict is Verdict.DIFFERS
    assert words in result.reason
    assert result.reason.count("rule:") == 1


def test_verdict_when_as_many_are_lost_as_doubled_differs() -> None:
    result = found(**{OURS_TABLE[1].stack_name.replace("-", "_"): Account(100, 100, 99, 10, 10)})
    assert result.verdict is Verdict.DIFFERS
    assert any(note == f"1 rows are not in the table: {OURS_TABLE[1].name}." for note in result.notes)


def test_plot_has_a_line_each_way_in_order_of_the_timeout() -> None:
    (plot,) = found().plots
    assert plot.lines[0].points == [(1.0, 3.0), (2.0, 2.0), (4.0, 1.0), (24.0, 1.0)]
    assert [point for line in plot.lines for point in line.points] != []
    assert all(list(line.points) == sorted(line.points) for line in plot.lines)
