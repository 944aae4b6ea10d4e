"""A DynamoDB stream with shards that split, expire and are trimmed, behind the calls that a mapping makes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from harness.lambda_service.aws import AwsCallError


@dataclass
class FakeShard:
    shard_id: str
    parent: str = ""
    closed: bool = False
    trimmed: int = 0
    records: list[dict[str, Any]] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        ending = {"EndingSequenceNumber": "9"} if self.closed else {}
        parent = {"ParentShardId": self.parent} if self.parent else {}
        return {"ShardId": self.shard_id, "SequenceNumberRange": {"StartingSequenceNumber": "0", **ending}, **parent}


class FakeStream:
    """Answers DescribeStream, GetShardIterator and GetRecords; `calls` notes them, `failures` are raised first."""

    def __init__(self, *, page: int = 100, read: int = 1000) -> None:
        self.shards: dict[str, FakeShard] = {}
        self.calls: list[tuple[str, str]] = []
        self.failures: dict[str, list[str]] = {}
        self.expired_iterators = False
        self._page = page
        self._read = read
        self._sequence = 0

    def add(self, shard_id: str, *keys: str, parent: str = "", closed: bool = False) -> FakeShard:
        shard = self.shards[shard_id] = FakeShard(shard_id, parent, closed)
        for key in keys:
            self.put(shard_id, key)
        return shard

    def put(self, shard_id: str, key: str, value: str = "", created: float = 0.0) -> None:
        self._sequence += 1
        image = {"id": {"S": key}, "v": {"S": value}}
        change: dict[str, Any] = {"Keys": {"id": {"S": key}}, "NewImage": image, "SequenceNumber": str(self._sequence)}
        change["ApproximateCreationDateTime"] = created
        self.shards[shard_id].records.append({"eventName": "INSERT", "dynamodb": change})

    def split(self, shard_id: str, *children: str) -> None:
        self.shards[shard_id].closed = True
        for child in children:
            self.add(child, parent=shard_id)

    def positions(self) -> list[tuple[str, str]]:
        """Return the iterators asked for: (shard, type)."""
        return [(what.split()[0], what.split()[1]) for call, what in self.calls if call == "GetShardIterator"]

    def opened(self) -> list[str]:
        """Return the shards in the order in which they were first opened."""
        return list(dict.fromkeys(shard for shard, _ in self.positions()))

    async def call_raw(self, service: str, operation: str, payload: dict[str, Any], *, timeout: float = 60.0) -> bytes:
        return json.dumps(await self.call(service, operation, payload, timeout=timeout)).encode()

    async def call(
        self, service: str, operation: str, payload: dict[str, Any], *, timeout: float = 60.0
    ) -> dict[str, Any]:
        await asyncio.sleep(0)
        waiting = self.failures.get(operation)
        if waiting:
            raise AwsCallError(operation, waiting.pop(0), "planned", 400)
        answer: dict[str, Any] = getattr(self, f"_{operation}")(payload)
        return answer

    def _DescribeStream(self, payload: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(("DescribeStream", payload.get("ExclusiveStartShardId", "")))
        shards = list(self.shards.values())
        names = [shard.shard_id for shard in shards]
        start = payload.get("ExclusiveStartShardId")
        first = names.index(start) + 1 if start else 0
        page = shards[first : first + self._page]
        last = {"LastEvaluatedShardId": page[-1].shard_id} if first + self._page < len(shards) else {}
        return {"StreamDescription": {"Shards": [shard.describe() for shard in page], **last}}

    def _GetShardIterator(self, payload: dict[str, Any]) -> dict[str, Any]:
        kind = payload["ShardIteratorType"]
        self.calls.append(("GetShardIterator", f"{payload['ShardId']} {kind} {payload.get('SequenceNumber', '')}"))
        shard = self._shard(payload["ShardId"])
        if kind == "LATEST":
            index = len(shard.records)
        elif kind == "TRIM_HORIZON":
            index = shard.trimmed
        else:
            sequences = [r["dynamodb"]["SequenceNumber"] for r in shard.records]
            index = sequences.index(payload["SequenceNumber"]) + 1
            if index < shard.trimmed:
                raise AwsCallError("GetShardIterator", "TrimmedDataAccessException", "trimmed", 400)
        return {"ShardIterator": f"{shard.shard_id} {index}"}

    def _GetRecords(self, payload: dict[str, Any]) -> dict[str, Any]:
        name, index = payload["ShardIterator"].split()
        shard = self._shard(name)
        if self.expired_iterators:
            self.expired_iterators = False
            raise AwsCallError("GetRecords", "ExpiredIteratorException", "expired", 400)
        first = int(index)
        if first < shard.trimmed:
            raise AwsCallError("GetRecords", "TrimmedDataAccessException", "trimmed", 400)
        found = shard.records[first : first + min(self._read, payload["Limit"])]
        self.calls.append(("GetRecords", name))
        after = first + len(found)
        ended = shard.closed and after == len(shard.records)
        # A reader may change the records it is given.
        copies = [{**record, "dynamodb": dict(record["dynamodb"])} for record in found]
        return {"Records": copies, **({} if ended else {"NextShardIterator": f"{name} {after}"})}

    def _shard(self, shard_id: str) -> FakeShard:
        if shard_id not in self.shards:
            raise AwsCallError("GetRecords", "ResourceNotFoundException", "no such shard", 400)
        return self.shards[shard_id]
