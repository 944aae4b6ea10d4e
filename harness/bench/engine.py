"""The engine's baseline: bare loops of the calls that the pipeline is made of, against the same services.

Bodies are prepared beforehand and sent over kept-alive connections, so that the figures are the services' and not
the client's. `measure` runs the loops on one engine, `compare` on two contenders in turn.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
import psutil

from handlers.aws import JsonClient
from handlers.record_batch import INSERTED, INSERTED_AT, PROCESSED, PROCESSED_AT, STATUS, RecordBatch, encode
from handlers.table_writer import BATCH_ITEMS, ItemEncoder
from harness.corpus import COLUMNS, CorpusSpec, expected_block
from harness.engines.base import Endpoints, Engine
from harness.results import LoopFigures

ROWS_PER_MESSAGE = 250
MESSAGES_PER_CALL = 10
KEYS_PER_CALL = 100
ROUNDS = 4
"""Parts of a loop between which `compare` changes from one contender to the other."""
_SOURCE = "0123456789abcdef"
NEW, AGAIN, SEND = "BatchWriteItem, 25 new", "BatchWriteItem, 25 put again", "SendMessageBatch, 10 of 250 rows"
GET, TAKE, RECORDS = "BatchGetItem, 100 keys", "ReceiveMessage + DeleteMessageBatch, 10", "GetRecords"
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

    def figures(self) -> LoopFigures:
        """Return what a result says of the loop."""
        return LoopFigures(**vars(self), items_per_second=round(self.items_per_second, 1))


@dataclass(frozen=True)
class Contender:
    """Services to measure: their endpoints, a boto3 session for them, and the ids of their processes."""

    endpoints: Endpoints
    session: Any
    pids: tuple[int, ...]


@dataclass(frozen=True)
class Measured:
    """One contender's loop, and the resident memory of its processes before and after it, in bytes."""

    loop: Loop
    memory_before: int
    memory_after: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            **msgspec.to_builtins(self.loop.figures()),
            "memory_before": self.memory_before,
            "memory_after": self.memory_after,
        }


@dataclass(frozen=True)
class Pair:
    """The same loop on both contenders."""

    ours: Measured
    theirs: Measured

    @property
    def ratio(self) -> float:
        """Items a second of ours by those of theirs; 0 where theirs has none."""
        rate = self.theirs.loop.items_per_second
        return self.ours.loop.items_per_second / rate if rate else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "loop": self.ours.loop.name,
            "clients": self.ours.loop.clients,
            "ours": self.ours.to_json(),
            "ministack": self.theirs.to_json(),
            "ratio": round(self.ratio, 2),
        }


def shares_of_baseline(loops: Sequence[Loop], rates: Mapping[str, float]) -> dict[str, float]:
    """Return each stage's rows a second, given in `rates`, as a share of its bare loop's; only stages that have one."""
    rates_alone = {loop.name: loop.items_per_second for loop in loops}
    return {
        stage: rate / alone
        for stage, rate in rates.items()
        if (name := LOOP_OF.get(stage)) is not None and (alone := rates_alone.get(name))
    }


def measure(
    engine: Engine, pids: Mapping[str, int], *, calls: int = 400, clients: Sequence[int] = (1, 2)
) -> list[Loop]:
    """Run every loop with each number of clients on a scratch table and queue, which are removed.

    `pids` are the engine's processes by name, for CPU figures; those of services it does not name are 0.
    """
    servers = tuple(pids[name] for name in ("data-services", "queues", "tables") if name in pids)
    bench = _Bench(Contender(engine.endpoints, engine.session(), servers))
    try:
        steps = _steps(calls, clients)
        return [_total(step, [step.run(bench, part) for part in range(ROUNDS)]) for step in steps]
    finally:
        bench.close()


def compare(ours: Contender, theirs: Contender, *, calls: int = 400, clients: Sequence[int] = (1, 2)) -> list[Pair]:
    """Run every loop on both, in turn, so that what else the machine does concerns both alike."""
    benches = [_Bench(ours)]
    try:
        benches.append(_Bench(theirs))
        return [_compared(step, benches) for step in _steps(calls, clients)]
    finally:
        for bench in benches:
            bench.close()


def _compared(step: _Step, benches: Sequence[_Bench]) -> Pair:
    before = [bench.memory() for bench in benches]
    samples: list[list[_Sample]] = [[] for _ in benches]
    for part in range(ROUNDS):
        for number in (0, 1) if part % 2 == 0 else (1, 0):
            samples[number].append(step.run(benches[number], part))
    after = [bench.memory() for bench in benches]
    ours, theirs = (
        Measured(_total(step, found), low, high) for found, low, high in zip(samples, before, after, strict=True)
    )
    return Pair(ours, theirs)


