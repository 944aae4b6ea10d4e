"""MiniStack's queues go by a clock that nobody can set."""

from __future__ import annotations

import time

import pytest
from ministack.services import sqs

from harness.engines.embedded import steady_time
from harness.engines.embedded.steady_time import SteadyTime


def test_steady_time_starts_at_the_time_of_day_and_follows_its_clock_alone() -> None:
    clock, wall = [50.0], [1.7e9]
    steady = SteadyTime(lambda: clock[0], lambda: wall[0])
    assert steady.time() == 1.7e9
    wall[0] -= 3600
    clock[0] += 12
    assert steady.time() == 1.7e9 + 12


def test_steady_time_is_the_time_module_in_everything_else() -> None:
    assert SteadyTime().gmtime(0) == time.gmtime(0)


def test_queue_when_the_clock_is_set_back_shows_a_message_again_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, wall = [0.0], [1.7e9]
    monkeypatch.setattr(sqs, "time", SteadyTime(lambda: clock[0], lambda: wall[0]))
    message = {"visible_at": sqs.time.time(), "receive_count": 0, "sent_at": sqs.time.time()}
    queue = {"is_fifo": False, "messages": [message], "attributes": {}}
    assert sqs._collect_msgs(queue, 10, 30) == [message]
    wall[0] -= 3600
    clock[0] += 29
    assert sqs._collect_msgs(queue, 10, 30) == []
    clock[0] += 2
    assert sqs._collect_msgs(queue, 10, 30) == [message]


def test_install_when_called_gives_the_queues_a_steady_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqs, "time", time)
    steady_time.install()
    assert isinstance(sqs.time, SteadyTime)
    assert abs(sqs.time.time() - time.time()) < 5
