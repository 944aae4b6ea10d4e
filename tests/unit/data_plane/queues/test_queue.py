"""A standard queue on an injected clock."""

from __future__ import annotations

import time

import pytest

from harness.data_plane.queues.errors import SqsError
from harness.data_plane.queues.queue import QueueConfig
from tests.unit.data_plane.queues.support import Held


def test_messages_are_received_once_in_order_and_come_back_when_their_visibility_ends() -> None:
    held = Held(visibility=30_000)
    held.send("a", "b", "c")
    assert list(held.receive(2)) == ["a", "b"]
    assert list(held.receive()) == ["c"]
    assert held.receive() == {}
    assert held.counts() == (0, 3, 0)
    held.now += 29_999
    assert held.receive() == {}
    held.now += 1
    assert held.counts() == (3, 0, 0)
    assert list(held.receive()) == ["a", "b", "c"]


def test_what_comes_back_is_received_before_what_still_waits() -> None:
    held = Held()
    held.send(*"abcd")
    held.receive(2, visibility=1_000)
    held.now += 1_000
    assert list(held.receive(3)) == ["a", "b", "c"]


def test_deleted_message_is_gone_wherever_it_was_and_deleting_again_is_no_error() -> None:
    held = Held(visibility=1_000)
    held.send("in flight", "visible again")
    handles = held.receive()
    held.delete(handles["in flight"])
    held.delete(handles["in flight"])
    held.now += 1_000
    held.delete(handles["visible again"])
    assert held.counts() == (0, 0, 0)
    assert held.receive() == {}
    held.send("next")
    assert list(held.receive()) == ["next"]


def test_older_receipt_handle_still_deletes() -> None:
    held = Held(visibility=1_000)
    held.send("a")
    old = held.receive()["a"]
    held.now += 1_000
    new = held.receive()["a"]
    assert old != new
    held.delete(old)
    assert held.counts() == (0, 0, 0)
    held.delete(new)
    for handle in (old, new):
        with pytest.raises(SqsError, match="not available for visibility timeout change"):
            held.hide(handle, 0)


def test_older_receipt_handle_still_changes_the_visibility() -> None:
    held = Held()
    held.send("a")
    old = held.receive(visibility=0)["a"]
    held.receive()
    held.hide(old, 0)
    assert held.counts() == (1, 0, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda h: "",
        lambda h: "x",
        lambda h: h + "1" * 50,
        lambda h: h.replace(".", "-"),
        lambda h: h.rsplit(".", 1)[0],
        lambda h: h + ".1",
        lambda h: "AQEB" + h,
        lambda h: h[:-1] + "-1",
        lambda h: h[:-1] + "١",
        lambda h: h[:-1] + " 1",
        lambda h: Held().queue.token + "." + h.split(".", 1)[1],
    ],
)
def test_receipt_handle_that_the_queue_never_gave_is_refused(change: object) -> None:
    held = Held()
    held.send("a")
    handle = change(held.receive()["a"])  # type: ignore[operator]
    for use in (held.delete, lambda h: held.hide(h, 5)):
        with pytest.raises(SqsError) as caught:
            use(handle)
        assert caught.value.shape == "ReceiptHandleIsInvalid"
    assert held.counts() == (0, 1, 0)


def test_visibility_is_extended_ended_and_begun_anew() -> None:
    held = Held(visibility=10_000)
    held.send("a", "b")
    handles = held.receive()
    held.hide(handles["a"], 60_000)
    held.hide(handles["b"], 0)
    assert held.counts() == (1, 1, 0)
    handles |= held.receive()
    held.now += 10_000
    assert held.counts() == (1, 1, 0)
    # Visible again but received by nobody else: its latest handle still works.
    held.hide(handles["b"], 5_000)
    assert held.counts() == (0, 2, 0)
    assert held.receive() == {}
    held.now += 5_000
    assert list(held.receive()) == ["b"]
    held.now += 45_000
    assert list(held.receive()) == ["a", "b"]


def test_hidden_again_and_back_again_several_times_it_is_still_one_message() -> None:
    held = Held(visibility=1_000)
    held.send("a")
    handle = held.receive()["a"]
    for _ in range(3):
        held.now += 1_000
        assert held.counts() == (1, 0, 0)
        held.hide(handle, 1_000)
        assert held.counts() == (0, 1, 0)
    held.now += 1_000
    assert list(held.receive()) == ["a"]
    assert held.receive() == {}


