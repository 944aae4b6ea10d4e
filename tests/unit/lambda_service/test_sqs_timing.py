"""When a queue's mapping invokes: scaling of its pollers, batching windows, throttling, failures; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast

import pytest

from harness.lambda_service.aws import AwsCallError, AwsClient
from harness.lambda_service.concurrency import PollerScaling, Profile
from harness.lambda_service.environment import Outcome
from harness.lambda_service.event_sources.sqs import SqsPoller
from harness.lambda_service.model import SqsMapping
from harness.lambda_service.pool import EnvironmentPool, Throttled
from tests.unit.lambda_service import virtual_time
from tests.unit.lambda_service.fakes import FUNCTION, FakePool
from tests.unit.lambda_service.virtual_time import now, until

VISIBILITY = 30.0
FIXED = Profile("fixed", 2, 0, 2, (1.0,))
GROWING = Profile("growing", 2, 60, 10, (1.0,))


class Queue:
    """A queue of numbered messages with a visibility timeout and long polls; its clock is the loop's."""

    def __init__(self) -> None:
        self.visible_at: dict[str, float] = {}
        self.received: list[tuple[float, str]] = []
        self.deleted: list[str] = []
        self.polls = 0
        self.failures: list[str] = []

    def send(self, *names: str) -> None:
        self.visible_at |= dict.fromkeys(names, now())

    async def call(
        self, service: str, operation: str, payload: Mapping[str, Any], *, timeout: float = 60.0
    ) -> dict[str, Any]:
        await asyncio.sleep(0)
        if operation == "GetQueueAttributes":
            return {"Attributes": {"VisibilityTimeout": str(int(VISIBILITY))}}
        if operation == "ReceiveMessage":
            return await self._receive(payload)
        for entry in payload["Entries"]:
            self.visible_at.pop(entry["ReceiptHandle"], None)
            self.deleted.append(entry["ReceiptHandle"])
        return {}

    async def _receive(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        self.polls += 1
        end = now() + payload["WaitTimeSeconds"]
        while True:
            await asyncio.sleep(0)
            if self.failures:
                raise AwsCallError("ReceiveMessage", self.failures.pop(), "planned", 400)
            ready = [name for name, at in self.visible_at.items() if at <= now()][: payload["MaxNumberOfMessages"]]
            if ready or now() >= end:
                break
            await asyncio.sleep(0.05)
        self.visible_at |= dict.fromkeys(ready, now() + VISIBILITY)
        self.received += [(now(), name) for name in ready]
        return {"Messages": [{"MessageId": n, "ReceiptHandle": n, "Body": n} for n in ready]}


class Pool(FakePool):
    """Notes when it was invoked, with which messages; raises Throttled while `throttled`."""

    def __init__(self) -> None:
        super().__init__(self.work)
        self.seconds = 0.0
        self.throttled = False
        self.refused: list[float] = []
        self.answer: Callable[[list[str]], Any] = lambda names: None
        self.invoked: list[tuple[float, list[str]]] = []

    async def invoke(self, name: str, payload: bytes) -> Outcome:
        if self.throttled:
            self.refused.append(now())
            raise Throttled(name)
        return await super().invoke(name, payload)

    async def work(self, records: list[Any]) -> Any:
        names = [record["messageId"] for record in records]
        self.invoked.append((now(), names))
        await asyncio.sleep(self.seconds)
        return self.answer(names)


def play(
    script: Callable[[Queue, Pool, SqsPoller], Coroutine[Any, Any, None]], profile: Profile = FIXED, **settings: Any
) -> None:
    """Run a script beside a mapping that works on a queue."""
    mapping = SqsMapping("Map", FUNCTION.name, "arn:aws:sqs:us-east-1:000000000000:q", "http://q", **settings)

    async def main() -> None:
        queue, pool = Queue(), Pool()
        client, environments = cast(AwsClient, queue), cast(EnvironmentPool, pool)
        poller = SqsPoller(mapping, client, environments, profile, "us-east-1", now)
        poller.start()
        await until(lambda: queue.polls > 0)
        try:
            await script(queue, pool, poller)
        finally:
            await poller.stop()

    virtual_time.run(main())


def names(count: int) -> list[str]:
    return [f"m{i}" for i in range(count)]


def test_batch_without_a_window_is_invoked_at_once() -> None:
    async def script(queue: Queue, pool: Pool, poller: SqsPoller) -> None:
        sent = now()
        queue.send("a", "b")
        await until(lambda: len(queue.deleted) == 2)
        assert pool.invoked[0][1] == ["a", "b"]
        assert pool.invoked[0][0] - sent < 0.5

    play(script)


def test_batch_with_a_window_is_invoked_when_the_window_ends() -> None:
    async def script(queue: Queue, pool: Pool, poller: SqsPoller) -> None:
        sent = now()
        queue.send("a")
        await asyncio.sleep(3)
        assert poller.work.open == 1
        queue.send("b")
        await until(lambda: len(queue.deleted) == 2)
        ((invoked, together),) = pool.invoked
        assert together == ["a", "b"]
        assert 9.0 <= invoked - sent <= 11.5
        assert poller.work.open == 0

    play(script, Profile("one", 1, 0, 1, (1.0,)), window_seconds=10.0, batch_size=50)


def test_batch_with_a_window_is_invoked_when_it_is_full() -> None:
    async def script(queue: Queue, pool: Pool, poller: SqsPoller) -> None:
        sent = now()
        queue.send(*names(25))
        await until(lambda: len(queue.deleted) == 25)
        assert [len(batch) for _, batch in pool.invoked] == [25]
        assert pool.invoked[0][0] - sent < 1

    play(script, Profile("one", 1, 0, 1, (1.0,)), window_seconds=100.0, batch_size=25)


def test_batches_at_a_time_are_as_many_as_the_profile_allows_and_grow_while_a_backlog_lasts() -> None:
    async def script(queue: Queue, pool: Pool, poller: SqsPoller) -> None:
        pool.seconds = 1.0
        queue.send(*names(2_000))
        await asyncio.sleep(0.9)
        assert (pool.most, poller.concurrency_limit()) == (2, 2)
        await asyncio.sleep(3)
        assert 4 <= pool.most <= 6
        await until(lambda: len(queue.deleted) == 2_000)
        assert pool.most == 10
        assert poller.concurrency_limit() == 10
        # A minute after the backlog, pollers are as few as at first.
        await asyncio.sleep(PollerScaling.IDLE_RESET_SECONDS + 10)
        assert poller.concurrency_limit() == 2
        before = queue.polls
        await asyncio.sleep(20)
        assert queue.polls - before <= 2 * (20 / 5 + 1)

    play(script, GROWING)


def test_maximum_concurrency_is_never_exceeded() -> None:
    async def script(queue: Queue, pool: Pool, poller: SqsPoller) -> None:
        pool.seconds = 1.0
        queue.send(*names(400))
        await until(lambda: len(queue.deleted) == 400)
        assert pool.most == 3

    play(script, GROWING, max_concurrency=3)


def test_provisioned_pollers_run_ten_batches_each_from_the_start_and_poll_ten_times_a_second() -> None:
    async def script(queue: Queue, pool: Pool, poller: SqsPoller) -> None:
        pool.seconds = 1.0
        sent = now()
        queue.send(*names(1_000))
        await until(lambda: len(queue.deleted) == 1_000)
        assert pool.most == 20
        # 100 batches of a second, 20 at a time.
        assert 5.0 <= now() - sent <= 7.0
        pool.seconds = 0.001
        await asyncio.sleep(10)
        polls, sent = queue.polls, now()
        queue.send(*names(1_000))
        await until(lambda: len(queue.deleted) == 2_000)
        # Of 100 polls 20 wait at the queue already and 20 may come at once; the others come at 20 a second.
        assert 2.9 <= now() - sent <= 4.0
        assert queue.polls - polls >= 80

    play(script, GROWING, provisioned_pollers=(2, 2))


def test_throttled_batch_is_tried_again_at_growing_pauses_until_it_runs() -> None:
    async def script(queue: Queue, pool: Pool, poller: SqsPoller) -> None:
        pool.throttled = True
        queue.send("a")
        await until(lambda: len(pool.refused) == 5)
        pauses = [later - before for before, later in zip(pool.refused, pool.refused[1:], strict=False)]
        for i, pause in enumerate(pauses):
            assert 0.05 * 2**i <= pause <= 0.11 * 2**i
        pool.throttled = False
        await until(lambda: queue.deleted == ["a"])
        assert len(queue.received) == 1

    play(script)


def test_batch_that_stays_throttled_goes_back_to_the_queue_with_its_visibility_timeout() -> None:
    async def script(queue: Queue, pool: Pool, poller: SqsPoller) -> None:
        pool.throttled = True
        queue.send("a")
        await until(lambda: len(queue.received) == 2)
        (first, _), (second, _) = queue.received
        assert VISIBILITY <= second - first <= VISIBILITY + 6
        assert queue.deleted == []
        pool.throttled = False
        await until(lambda: queue.deleted == ["a"])
        await until(lambda: poller.work.open == 0)

    play(script)


def fail(batch: list[str]) -> Any:
    raise ValueError("planned")


@pytest.mark.parametrize("report", [True, False])
def test_failed_batch_comes_back_whole_after_its_visibility_timeout(report: bool) -> None:
    async def script(queue: Queue, pool: Pool, poller: SqsPoller) -> None:
        pool.answer = fail
        queue.send("a", "b")
        await until(lambda: len(pool.invoked) == 1)
        await until(lambda: poller.work.open == 0)
        pool.answer = lambda batch: None
        await until(lambda: len(queue.deleted) == 2)
        (first, _), (second, again) = pool.invoked
        assert again == ["a", "b"]
        assert second - first >= VISIBILITY - 0.1

    play(script, report_failures=report)


def test_reported_messages_come_back_and_the_others_do_not() -> None:
    async def script(queue: Queue, pool: Pool, poller: SqsPoller) -> None:
        pool.answer = lambda batch: {"batchItemFailures": [{"itemIdentifier": "b"}] if len(batch) > 1 else []}
        queue.send("a", "b", "c")
        await until(lambda: len(queue.deleted) == 3)
        assert [batch for _, batch in pool.invoked] == [["a", "b", "c"], ["b"]]
        assert queue.deleted == ["a", "c", "b"]

    play(script, report_failures=True)


def test_poll_that_fails_is_repeated_after_a_pause_and_what_was_in_hand_comes_back() -> None:
    async def script(queue: Queue, pool: Pool, poller: SqsPoller) -> None:
        queue.send("a")
        await until(lambda: poller.work.open == 1)
        queue.failures = ["AWS.SimpleQueueService.NonExistentQueue"]
        await until(lambda: poller.work.open == 0)
        assert pool.invoked == []
        await until(lambda: queue.deleted == ["a"])
        assert [name for _, name in queue.received] == ["a", "a"]

    play(script, Profile("one", 1, 0, 1, (1.0,)), window_seconds=20.0)
