"""The engine's ceiling: bare loops of the calls that the pipeline is made of, against the same data services.

Bodies are prepared beforehand and sent over kept-alive connections, so that the figures are the engine's and not
the client's.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psutil

from handlers.aws import JsonClient
from handlers.record_batch import INSERTED, INSERTED_AT, PROCESSED, PROCESSED_AT, STATUS, RecordBatch, encode
from handlers.table_writer import BATCH_ITEMS, ItemEncoder
from harness.corpus import COLUMNS, CorpusSpec, expected_block
from harness.engines.base import Engine

ROWS_PER_MESSAGE = 250
MESSAGES_PER_CALL = 10
_SOURCE = "0123456789abcdef"
NEW, AGAIN, SEND = "BatchWriteItem, 25 new", "BatchWriteItem, 25 put again", "SendMessageBatch, 10 of 250 rows"
LOOP_OF = {"clean": SEND, "insert": NEW, "capture": SEND, "process": SEND, "update": AGAIN}
"""The loop of the call by which each stage passes its rows on. Reading and computing come on top of it."""


@dataclass(frozen=True)
class Loop:
    """One bare loop's figures. `items_per_second` counts what a call carries; CPU is the server's, per call."""

    name: str
    clients: int
    calls: int
    seconds: float
    items_per_call: float
    server_cpu_ms: float

    @property
    def items_per_second(self) -> float:
        """Items, rows or records a second."""
        return self.calls * self.items_per_call / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**vars(self), "items_per_second": round(self.items_per_second, 1)}


def shares_of_ceiling(loops: Sequence[Loop], rates: Mapping[str, float]) -> dict[str, float]:
    """Return each stage's rows a second, given in `rates`, as a share of its bare loop's; only stages that have one."""
    ceilings = {loop.name: loop.items_per_second for loop in loops}
    return {
        stage: rate / ceiling
        for stage, rate in rates.items()
        if (name := LOOP_OF.get(stage)) is not None and (ceiling := ceilings.get(name))
    }


def measure(
    engine: Engine, pids: Mapping[str, int], *, calls: int = 400, clients: Sequence[int] = (1, 2)
) -> list[Loop]:
    """Run every loop with each number of clients on a scratch table and queue, which are removed.

    `pids` are the engine's processes by name, for CPU figures; those of services it does not name are 0.
    """
    scratch = f"scratch-{uuid.uuid4().hex[:8]}"
    dynamodb, sqs = engine.client("dynamodb"), engine.client("sqs")
    queue = sqs.create_queue(QueueName=scratch)["QueueUrl"]
    created = dynamodb.create_table(
        TableName=scratch,
        KeySchema=[{"AttributeName": "record_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "record_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    stream = created["TableDescription"]["LatestStreamArn"]
    bench = _Bench(engine, pids)
    loops: list[Loop] = []
    try:
        for number in clients:
            first = len(loops) * calls
            loops.append(
                bench.loop(
                    NEW,
                    "dynamodb",
                    "BatchWriteItem",
                    number,
                    _puts(scratch, first, calls, INSERTED),
                    BATCH_ITEMS,
                )
            )
            loops.append(
                bench.loop(
                    AGAIN,
                    "dynamodb",
                    "BatchWriteItem",
                    number,
                    _puts(scratch, first, calls, PROCESSED),
                    BATCH_ITEMS,
                )
            )
            loops.append(
                bench.loop(
                    "BatchGetItem, 100 keys", "dynamodb", "BatchGetItem", number, _gets(scratch, first, calls), 100
                )
            )
            loops.append(
                bench.loop(
                    SEND,
                    "sqs",
                    "SendMessageBatch",
                    number,
                    [_messages(queue)] * (calls // 8),
                    MESSAGES_PER_CALL * ROWS_PER_MESSAGE,
                )
            )
            sqs.purge_queue(QueueUrl=queue)
        loops.append(bench.stream(stream))
    finally:
        dynamodb.delete_table(TableName=scratch)
        sqs.delete_queue(QueueUrl=queue)
    return loops


class _Bench:
    def __init__(self, engine: Engine, pids: Mapping[str, int]) -> None:
        self._engine = engine
        self._servers = [psutil.Process(pids[name]) for name in ("data-services", "queues") if name in pids]

    def loop(self, name: str, service: str, operation: str, clients: int, bodies: Sequence[str], items: float) -> Loop:
        """Send bodies from several clients at once and measure."""
        shares = [bodies[i::clients] for i in range(clients)]

        def send(share: Sequence[str]) -> None:
            client = JsonClient(service, self._engine.session(), self._engine.endpoints.observer_url(service))
            for body in share:
                client.call(operation, body)
            client.close()

        return self._timed(name, clients, len(bodies), items, lambda: _parallel(send, shares))

    def stream(self, arn: str) -> Loop:
        """Read a stream from its beginning with one client and measure."""
        streams = self._engine.client("dynamodbstreams")
        shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        counts: list[int] = []

        def read() -> None:
            position = iterator["ShardIterator"]
            while True:
                answer = streams.get_records(ShardIterator=position)
                if not answer["Records"]:
                    return
                counts.append(len(answer["Records"]))
                position = answer["NextShardIterator"]

        found = self._timed("GetRecords", 1, 1, 1, read)
        calls = len(counts)
        per_call = sum(counts) / calls if calls else 0.0
        return Loop(found.name, 1, calls, found.seconds, per_call, found.server_cpu_ms / max(1, calls))

    def _timed(self, name: str, clients: int, calls: int, items: float, work: Callable[[], None]) -> Loop:
        before = self._cpu()
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        return Loop(name, clients, calls, seconds, items, (self._cpu() - before) * 1000 / max(1, calls))

    def _cpu(self) -> float:
        return sum(sum(server.cpu_times()[:2]) for server in self._servers)


def _parallel(work: Callable[[Sequence[str]], None], shares: Sequence[Sequence[str]]) -> None:
    with ThreadPoolExecutor(len(shares)) as pool:
        for done in [pool.submit(work, share) for share in shares]:
            done.result()


def _rows() -> list[list[Any]]:
    spec = CorpusSpec(rows=1000, dirty=0, quarantine=0, poison=0)
    return [[e.row, *(e.cells or ())] for e in expected_block(spec, 0)]


def _puts(table: str, first_call: int, calls: int, status: str) -> list[str]:
    when = {INSERTED_AT: "2026-01-01T00:00:00.000Z", STATUS: status}
    if status == PROCESSED:
        when |= {PROCESSED_AT: "2026-01-01T00:00:01.000Z", "_risk_band": "low", "_amount_minor": "1250"}
    encoder = ItemEncoder(_SOURCE, COLUMNS, when)
    rows = _rows()
    bodies = []
    for call in range(first_call, first_call + calls):
        items = []
        for i in range(BATCH_ITEMS):
            number = call * BATCH_ITEMS + i
            items.append(encoder.encode([number, *rows[number % len(rows)][1:]]))
        bodies.append(f'{{"RequestItems":{{"{table}":[{",".join(items)}]}}}}')
    return bodies


def _gets(table: str, first_call: int, calls: int) -> list[str]:
    bodies = []
    for call in range(calls // 4):
        start = first_call * BATCH_ITEMS + call * 100
        keys = [{"record_id": {"S": f"{_SOURCE}#{start + i}"}} for i in range(100)]
        request = {"Keys": keys, "ConsistentRead": True, "ProjectionExpression": "record_id"}
        bodies.append(json.dumps({"RequestItems": {table: request}}))
    return bodies


def _messages(queue: str) -> str:
    body = encode(RecordBatch(_SOURCE, COLUMNS, _rows()[:ROWS_PER_MESSAGE]))
    entries = [{"Id": str(i), "MessageBody": body} for i in range(MESSAGES_PER_CALL)]
    return json.dumps({"QueueUrl": queue, "Entries": entries}, ensure_ascii=False)
