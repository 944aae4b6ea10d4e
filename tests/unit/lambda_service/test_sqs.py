"""SQS mappings against a queue in memory: events in bytes, filters, answers."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.lambda_service.aws import AwsClient
from harness.lambda_service.concurrency import profile_named
from harness.lambda_service.event_sources import events, sqs
from harness.lambda_service.event_sources.sqs import SqsPoller
from harness.lambda_service.model import SYNC_PAYLOAD_LIMIT, SqsMapping
from harness.lambda_service.pool import EnvironmentPool
from tests.depth import examples
from tests.unit.lambda_service import virtual_time
from tests.unit.lambda_service.fakes import FUNCTION, FakePool, Work, succeed
from tests.unit.lambda_service.virtual_time import until


class FakeQueue:
    """Gives every message once; `deleted` has the bodies of those deleted."""

    def __init__(self, *bodies: str) -> None:
        self.waiting = deque(enumerate(bodies))
        self.deleted: list[str] = []
        self._bodies = bodies

    async def call(
        self, service: str, operation: str, payload: Mapping[str, Any], *, timeout: float = 60.0
    ) -> dict[str, Any]:
        if operation == "GetQueueAttributes":
            return {"Attributes": {"VisibilityTimeout": "30"}}
        if operation == "DeleteMessageBatch":
            self.deleted += [self._bodies[int(entry["ReceiptHandle"])] for entry in payload["Entries"]]
            return {}
        count = min(len(self.waiting), payload["MaxNumberOfMessages"])
        if not count:
            await asyncio.sleep(1)
        taken = [self.waiting.popleft() for _ in range(count)]
        return {"Messages": [{"MessageId": f"m{i}", "ReceiptHandle": str(i), "Body": body} for i, body in taken]}


def process(queue: FakeQueue, work: Work = succeed, *, done: int | None = None, **settings: Any) -> FakePool:
    """Run a mapping on a queue until `done` messages (default: all) are deleted; return the pool it invoked."""
    pool = FakePool(work)
    count = len(queue.waiting) if done is None else done
    mapping = SqsMapping("Map", FUNCTION.name, "arn:aws:sqs:us-east-1:000000000000:q", "http://q", **settings)

    async def main() -> None:
        poller = SqsPoller(
            mapping, cast(AwsClient, queue), cast(EnvironmentPool, pool), profile_named("local"), "us-east-1"
        )
        poller.start()
        await until(lambda: not queue.waiting and len(queue.deleted) >= count)
        await asyncio.sleep(20)
        await poller.stop()

    virtual_time.run(main())
    return pool


def bodies(pool: FakePool) -> list[str]:
    return [record["body"] for event in pool.events for record in json.loads(event)["Records"]]


@pytest.mark.parametrize("letter", ["x", "é", "語", "😀", '"', "\\", "\n", "\t"])
def test_events_when_bodies_are_large_stay_below_six_megabytes_in_bytes(letter: str) -> None:
    body = letter * (1_000_000 // len(letter.encode()))
    pool = process(FakeQueue(*[body] * 20))
    assert bodies(pool) == [body] * 20
    assert max(pool.sizes) <= SYNC_PAYLOAD_LIMIT
    # They are not cut smaller than needed either: a message more would not have fitted.
    assert max(pool.sizes) > SYNC_PAYLOAD_LIMIT - max(len(json.dumps(body)), len(body.encode())) - 1_000


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.text(max_size=60), max_size=30))
def test_events_when_bodies_are_any_text_are_within_the_limit_and_complete(texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "SYNC_PAYLOAD_LIMIT", 1_000)
        patch.setattr(sqs, "SYNC_PAYLOAD_LIMIT", 1_000)
        pool = process(FakeQueue(*texts))
    assert sorted(bodies(pool)) == sorted(texts)
    assert all(size <= 1_000 for size in pool.sizes)


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=20))
def test_size_when_summed_record_by_record_is_that_of_the_event(records: list[bytes]) -> None:
    total = events.EMPTY_EVENT_SIZE + sum(map(events.record_size, records))
    assert len(events.encode_event(records)) == total


def test_message_when_its_event_alone_is_too_large_is_left_to_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SYNC_PAYLOAD_LIMIT", 1_000)
    monkeypatch.setattr(sqs, "SYNC_PAYLOAD_LIMIT", 1_000)
    queue = FakeQueue("a", "x" * 2_000, "b")
    pool = process(queue, done=2)
    assert sorted(bodies(pool)) == sorted(queue.deleted) == ["a", "b"]


def test_messages_when_filtered_out_are_deleted_and_never_delivered() -> None:
    queue = FakeQueue("plain", '{"kind":"x"}', '{"kind":"y"}', '{"n":1}')
    pool = process(queue, filters=('{"body":{"kind":[{"exists":false},"x"]}}',))
    assert bodies(pool) == ['{"kind":"x"}', '{"n":1}']
    assert sorted(queue.deleted) == sorted(["plain", '{"kind":"x"}', '{"kind":"y"}', '{"n":1}'])


def test_messages_when_the_pattern_is_plain_text_reach_the_function_unless_json() -> None:
    queue = FakeQueue("Result: 1", "Other", '{"Result": 1}')
    assert bodies(process(queue, filters=('{"body":[{"prefix":"Result: "}]}',))) == ["Result: 1"]
    assert len(queue.deleted) == 3


@pytest.mark.parametrize("answer", [None, "", [], {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_batch_when_the_answer_is_empty_is_deleted(answer: Any) -> None:
    async def work(records: list[Any]) -> Any:
        return answer

    queue = FakeQueue("a", "b")
    assert sorted(bodies(process(queue, work, report_failures=True))) == ["a", "b"]
    assert sorted(queue.deleted) == ["a", "b"]


@pytest.mark.parametrize(
    "answer",
    [["a"], "text", {"batchItemFailures": [{"itemIdentifier": "nobody"}]}, {"batchItemFailures": [{"foo": "m0"}]}],
)
def test_batch_when_the_answer_is_malformed_is_left_to_come_back(answer: Any) -> None:
    async def work(records: list[Any]) -> Any:
        return answer

    queue = FakeQueue("a", "b")
    process(queue, work, report_failures=True, done=0)
    assert queue.deleted == []


def test_batch_when_failures_are_not_reported_is_deleted_whatever_the_answer_says() -> None:
    async def work(records: list[Any]) -> Any:
        return {"batchItemFailures": [{"itemIdentifier": records[0]["messageId"]}]}

    queue = FakeQueue("a")
    process(queue, work)
    assert queue.deleted == ["a"]
