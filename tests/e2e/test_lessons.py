"""Lessons that need an engine, shorter than users run them."""

from __future__ import annotations

from pathlib import Path

from harness.engines.registry import create
from harness.lessons.capacity.arrangements import (
    ARRANGEMENTS,
    NAIVE_5,
    NAIVE_100,
    NAIVE_ON_DEMAND,
    OURS_5,
    OURS_100,
    Plan,
)
from harness.lessons.capacity.drive import Drive
from harness.lessons.feed import lesson_source, record_batches


def test_capacity_when_short_loses_rows_of_the_naive_function_alone(tmp_path: Path) -> None:
    plan = Plan(seconds=4, naive_visibility=3)
    told: list[tuple[float, str]] = []
    with create("embedded", capacity="aws", logs=tmp_path) as engine:
        drive = Drive(engine, plan, ARRANGEMENTS, lambda share, what: told.append((share, what)))
        observed = drive.run(record_batches(plan.rows, lesson_source("capacity")))
    accounts = observed.accounts
    for arrangement in (NAIVE_ON_DEMAND, OURS_5, OURS_100):
        assert accounts[arrangement].in_table == plan.rows, arrangement
        assert accounts[arrangement].in_both == 0
    for arrangement in (NAIVE_5, NAIVE_100):
        found = accounts[arrangement]
        assert found.in_dlq > 0 and found.lost > 0, found
        assert arrangement.write_capacity is not None
        # Each row took a unit, and no more units were there than accrued since the table was made.
        since_made = observed.switched_at + 30
        assert 0 < found.in_table <= arrangement.write_capacity / 5 * since_made
        assert observed.consumed[arrangement].throttled_requests["TableWriteProvisionedThroughputExceeded"] > 0
    assert not observed.consumed[NAIVE_ON_DEMAND].throttled_requests
    assert observed.waiting[OURS_5] > 0
    assert observed.samples[-1].in_table[OURS_5] == plan.rows
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[-1] < 1
