"""A stream mapping on the tables' own process: several shards at once, and shards that split while they are read."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, cast

import pytest
from botocore.credentials import Credentials

from harness.lambda_service.aws import AwsClient
from harness.lambda_service.event_sources.streams import StreamPoller
from harness.lambda_service.invoker import Destinations
from harness.lambda_service.model import StreamMapping
from harness.lambda_service.pool import EnvironmentPool
from tests.unit.data_plane.tables.conftest import Tables, stream, table
from tests.unit.lambda_service.fakes import FUNCTION, FakeDestinations, FakePool

ITEMS, ROUNDS = 100, 6
ODD = '{"dynamodb":{"NewImage":{"odd":{"S":["yes"]}}}}'


@pytest.fixture
def tables() -> Iterator[Tables]:
    server = Tables("--capacity", "aws")
    yield server
    assert server.stop() == 0


def write(client: Any, number: int) -> None:
    """Put every item once."""
    for first in range(0, ITEMS, 25):
        puts = [
            {"id": {"S": f"é{i}"}, "n": {"N": str(number)}, "odd": {"S": "yes" if i % 2 else "no"}}
            for i in range(first, first + 25)
        ]
        client.batch_write_item(RequestItems={"records": [{"PutRequest": {"Item": item}} for item in puts]})


def split(tables: Tables, arn: str) -> None:
    """Have the table split: more write units than its partitions have make new ones."""
    units = {"ReadCapacityUnits": 10, "WriteCapacityUnits": 8_000}
    tables.client().update_table(TableName="records", BillingMode="PROVISIONED", ProvisionedThroughput=units)
    end = time.monotonic() + 30
    while not closed(tables, arn):
        assert time.monotonic() < end, "no shard was split"
        time.sleep(0.05)


def shards(tables: Tables, arn: str) -> list[dict[str, Any]]:
    """Return the stream's shards."""
    found: list[dict[str, Any]] = tables.client("dynamodbstreams").describe_stream(StreamArn=arn)["StreamDescription"][
        "Shards"
    ]
    return found


def closed(tables: Tables, arn: str) -> list[dict[str, Any]]:
    """Return the shards that get no more records."""
    return [shard for shard in shards(tables, arn) if "EndingSequenceNumber" in shard["SequenceNumberRange"]]


def test_items_in_many_shards_that_split_come_in_order_and_read_at_covers_all_shards(tables: Tables) -> None:
    client = tables.client()
    arn = client.create_table(**table("records", **stream("NEW_IMAGE")))["TableDescription"]["LatestStreamArn"]
    seen: dict[str, list[int]] = defaultdict(list)

    async def work(records: list[Any]) -> None:
        for record in records:
            image = record["dynamodb"]["NewImage"]
            seen[image["id"]["S"]].append(int(image["n"]["N"]))

    async def read_all(poller: StreamPoller) -> None:
        """Wait until the mapping says that it has read and processed what was written before this call."""
        after = time.monotonic()
        async with asyncio.timeout(30):
            while (poller.position.read_at() or 0.0) < after or poller.position.records.open:
                await asyncio.sleep(0.01)

    async def main() -> int:
        async with AwsClient(
            {"default": f"http://127.0.0.1:{tables.port}"}, "us-east-1", Credentials("test", "test")
        ) as calls:
            poller = StreamPoller(
                StreamMapping("Map", FUNCTION.name, arn, batch_size=30, parallelization=2, filters=(ODD,)),
                FUNCTION,
                calls,
                cast(EnvironmentPool, FakePool(work)),
                cast(Destinations, FakeDestinations()),
                "us-east-1",
            )
            poller.start()
            try:
                for number in range(ROUNDS):
                    await asyncio.to_thread(write, client, number)
                    if number == ROUNDS // 2:
                        await asyncio.to_thread(split, tables, arn)
                    await read_all(poller)
                    assert {key: numbers[-1] for key, numbers in seen.items()} == dict.fromkeys(seen, number)
                return poller.concurrency_limit()
            finally:
                await poller.stop()

    lanes = asyncio.run(main())
    assert dict(seen) == {f"é{i}": list(range(ROUNDS)) for i in range(1, ITEMS, 2)}
    assert closed(tables, arn)
    assert lanes == 2 * (len(shards(tables, arn)) - len(closed(tables, arn)))
