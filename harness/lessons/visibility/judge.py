"""What the lesson found: items a row by visibility timeout, the picture, and the verdict by a fixed rule. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.lessons.model import Comparison, Finding, Line, Plot
from harness.lessons.rules import Check, judged
from harness.lessons.visibility.arrangements import (
    BATCH_SECONDS,
    FUNCTION_TIMEOUT,
    NAIVE_TABLE,
    NAIVE_WINDOW,
    OURS_TABLE,
    OURS_WINDOW,
    WINDOW_SECONDS,
    Arrangement,
)
from harness.lessons.visibility.drive import Account

Accounts = Mapping[Arrangement, Account]


def checks(accounts: Accounts) -> list[Check]:
    """Return the parts of the rule: all must hold for "reproduced"."""
    early = [accounts[a] for a in NAIVE_TABLE if a.visibility < BATCH_SECONDS]
    accepted = [accounts[a] for a in NAIVE_WINDOW if a.visibility < WINDOW_SECONDS + BATCH_SECONDS]
    by_rule = [accounts[NAIVE_TABLE[-1]], accounts[NAIVE_WINDOW[-1]]]
    ours = [accounts[a] for a in (*OURS_TABLE, *OURS_WINDOW)]
    again = max(account.invocations_per_message for account in ours)
    return [
        Check(
            f"with timeouts shorter than a batch each row is there {_range(early)} times (rule: more than once)",
            all(account.items_per_row > 1 for account in early),
        ),
        Check(
            f"with timeouts that Lambda accepts, but shorter than a window and a batch, {_range(accepted)} times "
            "(rule: more than once)",
            all(account.items_per_row > 1 for account in accepted),
        ),
        Check(
            f"by AWS's rule of six {_range(by_rule)} times (rule: exactly once)",
            all(account.exact for account in by_rule),
        ),
        Check(
            f"ours, which ran up to {again:.2f} times for a message, has each row {_range(ours)} times (rule: exactly "
            "once, though it ran more than once)",
            all(account.exact for account in ours) and again > 1,
        ),
    ]


def finding(accounts: Accounts) -> Finding:
    """Return the lesson's finding."""
    verdict, reason = judged(checks(accounts))
    return Finding(verdict, reason, list(_comparisons(accounts)), [_plot(accounts)], _notes(accounts))


def _range(accounts: Sequence[Account]) -> str:
    low, high = (choose(account.items_per_row for account in accounts) for choose in (min, max))
    return f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"


def _comparisons(accounts: Accounts) -> Iterator[Comparison]:
    naive = [accounts[a] for a in (*NAIVE_TABLE, *NAIVE_WINDOW)]
    doubled = [account for account in naive if account.items_per_row > 1]
    yield Comparison(
        "batches are processed more than once",
        "yes, of how many rows nobody said",
        f"by the naive function with {len(doubled)} of {len(naive)} visibility timeouts",
    )
    for arrangement, account in accounts.items():
        yield Comparison(
            arrangement.name,
            "",
            f"{account.items_per_row:.2f} items a row, {account.invocations_per_message:.2f} invocations a message, "
            f"{account.rows:,} rows",
        )


def _plot(accounts: Accounts) -> Plot:
    lines = [
        _line("naive, slow table", NAIVE_TABLE, accounts),
        _line("naive, batching window", NAIVE_WINDOW, accounts),
        _line("ours, slow table", OURS_TABLE, accounts),
        _line("ours, batching window", OURS_WINDOW, accounts),
    ]
    return Plot("Items in the table for each row sent", "visibility timeout, seconds", "items a row", lines)


def _line(name: str, arrangements: Sequence[Arrangement], accounts: Accounts) -> Line:
    return Line(name, [(float(a.visibility), round(accounts[a].items_per_row, 3)) for a in arrangements])


def _notes(accounts: Accounts) -> list[str]:
    notes = [
        f"Every BatchWriteItem takes {BATCH_SECONDS:g} s by a rule of chaos, so the function needs as long for a "
        f"message; its time-out is {FUNCTION_TIMEOUT} s. Batching window: the mapping gathers messages for "
        f"{WINDOW_SECONDS} s before it invokes the function, and hidden time runs meanwhile. Messages come one by one, "
        "so that nothing else waits.",
        f"Timeouts below {FUNCTION_TIMEOUT} s were set by SetQueueAttributes after the deployment: Lambda checks them "
        "only when a mapping is made or changed. That nothing checks later is our conclusion; AWS does not say it.",
        "Every row was looked for by its id in its table. The naive function keeps the id beside a key of its own.",
    ]
    missing = {a.name: account.rows - account.distinct for a, account in accounts.items()}
    notes += [f"{count:,} rows are not in the table: {name}." for name, count in missing.items() if count]
    return notes
