"""What the lesson found: figures beside the published ones, the picture, and the verdict by a fixed rule. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from harness.cost.prices import Prices
from harness.lessons.capacity.account import Account
from harness.lessons.capacity.arrangements import (
    ARRANGEMENTS,
    NAIVE_5,
    NAIVE_100,
    NAIVE_ON_DEMAND,
    PUBLISHED_ROWS,
    ROWS_PER_SECOND,
    SCALE,
    Arrangement,
    Plan,
)
from harness.lessons.capacity.drive import Observed, Sample
from harness.lessons.model import Comparison, Finding, Line, Plot
from harness.lessons.rules import Check, judged

MOST_KEPT_AT_5 = 0.01
"""Published: about 1,000 of 558,000 rows, 0.2%. Up to 1% counts as the same: capacity saved up before the import, of
which nothing was published, is worth up to five minutes of it."""

LEAST_LOST_AT_100 = 0.6
"""Published: more than 60% lost, whether in the dead-letter queue or nowhere."""

_NAIVE = tuple(a for a in ARRANGEMENTS if a.naive)
_OURS = tuple(a for a in ARRANGEMENTS if not a.naive)


def checks(accounts: Mapping[Arrangement, Account]) -> list[Check]:
    """Return the parts of the rule: all must hold for "reproduced"."""
    five, hundred, on_demand = (accounts[a] for a in (NAIVE_5, NAIVE_100, NAIVE_ON_DEMAND))
    ours = [accounts[a] for a in _OURS]
    astray = sum(a.rows - a.in_table for a in ours)
    return [
        Check(f"5 WCU kept {_share(five.kept_share)} of the rows (rule: below 1%)", five.kept_share < MOST_KEPT_AT_5),
        Check(
            f"100 WCU lost {_share(1 - hundred.kept_share)} (rule: over 60%)",
            1 - hundred.kept_share > LEAST_LOST_AT_100,
        ),
        Check(
            f"on demand lost {on_demand.rows - on_demand.in_table:,} rows (rule: none)",
            on_demand.in_table == on_demand.rows,
        ),
        Check(f"ours lost {astray:,} (rule: none)", not astray),
    ]


def finding(observed: Observed, plan: Plan, prices: Prices) -> Finding:
    """Return the lesson's finding."""
    verdict, reason = judged(checks(observed.accounts))
    return Finding(verdict, reason, list(_comparisons(observed, prices)), [_plot(observed)], _notes(observed, plan))


def _comparisons(observed: Observed, prices: Prices) -> Iterator[Comparison]:
    accounts = observed.accounts
    five, hundred, on_demand = (accounts[a] for a in (NAIVE_5, NAIVE_100, NAIVE_ON_DEMAND))
    yield Comparison("naive, 5 WCU: rows kept", "about 1,000 of 558,000 (0.2%)", _of(five.in_table, five))
    yield Comparison("naive, 100 WCU: rows not kept", "more than 60%", _of(hundred.rows - hundred.in_table, hundred))
    yield Comparison(
        "naive, on demand: all rows in the table", "in 5 minutes", _when(observed, NAIVE_ON_DEMAND, on_demand)
    )
    for arrangement in (NAIVE_5, NAIVE_100):
        account = accounts[arrangement]
        yield Comparison(f"{arrangement.name}: in the dead-letter queue", "", _of(account.in_dlq, account))
        yield Comparison(f"{arrangement.name}: lost without an error", "", _of(account.lost, account))
    for arrangement in _OURS:
        account = accounts[arrangement]
        yield Comparison(
            f"{arrangement.name}: rows",
            "",
            f"{_of(account.in_table, account)} in the table, {account.in_dlq:,} in the dead-letter queue, "
            f"{account.lost:,} lost",
        )
    for arrangement in ARRANGEMENTS:
        reasons = observed.consumed[arrangement].throttled_requests
        told = ", ".join(f"{count:,} × {reason}" for reason, count in sorted(reasons.items()))
        yield Comparison(f"{arrangement.name}: requests that were throttled", "", told or "none")
    for capacity in (5, 100, None):
        yield _bill(capacity, prices)


def _when(observed: Observed, arrangement: Arrangement, account: Account) -> str:
    if account.in_table < account.rows:
        return f"never: {_of(account.in_table, account)}"
    at = next(s.at for s in observed.samples if s.in_table.get(arrangement, 0) >= account.rows)
    return f"all {account.rows:,} after {at:.0f} s"


def _bill(write_capacity: int | None, prices: Prices) -> Comparison:
    """Return what DynamoDB would ask for the published rows, one write unit each, with nothing lost."""
    if write_capacity is None:
        units = prices["dynamodb_write_request_unit"]
        dollars = PUBLISHED_ROWS * units.amount / units.per
        return Comparison("writes of 558,000 rows on demand", "", f"${dollars:.2f}")
    seconds = PUBLISHED_ROWS / write_capacity
    hours = -(-PUBLISHED_ROWS // (write_capacity * 3_600))
    dollars = Decimal(hours * write_capacity) * prices["dynamodb_write_capacity_hour"].amount
    return Comparison(
        f"writes of 558,000 rows at {write_capacity} WCU, had all been kept",
        "",
        f"${dollars:.2f} for {hours} h begun: they take {seconds / 3_600:.1f} h",
    )


def _plot(observed: Observed) -> Plot:
    lines = [
        # A logarithm of no rows is nowhere.
        Line(a.name, [(round(s.at, 1), s.in_table[a]) for s in _thinned(observed) if s.in_table.get(a)])
        for a in ARRANGEMENTS
    ]
    return Plot("Rows in the table", "seconds since the first row was sent", "rows, logarithmic", lines, log_y=True)


def _thinned(observed: Observed, most: int = 300) -> Iterator[Sample]:
    """Yield at most about `most` of the samples, the last among them."""
    samples = observed.samples
    step = max(1, len(samples) // most)
    yield from samples[:-1:step]
    yield from samples[-1:]


def _notes(observed: Observed, plan: Plan) -> list[str]:
    waited = ", ".join(f"{count:,} of {a.name.split(',')[1].strip()}" for a, count in observed.waiting.items())
    both = sum(a.in_both for a in observed.accounts.values())
    notes = [
        f"Rates and capacities are the published ones divided by {SCALE}: {ROWS_PER_SECOND} rows a second to each "
        f"arrangement for {plan.seconds} s, at {5 // SCALE} and {100 // SCALE} WCU. Shares do not depend on it.",
        "A new table has no burst capacity saved up. After five idle minutes it would have been as much again as the "
        "import got.",
        "The naive function runs without the SDK's own retries, which go on for longer than a function's default "
        "time-out of 3 s. With them, and time for them, more rows would be lost without an error and fewer be in the "
        "dead-letter queue; the table takes no more.",
        f"The tables of ours were set to on demand {observed.switched_at:.0f} s after the first row, when the naive "
        f"arrangements had come to rest. Until then rows beyond the capacity waited in the queue (messages: {waited}).",
        "Each row was looked for by its id in its table and in its dead-letter queue; lost rows are in neither, and no "
        "message waits any more.",
    ]
    if both:
        notes.append(
            f"{both:,} rows that are in a table lie in a dead-letter queue as well; they count as in the table."
        )
    return notes


def _of(count: int, account: Account) -> str:
    return f"{count:,} of {account.rows:,} ({_share(count / account.rows)})"


def _share(share: float) -> str:
    # Rounding must not turn almost all into all.
    digits = 1 if 0.01 <= share <= 0.99 or share in (0.0, 1.0) else 2
    return f"{share:.{digits}%}"