@dataclass(frozen=True)
class _Sample:
    calls: int
    items: int
    seconds: float
    cpu: float


def _total(step: _Step, samples: Sequence[_Sample]) -> Loop:
    calls = sum(sample.calls for sample in samples)
    items, seconds, cpu = (sum(getattr(sample, name) for sample in samples) for name in ("items", "seconds", "cpu"))
    return Loop(step.name, step.clients, calls, seconds, items / max(1, calls), cpu * 1000 / max(1, calls))


@dataclass(frozen=True)
class _Step:
    """A loop; `run` makes the calls of one of its `ROUNDS` parts."""

    name: str
    clients: int
    run: Callable[[_Bench, int], _Sample]


def _steps(calls: int, clients: Sequence[int]) -> list[_Step]:
    """Return the loops in order; each number of clients writes items of its own."""
    steps: list[_Step] = []
    for turn, number in enumerate(clients):
        steps += _steps_of(calls, turn * calls, number)
    return [*steps, _Step(RECORDS, 1, lambda bench, part: bench.read_stream(part))]


def _steps_of(calls: int, first: int, number: int) -> list[_Step]:
    gets, sends = max(1, calls // 4), max(ROUNDS * number, calls // 8)
    rows = MESSAGES_PER_CALL * ROWS_PER_MESSAGE

    def put(status: str) -> Callable[[_Bench, int], _Sample]:
        return lambda bench, part: bench.send(
            "dynamodb", "BatchWriteItem", number, _puts(bench.table, _part(calls, part, first), status), BATCH_ITEMS
        )

    return [
        _Step(NEW, number, put(INSERTED)),
        _Step(AGAIN, number, put(PROCESSED)),
        _Step(
            GET,
            number,
            lambda bench, part: bench.send(
                "dynamodb",
                "BatchGetItem",
                number,
                _gets(bench.table, first, _part(gets, part)),
                KEYS_PER_CALL,
            ),
        ),
        _Step(
            SEND,
            number,
            lambda bench, part: bench.send(
                "sqs", "SendMessageBatch", number, [_messages(bench.queue)] * len(_part(sends, part)), rows
            ),
        ),
        _Step(TAKE, number, lambda bench, part: bench.take(number, len(_part(sends, part)), rows)),
    ]


def _part(calls: int, part: int, first: int = 0) -> range:
    """Return the numbers of the calls of a part."""
    return range(first + calls * part // ROUNDS, first + calls * (part + 1) // ROUNDS)


class _Bench:
    """A contender with a scratch table and queue."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._servers = [psutil.Process(pid) for pid in contender.pids]
        self._clients: dict[tuple[str, int], JsonClient] = {}
        self.table = f"scratch-{uuid.uuid4().hex[:8]}"
        self._dynamodb, self._sqs, self._streams = map(self._boto, ("dynamodb", "sqs", "dynamodbstreams"))
        self.queue: str = self._sqs.create_queue(QueueName=self.table)["QueueUrl"]
        created = self._dynamodb.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": "record_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "record_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        )
        self._stream = created["TableDescription"]["LatestStreamArn"]
        self._positions: list[str] = []

    def _boto(self, service: str) -> Any:
        return self._contender.session.client(service, endpoint_url=self._contender.endpoints.url(service))

    def close(self) -> None:
        """Remove the table and the queue."""
        self._dynamodb.delete_table(TableName=self.table)
        self._sqs.delete_queue(QueueUrl=self.queue)
        for client in self._clients.values():
            client.close()

    def memory(self) -> int:
        """Return the bytes that the processes have resident."""
        return sum(server.memory_info().rss for server in self._servers)

    def send(self, service: str, operation: str, clients: int, bodies: Sequence[str], items: int) -> _Sample:
        """Send bodies, each of which carries `items`, from several clients at once."""

        def work(client: JsonClient, share: Sequence[str]) -> tuple[int, int]:
            for body in share:
                client.call(operation, body)
            return len(share), len(share) * items

        return self._parallel(service, work, [bodies[i::clients] for i in range(clients)])

    def take(self, clients: int, calls: int, rows: int) -> _Sample:
        """Receive and delete what `calls` calls of `rows` rows have sent; a receive and a delete count as one call."""
        receive = json.dumps({"QueueUrl": self.queue, "MaxNumberOfMessages": MESSAGES_PER_CALL})

        def work(client: JsonClient, share: Sequence[int]) -> tuple[int, int]:
            made = 0
            for _ in share:
                messages = client.call("ReceiveMessage", receive).get("Messages") or []
                entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
                if entries:
                    client.call("DeleteMessageBatch", json.dumps({"QueueUrl": self.queue, "Entries": entries}))
                    made += 1
            return made, made * rows

        return self._parallel("sqs", work, [range(calls)[i::clients] for i in range(clients)])

    def read_stream(self, part: int) -> _Sample:
        """Read a part of the stream's shards from their beginning with one client."""
        if part == 0:
            shards = self._streams.describe_stream(StreamArn=self._stream)["StreamDescription"]["Shards"]
            self._positions = [
                self._streams.get_shard_iterator(
                    StreamArn=self._stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
                )["ShardIterator"]
                for shard in shards
            ]
        counts: list[int] = []

        def read() -> None:
            for position in self._positions[part::ROUNDS]:
                at: str | None = position
                while at is not None:
                    answer = self._streams.get_records(ShardIterator=at)
                    if not answer["Records"]:
                        break
                    counts.append(len(answer["Records"]))
                    at = answer.get("NextShardIterator")

        seconds, cpu = self._timed(read)
        return _Sample(len(counts), sum(counts), seconds, cpu)

    def _parallel(
        self, service: str, work: Callable[[JsonClient, Any], tuple[int, int]], shares: Sequence[Any]
    ) -> _Sample:
        clients = [self._client(service, number) for number in range(len(shares))]
        done: list[tuple[int, int]] = []

        def everything() -> None:
            with ThreadPoolExecutor(len(shares)) as pool:
                done.extend(pool.map(work, clients, shares))

        seconds, cpu = self._timed(everything)
        return _Sample(sum(calls for calls, _ in done), sum(items for _, items in done), seconds, cpu)

    def _client(self, service: str, number: int) -> JsonClient:
        key = service, number
        if key not in self._clients:
            contender = self._contender
            self._clients[key] = JsonClient(service, contender.session, contender.endpoints.observer_url(service))
        return self._clients[key]

    def _timed(self, work: Callable[[], None]) -> tuple[float, float]:
        """Return the seconds that the work took, and the processes' CPU seconds."""
        before = self._cpu()
        began = time.perf_counter()
        work()
        return time.perf_counter() - began, self._cpu() - before

    def _cpu(self) -> float:
        return sum(sum(server.cpu_times()[:2]) for server in self._servers)


def _rows() -> list[list[Any]]:
    spec = CorpusSpec(rows=1000, dirty=0, quarantine=0, poison=0)
    return [[e.row, *(e.cells or ())] for e in expected_block(spec, 0)]


def _puts(table: str, calls: range, status: str) -> list[str]:
    when = {INSERTED_AT: "2026-01-01T00:00:00.000Z", STATUS: status}
    if status == PROCESSED:
        when |= {PROCESSED_AT: "2026-01-01T00:00:01.000Z", "_risk_band": "low", "_amount_minor": "1250"}
    encoder = ItemEncoder(_SOURCE, COLUMNS, when)
    rows = _rows()
    bodies = []
    for call in calls:
        items = []
        for i in range(BATCH_ITEMS):
            number = call * BATCH_ITEMS + i
            items.append(encoder.encode([number, *rows[number % len(rows)][1:]]))
        bodies.append(f'{{"RequestItems":{{"{table}":[{",".join(items)}]}}}}')
    return bodies


def _gets(table: str, first_put: int, calls: range) -> list[str]:
    bodies = []
    for call in calls:
        start = first_put * BATCH_ITEMS + call * KEYS_PER_CALL
        keys = [{"record_id": {"S": f"{_SOURCE}#{start + i}"}} for i in range(KEYS_PER_CALL)]
        request = {"Keys": keys, "ConsistentRead": True, "ProjectionExpression": "record_id"}
        bodies.append(json.dumps({"RequestItems": {table: request}}))
    return bodies


def _messages(queue: str) -> str:
    body = encode(RecordBatch(_SOURCE, COLUMNS, _rows()[:ROWS_PER_MESSAGE]))
    entries = [{"Id": str(i), "MessageBody": body} for i in range(MESSAGES_PER_CALL)]
    return json.dumps({"QueueUrl": queue, "Entries": entries}, ensure_ascii=False)
