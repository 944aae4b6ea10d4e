"""Process: rows that the rule or the finished queue refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from handlers import process
from handlers.business_rule import Rule
from handlers.record_batch import RowError, decode
from tests.unit.handlers.scripted_aws import (
    CONFIG,
    Context,
    FakeClient,
    accepting,
    batch,
    event,
    failures,
)

pytestmark = pytest.mark.usefixtures("as_deployed")


def test_process_when_a_row_is_poisoned_passes_on_the_others_and_sends_it_alone() -> None:
    sqs = FakeClient(accepting)
    rows = batch(1, 2, 3)
    rows.rows[1][2] = "much"
    answer = process.run(event(rows), sqs, CONFIG, Context())
    assert failures(answer) == []
    passed, alone = sqs.sent()
    assert passed.columns[-3:] == ("_amount_minor", "_amount_base", "_risk_band")
    assert [row[0] for row in passed.rows] == [1, 3]
    assert passed.rows[0][-3:] == ["100", "1.00", "low"]
    assert alone.error is not None
    assert (alone.rows[0][0], alone.error.reason, alone.columns) == (2, "amount_not_a_number", rows.columns)


def test_process_when_the_finished_queue_refuses_fails_the_message() -> None:
    def refusing(_: str, request: dict[str, Any]) -> dict[str, Any]:
        return {"Failed": [{"Id": e["Id"], "SenderFault": True, "Code": "X"} for e in request["Entries"]]}

    answer = process.run(event(batch(1), batch(2)), FakeClient(refusing), CONFIG, Context())
    assert failures(answer) == ["m0", "m1"]


def refusing_cursed(_: str, request: dict[str, Any]) -> dict[str, Any]:
    failed = [e["Id"] for e in request["Entries"] if request["QueueUrl"] == "finished" and "cursed" in e["MessageBody"]]
    return {"Failed": [{"Id": i, "SenderFault": True, "Code": "InvalidMessageContents"} for i in failed]}


def test_process_when_the_finished_queue_refuses_a_row_sends_just_that_row_alone() -> None:
    sqs = FakeClient(refusing_cursed)
    rows = batch(*range(1, 41))
    rows.rows[16][1] = "cursed"
    answer = process.run(event(rows, batch(41)), sqs, CONFIG, Context())
    assert failures(answer) == []
    passed = [
        row[0]
        for _, request in sqs.calls
        for entry in request["Entries"]
        if request["QueueUrl"] == "finished" and "cursed" not in entry["MessageBody"]
        for row in decode(entry["MessageBody"]).rows
    ]
    assert sorted(passed) == [row for row in range(1, 42) if row != 17]
    alone = sqs.sent()[-1]
    assert alone.error is not None
    assert (alone.rows, alone.error.reason) == ([rows.rows[16]], "refused_by_queue")


def test_process_when_the_rule_fails_on_a_row_passes_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def rule(cells: Sequence[Any]) -> tuple[str, ...]:
        if cells[0] == "id2":
            raise ZeroDivisionError
        return ()

    monkeypatch.setattr(process, "rule_for", lambda _: Rule((), rule))
    sqs = FakeClient(accepting)
    answer = process.run(event(batch(1, 2, 3)), sqs, CONFIG, Context())
    assert failures(answer) == []
    passed, alone = sqs.sent()
    assert [row[0] for row in passed.rows] == [1, 3]
    assert alone.error == RowError("process", "rule_failed", "ZeroDivisionError")


def test_process_when_one_message_is_late_and_another_refused_fails_the_late_one_alone() -> None:
    def answer(_: str, request: dict[str, Any]) -> dict[str, Any]:
        if request["QueueUrl"] == "process":
            return accepting(_, request)
        codes = {"0": "InternalFailure", "1": "InvalidMessageContents"}
        failed = [{"Id": e["Id"], "SenderFault": e["Id"] == "1", "Code": codes[e["Id"]]} for e in request["Entries"]]
        # Sent again by itself, the second message's row has the first place.
        if len(failed) == 1 and '"id2"' in request["Entries"][0]["MessageBody"]:
            failed = [{"Id": "0", "SenderFault": True, "Code": codes["1"]}]
        return {"Failed": failed}

    class Hurried(Context):
        def get_remaining_time_in_millis(self) -> int:
            return 0

    sqs = FakeClient(answer)
    assert failures(process.run(event(batch(1), batch(2)), sqs, CONFIG, Hurried())) == ["m0"]
    alone = [b for b in sqs.sent() if b.error]
    assert [(b.rows[0][0], b.error.reason) for b in alone if b.error] == [(2, "refused_by_queue")]
