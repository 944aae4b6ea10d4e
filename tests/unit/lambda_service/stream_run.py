"""A stream mapping at work on a stream in memory, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

from harness.lambda_service.aws import AwsClient
from harness.lambda_service.event_sources.checkpoints import Checkpoints
from harness.lambda_service.event_sources.streams import StreamPoller
from harness.lambda_service.invoker import Destinations
from harness.lambda_service.model import StreamMapping
from harness.lambda_service.pool import EnvironmentPool
from tests.unit.lambda_service import virtual_time
from tests.unit.lambda_service.fake_stream import FakeStream
from tests.unit.lambda_service.fakes import FUNCTION, FakeDestinations, FakePool
from tests.unit.lambda_service.virtual_time import now, until

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/1"
DLQ = "arn:aws:sqs:us-east-1:000000000000:dlq"
EPOCH = 1_800_000_000.0
"""Unix seconds at which virtual time begins."""


def wall() -> float:
    return EPOCH + now() - 1_000.0


class Run:
    """A mapping at work on a stream; `keys` are those the function processed, in order. `kept` is the folder in which
    it keeps how far it came."""

    def __init__(self, stream: FakeStream, *, kept: Path | None = None, **settings: Any) -> None:
        self.stream = stream
        self.keys: list[str] = []
        self.values: list[tuple[str, str]] = []
        self.failing: Callable[[list[str]], bool] = lambda keys: False
        self.seconds = 0.0
        self.pool = FakePool(self.work)
        self.destinations = FakeDestinations()
        settings = {"starting_position": "TRIM_HORIZON", **settings}
        self.poller = StreamPoller(
            StreamMapping("Map", FUNCTION.name, ARN, **settings),
            FUNCTION,
            cast(AwsClient, stream),
            cast(EnvironmentPool, self.pool),
            cast(Destinations, self.destinations),
            "us-east-1",
            wall,
            Checkpoints.of_mapping(str(kept or ""), ARN, FUNCTION.name),
        )

    async def work(self, records: list[Any]) -> None:
        keys = [r["dynamodb"]["Keys"]["id"]["S"] for r in records]
        await asyncio.sleep(self.seconds)
        if self.failing(keys):
            raise ValueError("planned")
        self.keys += keys
        self.values += [(r["dynamodb"]["Keys"]["id"]["S"], r["dynamodb"]["NewImage"]["v"]["S"]) for r in records]

    async def done(self, count: int) -> list[str]:
        await until(lambda: len(self.keys) >= count)
        return self.keys


def play(run: Callable[[], Run], script: Callable[[Run], Coroutine[Any, Any, None]]) -> None:
    """Run a script against a mapping in virtual time; the mapping is stopped at the end."""

    async def main() -> None:
        made = run()
        made.poller.start()
        try:
            await script(made)
        finally:
            await made.poller.stop()

    virtual_time.run(main())


async def expect(run: Run, keys: list[str]) -> None:
    assert await run.done(len(keys)) == keys