def test_received_with_no_visibility_timeout_it_is_visible_at_once() -> None:
    held = Held()
    held.send("a", "b")
    assert list(held.receive(visibility=0)) == ["a", "b"]
    assert held.counts() == (2, 0, 0)
    handle = held.receive(visibility=0)["b"]
    held.delete(handle)
    assert list(held.receive()) == ["a"]


def test_delays_of_queue_and_message() -> None:
    held = Held(delay=5_000)
    held.send("by queue")
    held.send("by message", delay=1_000)
    held.send("at once", delay=0)
    assert held.counts() == (1, 0, 2)
    assert held.queue.next_event() == held.now + 1_000
    assert list(held.receive()) == ["at once"]
    held.now += 1_000
    assert list(held.receive()) == ["by message"]
    held.queue.reconfigure(held.now, QueueConfig(delay=0))
    assert held.counts() == (0, 2, 1)
    held.now += 4_000
    assert list(held.receive()) == ["by queue"]


def test_retention_ends_visible_delayed_and_returned_messages() -> None:
    held = Held(retention=60_000, visibility=1_000)
    held.send("returned")
    held.receive()
    held.send("visible")
    held.now += 30_000
    held.send("later")
    held.now += 29_999
    assert held.counts() == (3, 0, 0)
    held.now += 1
    assert held.counts() == (1, 0, 0)
    assert list(held.receive()) == ["later"]
    held.send("delayed too long", delay=70_000)
    held.now += 70_000
    assert held.receive() == {}
    assert held.counts() == (0, 0, 0)


def test_retention_counts_from_when_a_moved_message_was_sent() -> None:
    held = Held(retention=60_000)
    held.send("fresh")
    held.send("old", sent=held.now - 59_000)
    held.now += 1_000
    assert list(held.receive()) == ["fresh"]
    assert held.counts() == (0, 1, 0)


def test_message_is_dead_lettered_when_it_would_be_received_once_too_often() -> None:
    held = Held(receives=2, visibility=1_000)
    held.send("a", "b")
    for _ in range(2):
        assert list(held.receive()) == ["a", "b"]
        held.now += 1_000
    held.send("c")
    assert list(held.receive(1)) == ["c"]
    assert held.dead == ["a", "b"]
    assert held.counts() == (0, 1, 0)


def test_message_stays_where_there_is_no_dead_letter_queue() -> None:
    held = Held(receives=1, visibility=1_000)
    held.accepts_dead = False
    held.send("a")
    for receive in range(1, 4):
        message = held.queue.receive(held.now, 1)[0]
        assert message.receives == receive
        held.now += 1_000


def test_limit_of_messages_in_flight() -> None:
    held = Held(limit=3, visibility=1_000)
    held.send(*"abcde")
    handles = held.receive(2)
    assert not held.queue.over_limit(held.now)
    assert list(held.receive(10)) == ["c"]
    assert held.queue.over_limit(held.now)
    assert held.receive() == {}
    held.delete(handles["a"])
    assert list(held.receive()) == ["d"]
    held.now += 1_000
    assert not held.queue.over_limit(held.now)
    assert list(held.receive()) == ["b", "c", "d"]


def test_purge_drops_everything_and_handles_from_before_delete_nothing() -> None:
    held = Held(visibility=1_000)
    held.send("flying")
    handle = held.receive()["flying"]
    held.send("visible")
    held.send("delayed", delay=5_000)
    held.queue.purge()
    assert held.counts() == (0, 0, 0)
    held.send("new")
    held.delete(handle)
    held.now += 10_000
    assert list(held.receive()) == ["new"]


def test_operations_cost_the_same_with_many_messages_waiting_delayed_and_in_flight() -> None:
    """A walk costs fifty times as much with fifty times as many messages."""

    def seconds(waiting: int) -> float:
        held = Held(visibility=3_600_000)
        for number in range(waiting):
            held.send(str(number))
            held.send(str(number), delay=900_000)
            if number % 3 == 0:
                held.queue.receive(held.now, 1)
                held.now += 1
        best = 1e9
        for _ in range(20):
            began = time.process_time()
            for _ in range(50):
                held.send("a")
                handles = held.receive(1)
                held.counts()
                held.hide(next(iter(handles.values())), 500)
                held.delete(next(iter(handles.values())))
                held.queue.next_event()
            best = min(best, time.process_time() - began)
        return best

    assert seconds(50_000) < 5 * seconds(1_000) + 0.001
