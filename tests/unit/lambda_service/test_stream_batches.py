"""One batch of a stream mapping to its end: retries, bisection, partial answers, age, destination."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from harness.lambda_service.environment import Outcome
from harness.lambda_service.event_sources.stream_batches import BatchRunner, StreamRecord
from harness.lambda_service.invoker import Destinations
from harness.lambda_service.model import StreamMapping
from harness.lambda_service.pool import EnvironmentPool, Throttled
from tests.unit.lambda_service import virtual_time
from tests.unit.lambda_service.fakes import FUNCTION, FakeDestinations, FakePool

NOW = 1_800_000_000.0


def record(sequence: int, created: float = NOW) -> StreamRecord:
    change = {"SequenceNumber": str(sequence), "ApproximateCreationDateTime": created}
    return StreamRecord(str(sequence), created, json.dumps({"dynamodb": change}).encode())


class Trial:
    """The batches a function saw, those it took, and the destination's records."""

    def __init__(self, batch: list[StreamRecord], answer: Callable[[list[str]], Any], **settings: Any) -> None:
        self.batches: list[list[str]] = []
        self.taken: list[str] = []
        self._answer = answer
        destinations = FakeDestinations()
        mapping = StreamMapping("Map", FUNCTION.name, "arn", on_failure_arn="dlq", **settings)
        runner = BatchRunner(
            mapping,
            FUNCTION,
            cast(EnvironmentPool, FakePool(self._work)),
            cast(Destinations, destinations),
            wall=lambda: NOW,
        )
        virtual_time.run(runner.process(batch, "shard"))
        self.given_up = [
            (record["requestContext"]["condition"], info["startSequenceNumber"], info["endSequenceNumber"])
            for record in destinations.sent
            for info in [record["DDBStreamBatchInfo"]]
        ]
        self.attempts = [record["requestContext"]["approximateInvokeCount"] for record in destinations.sent]

    async def _work(self, records: list[Any]) -> Any:
        await asyncio.sleep(0)
        sequences = [r["dynamodb"]["SequenceNumber"] for r in records]
        self.batches.append(sequences)
        answer = self._answer(sequences)
        failed = {f["itemIdentifier"] for f in (answer or {}).get("batchItemFailures", [])}
        first = min((sequences.index(f) for f in failed), default=len(sequences))
        self.taken += sequences[:first]
        return answer


def raises_on(*poison: str) -> Callable[[list[str]], Any]:
    def answer(sequences: list[str]) -> None:
        if set(poison) & set(sequences):
            raise ValueError("planned")

    return answer


def test_batch_when_it_keeps_failing_is_given_up_after_its_retries() -> None:
    trial = Trial([record(1), record(2)], raises_on("2"), max_retries=2)
    assert trial.batches == [["1", "2"]] * 3
    assert trial.given_up == [("RetryAttemptsExhausted", "1", "2")]
    assert trial.attempts == [3]


def test_batch_when_bisected_gives_up_the_poison_alone_and_takes_the_rest_in_order() -> None:
    trial = Trial([record(n) for n in range(1, 9)], raises_on("3"), max_retries=1, bisect=True)
    assert trial.taken == ["1", "2", "4", "5", "6", "7", "8"]
    assert trial.given_up == [("RetryAttemptsExhausted", "3", "3")]


def test_batch_when_the_answer_names_records_goes_on_at_the_first_of_them() -> None:
    calls = iter([{"batchItemFailures": [{"itemIdentifier": "4"}, {"itemIdentifier": "3"}]}, None])
    trial = Trial([record(n) for n in range(1, 6)], lambda _: next(calls), report_failures=True)
    assert trial.batches == [["1", "2", "3", "4", "5"], ["3", "4", "5"]]
    assert trial.given_up == []


def test_records_when_older_than_the_limit_are_given_up_without_an_invocation() -> None:
    trial = Trial([record(1, NOW - 61), record(2, NOW - 59), record(3)], lambda _: None, max_age_seconds=60)
    assert trial.batches == [["2", "3"]]
    assert trial.given_up == [("RecordAgeExceeded", "1", "1")]


@given(st.integers(1, 30), st.sets(st.integers(1, 30)), st.booleans(), st.integers(0, 2))
def test_records_when_some_are_poison_are_each_taken_or_given_up(
    count: int, poison: set[int], bisect: bool, retries: int
) -> None:
    batch = [record(n) for n in range(1, count + 1)]
    trial = Trial(batch, raises_on(*map(str, poison)), max_retries=retries, bisect=bisect)
    given_up = {n for _, start, end in trial.given_up for n in range(int(start), int(end) + 1)}
    assert sorted([*map(int, trial.taken), *given_up]) == list(range(1, count + 1))
    assert given_up >= poison & set(range(1, count + 1))
    if bisect:
        assert given_up == poison & set(range(1, count + 1))
    assert trial.taken == sorted(trial.taken, key=int)


def test_batch_when_throttled_waits_ever_longer_and_costs_no_retry() -> None:
    refused: list[float] = []

    class Busy(FakePool):
        async def invoke(self, name: str, payload: bytes) -> Outcome:
            if len(refused) < 12:
                refused.append(virtual_time.now())
                raise Throttled(name)
            return await super().invoke(name, payload)

    pool, destinations = Busy(), FakeDestinations()
    runner = BatchRunner(
        StreamMapping("Map", FUNCTION.name, "arn:stream", max_retries=0, on_failure_arn="arn:x"),
        FUNCTION,
        cast(EnvironmentPool, pool),
        cast(Destinations, destinations),
        wall=lambda: NOW,
    )
    virtual_time.run(runner.process([record(1)], "shard"))
    pauses = [later - before for before, later in itertools.pairwise(refused)]
    assert all(0.05 * 2**i <= pause <= 0.1 * 2**i + 0.001 for i, pause in enumerate(pauses[:5]))
    assert all(2.5 <= pause <= 5.001 for pause in pauses[6:])
    assert (len(pool.events), destinations.sent) == (1, [])


def test_batch_when_it_fails_is_retried_at_growing_pauses_and_ages_meanwhile() -> None:
    began: list[float] = []

    async def work(records: list[Any]) -> None:
        began.append(virtual_time.now())
        raise ValueError("planned")

    async def main() -> None:
        start = virtual_time.now()
        runner = BatchRunner(
            StreamMapping("Map", FUNCTION.name, "arn:stream", max_age_seconds=60, on_failure_arn="arn:x"),
            FUNCTION,
            cast(EnvironmentPool, FakePool(work)),
            cast(Destinations, destinations),
            wall=lambda: NOW + virtual_time.now() - start,
        )
        await runner.process([record(1)], "shard")
        assert 60 < virtual_time.now() - start < 66

    destinations = FakeDestinations()
    virtual_time.run(main())
    pauses = [later - before for before, later in itertools.pairwise(began)]
    assert all(0.05 * 2**i <= pause <= 0.1 * 2**i + 0.001 for i, pause in enumerate(pauses[:5]))
    assert max(pauses) <= 5.001
    assert [sent["requestContext"]["condition"] for sent in destinations.sent] == ["RecordAgeExceeded"]
