"""A standard queue against a plain model: a list that is walked for everything."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from harness.data_plane.queues.errors import SqsError
from tests.depth import examples
from tests.unit.data_plane.queues.support import Held

RETENTION = 100


@dataclass
class Modelled:
    body: str
    sent: int
    visible: int
    receives: int = 0
    in_flight: bool = False
    handles: list[str] = field(default_factory=list)


class StandardQueue(RuleBasedStateMachine):
    handles = Bundle("handles")

    @initialize(visibility=st.integers(1, 20), receives=st.none() | st.integers(1, 3), limit=st.integers(1, 8))
    def begin(self, visibility: int, receives: int | None, limit: int) -> None:
        self.held = Held(visibility=visibility, retention=RETENTION, receives=receives, limit=limit)
        self.visibility, self.receives, self.limit = visibility, receives, limit
        self.messages: list[Modelled] = []
        self.dead: list[str] = []
        self.sent = 0

    def _settle(self) -> None:
        now = self.held.now
        for message in self.messages:
            if message.in_flight and message.visible <= now:
                message.in_flight = False
        self.messages = [m for m in self.messages if m.in_flight or m.visible > now or m.sent > now - RETENTION]

    def _flying(self) -> list[Modelled]:
        return [m for m in self.messages if m.in_flight]

    @rule(delay=st.sampled_from([0, 0, 0, 7, 150]))
    def send(self, delay: int) -> None:
        self.sent += 1
        body = f"m{self.sent}"
        self.held.send(body, delay=delay)
        self.messages.append(Modelled(body, self.held.now, self.held.now + delay))

    @rule(target=handles, count=st.integers(1, 10), visibility=st.none() | st.integers(0, 30))
    def receive(self, count: int, visibility: int | None) -> object:
        self._settle()
        got = self.held.receive(count, visibility)
        now = self.held.now
        visible = [m for m in self.messages if not m.in_flight and m.visible <= now]
        room = min(count, self.limit - len(self._flying()))
        exhausted = [m for m in visible if self.receives is not None and m.receives >= self.receives]
        dead = {body for body in self.held.dead if body not in self.dead}
        assert dead <= {m.body for m in exhausted}
        self.dead = list(self.held.dead)
        assert len(self.dead) == len(set(self.dead))
        self.messages = [m for m in self.messages if m.body not in dead]
        receivable = {m.body: m for m in visible if m not in exhausted}
        assert set(got) <= set(receivable)
        assert len(got) == min(room, len(receivable))
        hidden = self.visibility if visibility is None else visibility
        for body, handle in got.items():
            message = receivable[body]
            message.receives += 1
            message.in_flight = hidden > 0
            message.visible = now + hidden
            message.handles.append(handle)
        return multiple(*got.values())

    @rule(handle=handles)
    def delete(self, handle: str) -> None:
        self._settle()
        self.held.delete(handle)
        self.messages = [m for m in self.messages if handle not in m.handles]

    @rule(handle=consumes(handles), visibility=st.integers(0, 30))
    def hide(self, handle: str, visibility: int) -> None:
        self._settle()
        message = next((m for m in self.messages if handle in m.handles), None)
        try:
            self.held.hide(handle, visibility)
        except SqsError as error:
            assert message is None and error.code == "InvalidParameterValue"
            return
        if message is not None:
            message.visible = self.held.now + visibility
            message.in_flight = visibility > 0

    @rule(milliseconds=st.integers(1, 40))
    def wait(self, milliseconds: int) -> None:
        self.held.now += milliseconds

    @rule()
    def purge(self) -> None:
        if self.sent % 5 == 0:
            self.held.queue.purge()
            self.messages = []

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "held"):
            return
        self._settle()
        visible, in_flight, delayed = self.held.counts()
        now = self.held.now
        assert in_flight == len(self._flying())
        assert delayed == sum(not m.in_flight and m.visible > now for m in self.messages)
        assert visible == sum(not m.in_flight and m.visible <= now for m in self.messages)
        due = [m.visible for m in self.messages if m.in_flight or m.visible > now]
        assert self.held.queue.next_event() == min(due, default=None)


StandardQueue.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
TestStandardQueue = StandardQueue.TestCase
