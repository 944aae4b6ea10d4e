from __future__ import annotations

from collections.abc import Mapping

import pytest

from harness.cost.prices import shipped_prices
from harness.engines.consumption import TableConsumption
from harness.lessons.capacity.account import Account
from harness.lessons.capacity.arrangements import (
    ARRANGEMENTS,
    FULL,
    NAIVE_5,
    NAIVE_100,
    NAIVE_ON_DEMAND,
    OURS_5,
    OURS_100,
    Arrangement,
)
from harness.lessons.capacity.drive import Observed, Sample
from harness.lessons.capacity.judge import finding
from harness.lessons.model import Finding, Verdict

ALL = Account(10_000, 10_000, 0, 0)
AS_PUBLISHED = {
    NAIVE_5: Account(10_000, 20, 9_000, 0),
    NAIVE_100: Account(10_000, 700, 3_300, 0),
    NAIVE_ON_DEMAND: ALL,
    OURS_5: ALL,
    OURS_100: ALL,
}
REASON = "TableWriteProvisionedThroughputExceeded"


def found(accounts: Mapping[Arrangement, Account]) -> Finding:
    samples = [Sample(float(s), {a: accounts[a].in_table * s // 10 for a in ARRANGEMENTS}) for s in range(11)]
    consumed = {a: TableConsumption(throttled_requests={REASON: 1_234} if a.write_capacity else {}) for a in accounts}
    return finding(Observed(accounts, samples, consumed, 7.0, {OURS_5: 400, OURS_100: 1}), FULL, shipped_prices())


def reproduced(result: Finding) -> dict[str, str]:
    return {c.what: c.reproduced for c in result.comparisons}


def test_verdict_when_shares_are_as_published_is_reproduced() -> None:
    result = found(AS_PUBLISHED)
    assert result.verdict is Verdict.REPRODUCED
    assert "5 WCU kept 0.20%" in result.reason
    figures = reproduced(result)
    assert figures["naive, 5 WCU: rows kept"] == "20 of 10,000 (0.20%)"
    assert figures["naive, 5 WCU: lost without an error"] == "980 of 10,000 (9.8%)"
    assert figures["naive, 100 WCU: rows not kept"] == "9,300 of 10,000 (93.0%)"
    assert figures["naive, on demand: all rows in the table"] == "all 10,000 after 10 s"
    assert figures["naive, 5 WCU: requests that were throttled"] == f"1,234 × {REASON}"
    assert figures["naive, on demand: requests that were throttled"] == "none"
    assert any("400 of 5 WCU" in note for note in result.notes)


@pytest.mark.parametrize(
    ("arrangement", "account", "said"),
    [
        (NAIVE_5, Account(10_000, 100, 0, 0), "5 WCU kept 1.0%"),
        (NAIVE_100, Account(10_000, 4_000, 6_000, 0), "100 WCU lost 60.0%"),
        (NAIVE_ON_DEMAND, Account(10_000, 9_999, 1, 0), "on demand lost 1 rows"),
        (OURS_5, Account(10_000, 9_998, 0, 0), "ours lost 2"),
        (OURS_100, Account(10_000, 9_999, 1, 0), "ours lost 1"),
    ],
)
def test_verdict_when_one_part_does_not_hold_differs_and_says_which(
    arrangement: Arrangement, account: Account, said: str
) -> None:
    result = found({**AS_PUBLISHED, arrangement: account})
    assert result.verdict is Verdict.DIFFERS
    assert said in result.reason
    assert result.reason.count("rule:") == 1


def test_time_when_not_all_rows_arrived_on_demand_is_never() -> None:
    result = found({**AS_PUBLISHED, NAIVE_ON_DEMAND: Account(10_000, 9_999, 0, 0)})
    assert reproduced(result)["naive, on demand: all rows in the table"].startswith("never: 9,999")
    # Rounding does not make all of it.
    assert "99.99%" in reproduced(result)["naive, on demand: all rows in the table"]


def test_bill_when_reckoned_by_hand_agrees() -> None:
    figures = reproduced(found(AS_PUBLISHED))
    # 558,000 units at $0.625 a million; 31 h x 5 WCU and 2 h x 100 WCU at $0.00065.
    assert figures["writes of 558,000 rows on demand"] == "$0.35"
    assert figures["writes of 558,000 rows at 5 WCU, had all been kept"] == "$0.10 for 31 h begun: they take 31.0 h"
    assert figures["writes of 558,000 rows at 100 WCU, had all been kept"] == "$0.13 for 2 h begun: they take 1.6 h"


def test_plot_when_drawn_has_no_zero_and_ends_with_the_last_sample() -> None:
    (plot,) = found(AS_PUBLISHED).plots
    assert [line.name for line in plot.lines] == [a.name for a in ARRANGEMENTS]
    assert all(rows > 0 for line in plot.lines for _, rows in line.points)
    assert plot.lines[0].points[-1] == (10.0, 20)


def test_notes_when_rows_are_in_table_and_dead_letter_queue_say_so() -> None:
    result = found({**AS_PUBLISHED, NAIVE_5: Account(10_000, 20, 9_000, 7)})
    assert any(note.startswith("7 rows") for note in result.notes)
