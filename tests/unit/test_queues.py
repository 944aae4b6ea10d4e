"""Reading a queue takes nothing out of it, gives each message once, and ends."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness.queues import peek


class Scripted:
    """Answers receives from a list, and remembers which receipts were made visible."""

    def __init__(self, answers: list[list[tuple[str, str]]], refusal: str = "") -> None:
        self._answers = iter(answers)
        self._refusal = refusal
        self.shown: list[str] = []
        self.receives = 0

    def receive_message(self, **_: Any) -> dict[str, Any]:
        self.receives += 1
        found = next(self._answers, [])
        return {"Messages": [{"MessageId": i, "ReceiptHandle": h, "Body": i} for i, h in found]} if found else {}

    def change_message_visibility(self, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        assert VisibilityTimeout == 0
        self.shown.append(ReceiptHandle)
        if self._refusal:
            raise ClientError({"Error": {"Code": self._refusal, "Message": ""}}, "ChangeMessageVisibility")


def test_peek_when_a_queue_is_not_live_asks_all_of_its_servers() -> None:
    waited: list[int] = []

    class Waiting(Scripted):
        def receive_message(self, **given: Any) -> dict[str, Any]:
            waited.append(given["WaitTimeSeconds"])
            return super().receive_message(**given)

    assert [m["MessageId"] for m in peek(Waiting([[("a", "a1")]]), "queue", live=False)] == ["a"]
    assert [m["MessageId"] for m in peek(Waiting([[("a", "a1")]]), "queue")] == ["a"]
    assert [bool(seconds) for seconds in waited] == [True, True, False, False]


def identities(sqs: Scripted) -> list[str]:
    return [message["MessageId"] for message in peek(sqs, "queue")]


def test_peek_when_a_message_comes_twice_gives_it_once_and_shows_its_newest_receipt() -> None:
    sqs = Scripted([[("a", "a1"), ("b", "b1")], [("a", "a2"), ("c", "c1"), ("c", "c2")]])
    assert identities(sqs) == ["a", "b", "c"]
    assert sqs.shown == ["a2", "b1", "c2"]


def test_peek_when_only_seen_messages_come_ends() -> None:
    sqs = Scripted([[("a", str(n))] for n in range(1000)])
    assert identities(sqs) == ["a"]
    assert sqs.receives < 10


@pytest.mark.parametrize(
    "code", ["ReceiptHandleIsInvalid", "InvalidParameterValue", "AWS.SimpleQueueService.MessageNotInflight"]
)
def test_peek_when_a_receipt_has_run_out_shows_the_others_all_the_same(code: str) -> None:
    sqs = Scripted([[("a", "a1"), ("b", "b1")]], code)
    assert identities(sqs) == ["a", "b"]
    assert sqs.shown == ["a1", "b1"]


def test_peek_when_visibility_cannot_be_changed_for_another_reason_raises() -> None:
    with pytest.raises(ClientError):
        identities(Scripted([[("a", "a1")]], "AccessDenied"))
