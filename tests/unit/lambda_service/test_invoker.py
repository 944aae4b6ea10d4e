"""Asynchronous events: attempts, ages, destinations and dead letters, with a scripted pool and no waiting."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.lambda_service import invoker
from harness.lambda_service.aws import AwsCallError
from harness.lambda_service.environment import Outcome
from harness.lambda_service.invoker import AsyncInvoker, Destinations, embedded, is_json, queue_text
from harness.lambda_service.model import AsyncConfig, Function
from harness.lambda_service.pool import Throttled, UnknownFunction

QUEUE = "arn:aws:sqs:us-east-1:000000000000:{}"
GOOD = b'{"fine": true}'
BAD = b'{"errorType": "ValueError", "errorMessage": "no"}'


def function(**settings: Any) -> Function:
    return Function("f", "arn:f", "index.handler", "/code", "python3.13", 3, 128, {}, "/aws/lambda/f", **settings)


def outcome(payload: bytes, error: str = "") -> Outcome:
    return Outcome("", payload, error, 1.0, 1, None, 1)


class Pool:
    """Plays a script of outcomes and exceptions; remembers the request id of every attempt."""

    def __init__(self, *script: Outcome | Exception, off: bool = False) -> None:
        self.script = list(script)
        self.ids: list[str] = []
        self.off = off

    def switched_off(self, name: str) -> bool:
        return self.off

    async def invoke(self, name: str, payload: bytes, *, request_id: str) -> Outcome:
        self.ids.append(request_id)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


class Queues:
    """Takes the messages of every queue by name."""

    def __init__(self, refuse: str = "") -> None:
        self.sent: dict[str, dict[str, Any]] = {}
        self.refuse = refuse

    async def call(self, service: str, operation: str, payload: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        if operation == "GetQueueUrl":
            return {"QueueUrl": payload["QueueName"]}
        if payload["QueueUrl"] == self.refuse:
            raise AwsCallError(operation, "InvalidParameterValue", "too long", 400)
        self.sent[payload["QueueUrl"]] = dict(payload)
        return {}


def run(
    pool: Pool,
    payload: bytes = b'{"n": 1}',
    *,
    made: Function | None = None,
    queues: Queues | None = None,
    delays: tuple[float, ...] = (0.0, 0.0),
    **config: Any,
) -> tuple[str, Queues, Destinations]:
    queues = queues or Queues()
    destinations = Destinations(queues)  # type: ignore[arg-type]

    async def see_through() -> str:
        events = AsyncInvoker(pool, destinations, delays)  # type: ignore[arg-type]
        events.configure(AsyncConfig("f", **config))
        request_id = events.accept(made or function(), payload)
        while events.pending:
            await asyncio.sleep(0)
        return request_id

    return asyncio.run(see_through()), queues, destinations


def body(queues: Queues, name: str) -> Any:
    return json.loads(queues.sent[name]["MessageBody"])


def attributes(queues: Queues, name: str) -> dict[str, str]:
    return {k: v["StringValue"] for k, v in queues.sent[name]["MessageAttributes"].items()}


BOTH: dict[str, Any] = {"on_failure_arn": QUEUE.format("failed"), "on_success_arn": QUEUE.format("done")}


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_event_when_it_fails_for_good_is_one_request_of_as_many_attempts_as_configured(retries: int) -> None:
    pool = Pool(*[outcome(BAD, "ValueError")] * (retries + 1))
    request_id, queues, _ = run(pool, max_retries=retries, **BOTH)
    assert pool.ids == [request_id] * (retries + 1)
    record = body(queues, "failed")
    assert record["requestContext"]["requestId"] == request_id
    assert record["requestContext"]["approximateInvokeCount"] == retries + 1
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert set(queues.sent) == {"failed"}


def test_event_when_an_attempt_succeeds_goes_to_the_success_destination_only() -> None:
    pool = Pool(outcome(BAD, "ValueError"), outcome(GOOD))
    _, queues, _ = run(pool, made=function(dead_letter_arn=QUEUE.format("letters")), **BOTH)
    assert set(queues.sent) == {"done"}
    assert body(queues, "done")["responsePayload"] == {"fine": True}


def test_event_when_throttled_is_tried_again_without_using_up_its_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoker, "THROTTLE_BACKOFF_SECONDS", (0.0, 0.0))
    pool = Pool(Throttled("f"), Throttled("f"), outcome(BAD, "x"), Throttled("f"), outcome(GOOD))
    _, queues, _ = run(pool, max_retries=1, **BOTH)
    assert body(queues, "done")["requestContext"]["approximateInvokeCount"] == 2


def test_event_when_it_would_be_too_old_for_its_retry_ends_at_once_with_its_last_answer() -> None:
    pool = Pool(outcome(BAD, "ValueError"))
    _, queues, _ = run(pool, delays=(60.0, 120.0), max_age_seconds=60, **BOTH)
    record = body(queues, "failed")
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["responsePayload"]["errorType"] == "ValueError"


def test_event_when_throttled_until_too_old_is_dead_lettered_with_429(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoker, "THROTTLE_BACKOFF_SECONDS", (100.0, 100.0))
    _, queues, _ = run(Pool(Throttled("f")), made=function(dead_letter_arn=QUEUE.format("letters")), max_age_seconds=60)
    assert (attributes(queues, "letters")["ErrorCode"], attributes(queues, "letters")["ErrorMessage"]) == (
        "429",
        "Rate Exceeded.",
    )


def test_event_when_its_function_is_switched_off_ends_unrun() -> None:
    pool = Pool(off=True)
    _, queues, _ = run(pool, made=function(dead_letter_arn=QUEUE.format("letters")), **BOTH)
    assert pool.ids == []
    context = body(queues, "failed")["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("ZeroReservedConcurrency", 0)
    assert attributes(queues, "letters")["ErrorCode"] == "429"


def test_dead_letter_when_sent_is_the_event_byte_for_byte_with_the_requests_id() -> None:
    payload = '{"big": 12345678901234567890123, "f": 1.10,  "word": "Zoë"}'.encode()
    pool = Pool(outcome(BAD, "ValueError"))
    request_id, queues, _ = run(pool, payload, made=function(dead_letter_arn=QUEUE.format("letters")), max_retries=0)
    assert queues.sent["letters"]["MessageBody"] == payload.decode()
    assert attributes(queues, "letters") == {"RequestID": request_id, "ErrorCode": "200", "ErrorMessage": "no"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b'{"errorMessage": "", "errorType": "KeyError"}', "KeyError"),
        (b'{"errorMessage": "a\\u0000b"}', "a�b"),
        (b'{"errorMessage": "' + "ä".encode() * 1000 + b'"}', "ä" * 512),
        (b"[1]", "[1]"),
        (b"no json", "no json"),
        (b"", "ValueError"),
    ],
    ids=["empty", "refused by SQS", "over 1 KB", "array", "no JSON", "nothing"],
)
def test_dead_letter_when_the_error_is_odd_has_a_message_that_queues_take(answer: bytes, message: str) -> None:
    _, queues, _ = run(
        Pool(outcome(answer, "ValueError")), made=function(dead_letter_arn=QUEUE.format("letters")), max_retries=0
    )
    assert attributes(queues, "letters")["ErrorMessage"] == message


def test_record_when_the_answer_is_no_json_holds_it_as_a_string() -> None:
    # Python's json writes NaN, which is none.
    _, queues, _ = run(Pool(outcome(b'{"x": NaN}')), **BOTH)
    assert body(queues, "done")["responsePayload"] == '{"x": NaN}'


def test_record_when_a_queue_refuses_it_is_counted_and_the_other_arrives(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        _, queues, destinations = run(
            Pool(outcome(BAD, "ValueError")),
            made=function(dead_letter_arn=QUEUE.format("letters")),
            queues=Queues(refuse="letters"),
            max_retries=0,
            **BOTH,
        )
    assert (destinations.sent, destinations.lost) == (1, 1)
    assert "letters" in caplog.text
    assert set(queues.sent) == {"failed"}


def test_event_when_its_function_is_removed_meanwhile_ends_quietly() -> None:
    _, queues, _ = run(Pool(outcome(BAD, "x"), UnknownFunction("f")), **BOTH)
    assert queues.sent == {}


@pytest.mark.parametrize(
    ("payload", "valid"),
    [
        (b"1", True),
        (b'"\\ud800"', True),
        (b"12345678901234567890123", True),
        (b"NaN", False),
        (b"[Infinity]", False),
        (b"{", False),
        (b'{"a": "\xff"}', False),
        ('{"a": 1}'.encode("utf-16"), False),
        (b"[" * 100_000, False),
    ],
)
def test_json_when_judged_is_what_lambda_takes(payload: bytes, valid: bool) -> None:
    assert is_json(payload) is valid


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_record_when_embedded_and_escaped_says_the_same_in_characters_that_queues_take(value: Any) -> None:
    text = orjson.dumps(
        {"p": embedded(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))}
    ).decode()
    sent = queue_text(text, escape=True)
    assert queue_text(sent) == sent
    assert json.loads(sent) == {"p": value}
