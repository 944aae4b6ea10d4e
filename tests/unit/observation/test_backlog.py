"""The age of a backlog, against a queue whose every row is known."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.observation.backlog import BacklogAge

moves = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=40)


def test_age_when_nothing_waits_is_nothing() -> None:
    ages = BacklogAge()
    assert [ages.observe(now, done, 0) for now, done in ((1.0, 0), (2.0, 50), (9.0, 90))] == [0.0, 0.0, 0.0]


def test_age_when_rows_wait_from_the_first_look_counts_from_the_start() -> None:
    assert BacklogAge().observe(4.0, 0, 100) == 4.0


def test_age_when_a_batch_came_at_once_is_found_between_two_looks() -> None:
    ages = BacklogAge()
    ages.observe(10.0, 0, 0)
    # 100 rows came between 10 and 12; a fifth of them is done at 20: the next one came at 10.4.
    assert ages.observe(12.0, 0, 100) == 2.0
    assert ages.observe(20.0, 20, 80) == pytest.approx(9.6)


def test_age_when_work_keeps_up_stays_short_and_when_it_stops_grows_by_the_second() -> None:
    ages = BacklogAge()
    steady = [ages.observe(float(t), 100 * t, 100) for t in range(1, 10)]
    assert all(age <= 2.0 for age in steady)
    stopped = [ages.observe(float(t), 900, 100 * (t - 8)) for t in range(10, 15)]
    assert stopped == pytest.approx([1.0 + t for t in range(5)], abs=1.0)
    assert [b - a for a, b in pairwise(stopped)] == pytest.approx([1.0] * 4)


def test_age_when_the_queue_was_empty_in_between_forgets_what_was_before() -> None:
    ages = BacklogAge()
    ages.observe(5.0, 0, 100)
    ages.observe(50.0, 100, 0)
    assert ages.observe(51.0, 100, 10) == 1.0


@given(moves)
def test_age_when_rows_leave_in_their_order_is_that_of_the_oldest_within_one_look(steps: list[tuple[int, int]]) -> None:
    """Law: rows that came in one second all came at its end, so the age is right but for that second."""
    ages = BacklogAge()
    queue: deque[float] = deque()
    done = 0
    ages.observe(0.0, 0, 0)
    for now, (came, left) in enumerate(steps, start=1):
        queue.extend([float(now)] * came)
        for _ in range(min(left, len(queue))):
            queue.popleft()
            done += 1
        age = ages.observe(float(now), done, len(queue))
        if queue:
            assert now - queue[0] <= age + 1e-9 <= now - queue[0] + 1 + 1e-6
        else:
            assert age == 0.0
