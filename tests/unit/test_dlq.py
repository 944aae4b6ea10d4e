"""Dead messages of every stage are read, and sent back without losing one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from handlers.record_batch import RecordBatch, RowError, encode
from harness.dlq import DeadLetterMessage, Redriven, counts, messages, read_message, redrive, refusals, stage_named
from harness.engines.base import Deployment
from harness.errors import EngineError, UsageError
from harness.stages import STAGES

DEPLOYMENT = Deployment("stack", {name: name for s in STAGES for name in (s.queue, s.dlq) if name}, {})
QUEUE_STAGES = ("insert", "process", "update")


class FakeSqs:
    """Queues as lists; a received message stays until it is deleted."""

    def __init__(self, accepts: bool = True) -> None:
        self.queues: dict[str, list[dict[str, Any]]] = {}
        self.hidden: set[str] = set()
        self.calls: list[str] = []
        self.extra: list[dict[str, Any]] = []
        self.comes_back = False
        self._accepts = accepts

    def put(self, url: str, *bodies: str) -> None:
        queue = self.queues.setdefault(url, [])
        for body in bodies:
            identity = f"{url}-{len(queue)}"
            queue.append({"MessageId": identity, "ReceiptHandle": identity, "Body": body})

    def bodies(self, url: str) -> list[str]:
        return [message["Body"] for message in self.queues.get(url, [])]

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(self.queues.get(QueueUrl, [])))}}

    def receive_message(self, QueueUrl: str, MaxNumberOfMessages: int, **_: Any) -> dict[str, Any]:
        found = [m for m in self.queues.get(QueueUrl, []) if m["MessageId"] not in self.hidden][:MaxNumberOfMessages]
        self.hidden |= {message["MessageId"] for message in found}
        return {"Messages": found} if found else {}

    def send_message(self, QueueUrl: str, MessageBody: str, **extra: Any) -> dict[str, Any]:
        self.calls.append(f"send {MessageBody}")
        self.extra.append(extra)
        if not self._accepts:
            return {}
        self.put(QueueUrl, MessageBody)
        return {"MessageId": "sent"}

    def delete_message(self, QueueUrl: str, ReceiptHandle: str) -> None:
        [message] = [m for m in self.queues[QueueUrl] if m["ReceiptHandle"] == ReceiptHandle]
        self.calls.append(f"delete {message['Body']}")
        self.queues[QueueUrl].remove(message)
        if self.comes_back:
            self.queues[QueueUrl].append({**message, "MessageId": f"{message['MessageId']}+"})

    def change_message_visibility(self, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        assert VisibilityTimeout == 0
        self.hidden.discard(ReceiptHandle)


def message(body: str, receives: int = 3) -> dict[str, Any]:
    return {"MessageId": "m1", "Body": body, "Attributes": {"ApproximateReceiveCount": str(receives)}}


def batch(error: RowError | None = None) -> str:
    return encode(RecordBatch("0123456789abcdef", ("a", "b"), [[7, "x", "y"], [9, "p", "q"]], error=error))


@pytest.mark.parametrize("stage", QUEUE_STAGES)
def test_read_message_when_rows_were_refused_gives_rows_reason_and_detail(stage: str) -> None:
    letter = read_message(stage, message(batch(RowError(stage, "unknown_currency", "XXX"))))
    assert letter == DeadLetterMessage(stage, "m1", 3, "0123456789abcdef", (7, 9), "unknown_currency", "XXX")


@pytest.mark.parametrize("stage", QUEUE_STAGES)
def test_read_message_when_a_whole_message_failed_names_all_its_rows(stage: str) -> None:
    letter = read_message(stage, message(batch()))
    assert (letter.rows, letter.reason) == ((7, 9), "whole message")


@pytest.mark.parametrize("stage", QUEUE_STAGES)
@pytest.mark.parametrize("body", ["", "no JSON", "{}", '{"v":99}', "[]"])
def test_read_message_when_the_body_is_no_batch_says_so_with_its_size(stage: str, body: str) -> None:
    letter = read_message(stage, message(body))
    assert (letter.reason, letter.rows, letter.source_id) == ("not a record batch", (), "")
    assert f"{len(body)} bytes" in letter.detail


def test_read_message_when_ids_hold_control_characters_escapes_them() -> None:
    body = encode(RecordBatch("\x1b[2J", ("a",), [[1, "x"]]))
    letter = read_message("insert", {"MessageId": "\x07m", "Body": body})
    assert (letter.message_id, letter.source_id) == ("\\x07m", "\\x1b[2J")


def test_read_message_when_it_is_of_clean_names_objects_and_error() -> None:
    body = {
        "requestContext": {"condition": "RetriesExhausted"},
        "requestPayload": {"Records": [{"s3": {"object": {"key": "in/my.csv"}}}]},
        "responsePayload": {"errorType": "MemoryError", "errorMessage": "too much"},
    }
    letter = read_message("clean", message(json.dumps(body)))
    assert letter == DeadLetterMessage("clean", "m1", 3, "", (), "RetriesExhausted", "in/my.csv: MemoryError too much")


def test_read_message_when_clean_never_answered_names_the_object_alone() -> None:
    body = {
        "requestContext": {"condition": "EventAgeExceeded"},
        "requestPayload": {"Records": [{"s3": {"object": {"key": "my.csv"}}}]},
        "responsePayload": None,
    }
    letter = read_message("clean", message(json.dumps(body)))
    assert (letter.reason, letter.detail) == ("EventAgeExceeded", "my.csv:")


def test_read_message_when_it_is_of_capture_names_the_stream_records() -> None:
    body = {
        "requestContext": {"condition": "RetryAttemptsExhausted"},
        "DDBStreamBatchInfo": {"batchSize": 12, "startSequenceNumber": "100"},
    }
    letter = read_message("capture", message(json.dumps(body)))
    assert letter == DeadLetterMessage(
        "capture", "m1", 3, "", (), "RetryAttemptsExhausted", "12 stream records from 100"
    )


def test_read_message_when_attributes_are_missing_counts_no_receives() -> None:
    assert read_message("insert", {"MessageId": "m", "Body": batch()}).receives == 0


def test_letters_when_read_leave_every_message_visible() -> None:
    sqs = FakeSqs()
    sqs.put("InsertDlqUrl", *[batch()] * 25)
    found = list(messages(sqs, DEPLOYMENT, stage_named("insert")))
    assert len({letter.message_id for letter in found}) == 25
    assert len(sqs.bodies("InsertDlqUrl")) == 25
    assert sqs.hidden == set()


def test_letters_when_reading_stops_early_leave_every_message_visible() -> None:
    sqs = FakeSqs()
    sqs.put("InsertDlqUrl", *[batch()] * 25)
    reading = messages(sqs, DEPLOYMENT, stage_named("insert"))
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert sqs.hidden == set()


def test_counts_when_queues_have_letters_gives_them_by_stage() -> None:
    sqs = FakeSqs()
    sqs.put("ProcessDlqUrl", "a", "b")
    assert counts(sqs, DEPLOYMENT) == {"clean": 0, "insert": 0, "capture": 0, "process": 2, "update": 0}


@pytest.mark.parametrize(
    ("stage", "source", "target"),
    [
        ("insert", "InsertDlqUrl", "InsertQueueUrl"),
        ("process", "ProcessDlqUrl", "ProcessQueueUrl"),
        ("update", "UpdateDlqUrl", "FinishedQueueUrl"),
    ],
)
def test_redrive_when_letters_wait_deletes_each_only_after_sending_it(stage: str, source: str, target: str) -> None:
    sqs = FakeSqs()
    sqs.put(source, "one", "two")
    assert redrive(sqs, DEPLOYMENT, stage_named(stage)) == Redriven(2, 2)
    assert sqs.calls == ["send one", "delete one", "send two", "delete two"]
    assert (sqs.bodies(source), sqs.bodies(target)) == ([], ["one", "two"])


def test_redrive_when_a_copy_is_not_accepted_deletes_nothing() -> None:
    sqs = FakeSqs(accepts=False)
    sqs.put("InsertDlqUrl", "one", "two")
    with pytest.raises(EngineError, match="InsertQueueUrl did not take message InsertDlqUrl-0"):
        redrive(sqs, DEPLOYMENT, stage_named("insert"))
    assert sqs.calls == ["send one"]
    assert sqs.bodies("InsertDlqUrl") == ["one", "two"]
    assert sqs.hidden == set()


def test_redrive_when_letters_come_back_at_once_ends() -> None:
    sqs = FakeSqs()
    sqs.comes_back = True
    sqs.put("InsertDlqUrl", "one", "two")
    assert redrive(sqs, DEPLOYMENT, stage_named("insert")).moved == 2
    assert len(sqs.bodies("InsertDlqUrl")) == 2


def test_redrive_when_there_are_no_letters_moves_none() -> None:
    assert redrive(FakeSqs(), DEPLOYMENT, stage_named("insert")) == Redriven(0, 0)


def test_redrive_when_some_messages_are_no_batches_sends_all_and_counts_them() -> None:
    sqs = FakeSqs()
    sqs.put("InsertDlqUrl", batch(), "hello", batch(), "{}")
    assert redrive(sqs, DEPLOYMENT, stage_named("insert")) == Redriven(4, 2)
    assert sqs.bodies("InsertQueueUrl") == [batch(), "hello", batch(), "{}"]


def test_redrive_when_a_message_has_attributes_sends_them_along() -> None:
    sqs = FakeSqs()
    sqs.put("InsertDlqUrl", batch())
    sqs.queues["InsertDlqUrl"][0]["MessageAttributes"] = {
        "why": {"DataType": "String", "StringValue": "x", "StringListValues": []}
    }
    redrive(sqs, DEPLOYMENT, stage_named("insert"))
    assert sqs.extra == [{"MessageAttributes": {"why": {"DataType": "String", "StringValue": "x"}}}]


@pytest.mark.parametrize(
    ("stage", "way_out"), [("clean", "upload the object again"), ("capture", "put the items again")]
)
def test_redrive_when_the_stage_has_no_queue_refuses_and_says_what_to_do(stage: str, way_out: str) -> None:
    sqs = FakeSqs()
    with pytest.raises(UsageError, match=f"messages of {stage}") as caught:
        redrive(sqs, DEPLOYMENT, stage_named(stage))
    assert caught.value.hint == way_out
    assert sqs.calls == []


def test_stage_named_when_unknown_names_the_stages_there_are() -> None:
    with pytest.raises(UsageError, match="no stage 'nope'") as caught:
        stage_named("nope")
    assert caught.value.hint == "stages: clean, insert, capture, process, update"


def test_letters_when_limited_read_no_more_and_leave_every_message_visible() -> None:
    sqs = FakeSqs()
    sqs.put("InsertDlqUrl", *["hello"] * 25)
    assert len(list(messages(sqs, DEPLOYMENT, stage_named("insert"), 3))) == 3
    assert sqs.hidden == set()


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        ClientError({"Error": {"Code": "QueueDoesNotExist", "Message": "no"}}, "ReceiveMessage"),
    ],
)
def test_refusals_when_a_client_raises_names_the_endpoint_and_the_way_out(error: Exception) -> None:
    with pytest.raises(EngineError, match="the engine at http://here") as caught, refusals("http://here"):
        raise error
    assert "harness deploy" in caught.value.hint
