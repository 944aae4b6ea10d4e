"""Looking in the right order, and auditing only what has come to rest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import EnvironmentProblem
from harness.observation.rest import AUDITS, audited_at_rest, read_work
from harness.stages import STAGES
from tests.unit.observation.support import activity, depths, totals


class FakeEngine:
    """Notes the order in which it is asked; every queue holds `held` messages."""

    def __init__(self, held: int = 0, queues: tuple[str, ...] = ("own",)) -> None:
        self.asked: list[str] = []
        self.held = held
        self.queues = queues

    def activity(self) -> Any:
        self.asked.append("activity")
        return activity(1.0, queues=self.queues)

    def client(self, service: str) -> Any:
        assert service == "sqs"
        return self

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> Any:
        self.asked.append(QueueUrl)
        return {"Attributes": dict.fromkeys(AttributeNames, str(self.held))}


DEPLOYMENT: Any = SimpleNamespace(output=lambda name: name)


def see(engine: Any) -> Any:
    return read_work(engine, DEPLOYMENT, totals(), lambda _: True, before=depths(), at=5.0)


def test_look_asks_the_service_before_any_queue_and_sources_before_dead_letter_queues() -> None:
    engine = FakeEngine()
    see(engine)
    assert engine.asked[0] == "activity"
    queues = [s.queue for s in STAGES if s.queue]
    assert engine.asked[1:] == [*queues, *(s.dlq for s in STAGES), "own"]


def test_look_when_messages_lie_in_any_queue_sees_them() -> None:
    found = see(FakeEngine(held=1))
    assert found.internal == 3
    assert {depth.total for depth in found.depths.queues.values()} == {3}
    assert not found.at_rest
    assert see(FakeEngine()).at_rest


def test_audit_when_something_moved_meanwhile_is_made_again_after_settling_again() -> None:
    said: list[str] = []
    answers = iter([False, False, True])

    def audit() -> int:
        said.append("audit")
        return said.count("audit")

    found = audited_at_rest(lambda: said.append("settle"), audit, lambda: next(answers))
    assert found == 3
    assert said == ["settle", "audit"] * 3


def test_audit_when_it_never_comes_to_rest_gives_no_verdict() -> None:
    made: list[int] = []
    with pytest.raises(EnvironmentProblem, match="no verdict"):
        audited_at_rest(lambda: None, lambda: made.append(1), lambda: False)
    assert len(made) == AUDITS
