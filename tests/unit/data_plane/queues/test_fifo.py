"""A FIFO queue on an injected clock, and against a plain model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from harness.data_plane.queues.errors import SqsError
from harness.data_plane.queues.fifo import FifoQueue
from harness.data_plane.queues.message import Extra
from tests.depth import examples
from tests.unit.data_plane.queues.support import Held, kept


class HeldFifo(Held):
    """Bodies are sent to the group that their first letter names, each with itself as deduplication id."""

    def __init__(self, **config: Any) -> None:
        super().__init__(FifoQueue, fifo=True, **config)
        assert isinstance(self.queue, FifoQueue)
        self.fifo = self.queue

    def send(self, *bodies: str, **_: Any) -> None:
        for body in bodies:
            self.send_once(body, body[0], body)

    def send_once(self, body: str, group: str, deduplication_id: str) -> int | None:
        """The sequence number of the earlier message when this one is a duplicate."""
        earlier = self.fifo.earlier(self.now, group, deduplication_id)
        if earlier is None:
            self.fifo.send_in_group(self.now, kept(body), body, group, deduplication_id, Extra())
        return None if earlier is None else earlier[1]


def test_group_is_received_in_order_and_blocked_while_in_flight() -> None:
    held = HeldFifo()
    held.send("a1", "b1", "a2", "a3")
    first = held.receive(2)
    assert list(first) == ["a1", "a2"]
    assert list(held.receive()) == ["b1"]
    assert held.receive() == {}
    held.delete(first["a2"])
    assert held.receive() == {}
    held.delete(first["a1"])
    assert list(held.receive()) == ["a3"]


def test_one_receive_takes_as_many_of_a_group_as_it_can_and_goes_on_with_the_next() -> None:
    held = HeldFifo()
    held.send("a1", "b1", "a2", "b2", "c1")
    assert list(held.receive(4)) == ["a1", "a2", "b1", "b2"]


@pytest.mark.parametrize(("position", "received"), [(0, []), (1, ["a1"]), (2, ["a1", "a2"])])
def test_message_still_in_flight_blocks_those_after_it_but_not_those_before(position: int, received: list[str]) -> None:
    held = HeldFifo(visibility=1_000)
    held.send("a1", "a2", "a3")
    handles = list(held.receive().values())
    held.hide(handles[position], 4_000)
    held.now += 2_500
    held.send("a4")
    assert list(held.receive()) == received


def test_returned_messages_keep_their_order() -> None:
    held = HeldFifo()
    held.send("a1", "a2", "a3")
    handles = held.receive()
    for body in ("a3", "a1", "a2"):
        held.hide(handles[body], 0)
    assert list(held.receive()) == ["a1", "a2", "a3"]


def test_expired_handle_is_refused_and_one_of_a_deleted_message_is_not() -> None:
    held = HeldFifo(visibility=1_000)
    held.send("a1", "b1")
    handles = held.receive()
    held.delete(handles["b1"])
    held.delete(handles["b1"])
    held.now += 1_000
    for use in (held.delete, lambda h: held.hide(h, 5)):
        with pytest.raises(SqsError, match="The receipt handle has expired"):
            use(handles["a1"])
    again = held.receive()
    with pytest.raises(SqsError, match="The receipt handle has expired"):
        held.delete(handles["a1"])
    held.delete(again["a1"])
    assert held.counts() == (0, 0, 0)


def test_same_deduplication_id_is_taken_once_in_five_minutes_also_after_deletion() -> None:
    held = HeldFifo()
    assert held.send_once("a", "g", "d") is None
    held.delete(held.receive()["a"])
    held.send_once("b", "other group", "d")
    first = held.send_once("b", "other group", "d")
    assert first is not None
    held.now += 299_999
    assert held.send_once("c", "g", "d") == first
    assert held.counts() == (0, 0, 0)
    held.now += 1
    assert held.send_once("d", "g", "d") is None
    assert list(held.receive()) == ["d"]


def test_purge_forgets_deduplication_ids() -> None:
    held = HeldFifo()
    held.send_once("a", "g", "d")
    held.queue.purge()
    assert held.send_once("b", "g", "d") is None
    assert list(held.receive()) == ["b"]


def test_deduplication_by_group_and_what_was_remembered_before_the_change() -> None:
    held = HeldFifo()
    held.send_once("a", "g", "before")
    held.queue.reconfigure(held.now, replace(held.queue.config, group_deduplication=True))
    assert held.send_once("b", "other", "before") is not None
    assert held.send_once("c", "g", "after") is None
    assert held.send_once("d", "other", "after") is None
    assert held.send_once("e", "other", "after") is not None
    assert held.counts() == (3, 0, 0)


def test_sequence_numbers_grow_and_have_twenty_digits() -> None:
    held = HeldFifo()
    held.send("a1", "b1", "a2")
    received = held.queue.receive(held.now, 10)
    numbers = [extra.sequence for _, extra in held.queue.journal.contents(received) if extra is not None]
    assert all(n is not None and len(str(n)) == 20 for n in numbers)
    by_body = dict(zip(["a1", "a2", "b1"], numbers, strict=True))
    assert sorted(by_body, key=lambda body: by_body[body] or 0) == ["a1", "b1", "a2"]


def test_receive_attempt_is_repeated_until_something_changes() -> None:
    held = HeldFifo(visibility=30_000)
    held.send("a1", "a2", "b1")

    def attempt(name: str) -> list[str]:
        return [held.queue.handle(m) for m in held.fifo.receive_attempt(held.now, name, 2)]

    first = attempt("x")
    held.now += 20_000
    assert attempt("x") == first
    # Its visibility began anew.
    held.now += 20_000
    assert held.counts() == (1, 2, 0)
    assert len(attempt("y")) == 1
    held.delete(first[0])
    assert attempt("x") == []
    held.now += 300_000
    assert len(attempt("y")) == 2


def test_delay_holds_for_the_queue_and_a_change_also_for_messages_already_sent() -> None:
    held = HeldFifo(delay=10_000)
    held.send("a1", "a2", "b1")
    assert held.counts() == (0, 0, 3)
    held.now += 5_000
    held.send("a3")
    held.queue.reconfigure(held.now, replace(held.queue.config, delay=5_000))
    assert held.counts() == (3, 0, 1)
    assert list(held.receive()) == ["a1", "a2", "b1"]
    held.now += 5_000
    assert held.counts() == (1, 3, 0)


def test_message_received_too_often_makes_way_for_the_rest_of_its_group() -> None:
    held = HeldFifo(receives=1, visibility=1_000)
    held.send("a1")
    held.receive()
    held.send("a2")
    held.now += 1_000
    assert list(held.receive()) == ["a2"]
    assert held.dead == ["a1"]
    held.now += 1_000
    assert held.receive() == {}
    assert held.dead == ["a1", "a2"]
    assert held.counts() == (0, 0, 0)
    assert held.fifo._groups == {}


def test_retention_lets_the_rest_of_the_group_through() -> None:
    held = HeldFifo(retention=60_000)
    held.send("a1")
    held.now += 60_000
    held.send("a2")
    assert list(held.receive()) == ["a2"]


def test_groups_without_messages_are_forgotten() -> None:
    held = HeldFifo()
    for number in range(100):
        held.send_once(f"m{number}", f"group {number}", f"m{number}")
    while handles := held.receive():
        for handle in handles.values():
            held.delete(handle)
    assert held.fifo._groups == {}
    assert not held.fifo._open


@dataclass
class Modelled:
    body: str
    group: str
    visible: int
    in_flight: bool = False
    receives: int = 0
    handle: str = ""


class FifoMachine(RuleBasedStateMachine):
    """Every group's messages leave in order; what is received is a prefix of what its group still has."""

    handles = Bundle("handles")

    @initialize(visibility=st.integers(1, 20), receives=st.none() | st.integers(1, 3), delay=st.sampled_from([0, 0, 5]))
    def begin(self, visibility: int, receives: int | None, delay: int) -> None:
        self.held = HeldFifo(visibility=visibility, receives=receives, delay=delay)
        self.visibility, self.receives, self.delay = visibility, receives, delay
        self.messages: list[Modelled] = []
        self.sent = 0

    def _settle(self) -> None:
        for message in self.messages:
            if message.visible <= self.held.now:
                message.in_flight = False

    @rule(group=st.sampled_from("abc"))
    def send(self, group: str) -> None:
        self.sent += 1
        body = f"{group}{self.sent}"
        self.held.send(body)
        self.messages.append(Modelled(body, group, self.held.now + self.delay))

    @rule(target=handles, count=st.integers(1, 6), visibility=st.none() | st.integers(0, 20))
    def receive(self, count: int, visibility: int | None) -> object:
        self._settle()
        now = self.held.now
        already_dead = set(self.held.dead)
        got = self.held.receive(count, visibility)
        dead = set(self.held.dead) - already_dead
        receivable: dict[str, list[Modelled]] = {}
        for group in "abc":
            prefix = []
            for message in (m for m in self.messages if m.group == group):
                if message.visible > now:
                    break
                prefix.append(message)
            receivable[group] = prefix
            taken = [m for m in prefix if m.body in got or m.body in dead]
            assert taken == prefix[: len(taken)]
            assert [m.body for m in taken if m.body in got] == [b for b in got if b[0] == group]
            if self.receives is not None:
                assert all((m.receives >= self.receives) == (m.body in dead) for m in taken)
        everything = [m for prefix in receivable.values() for m in prefix]
        assert set(got) | dead <= {m.body for m in everything}
        live = [m for m in everything if self.receives is None or m.receives < self.receives]
        assert len(got) == min(count, len(live))
        self.messages = [m for m in self.messages if m.body not in dead]
        hidden = self.visibility if visibility is None else visibility
        for message in self.messages:
            if message.body in got:
                message.receives += 1
                message.visible = now + hidden
                message.in_flight = hidden > 0
                message.handle = got[message.body]
        return multiple(*got.values())

    @rule(handle=handles)
    def delete(self, handle: str) -> None:
        self._settle()
        message = next((m for m in self.messages if m.handle == handle), None)
        try:
            self.held.delete(handle)
        except SqsError as error:
            assert error.code == "InvalidParameterValue"
            assert message is None or not message.in_flight
            return
        if message is not None:
            assert message.in_flight
            self.messages.remove(message)

    @rule(handle=handles, visibility=st.integers(0, 30))
    def hide(self, handle: str, visibility: int) -> None:
        self._settle()
        message = next((m for m in self.messages if m.handle == handle), None)
        try:
            self.held.hide(handle, visibility)
        except SqsError:
            assert message is None or not message.in_flight
            return
        assert message is not None and message.in_flight
        message.visible = self.held.now + visibility
        message.in_flight = visibility > 0

    @rule(milliseconds=st.integers(1, 30))
    def wait(self, milliseconds: int) -> None:
        self.held.now += milliseconds

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "held"):
            return
        self._settle()
        now = self.held.now
        assert self.held.counts() == (
            sum(m.visible <= now for m in self.messages),
            sum(m.in_flight for m in self.messages),
            sum(m.visible > now and not m.in_flight for m in self.messages),
        )


FifoMachine.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
TestFifoMachine = FifoMachine.TestCase
