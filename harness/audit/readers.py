"""Reads where rows are: items, quarantine objects, dead letters. No judgement here."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from handlers.aws import JsonClient
from handlers.record_batch import KEY, RecordBatchError, Source, decode, parse_record_id, record_id
from harness.audit.model import Item, Places
from harness.engines.base import Deployment, Engine
from harness.errors import EngineError
from harness.queues import peek
from harness.stages import STAGES

GET_KEYS = 100
"""Keys of one BatchGetItem (DynamoDB API reference)."""


class ItemReader:
    """Reads items by source and row number; one per thread."""

    def __init__(self, engine: Engine, table: str, columns: Sequence[str] | None) -> None:
        self._client = JsonClient("dynamodb", engine.session(), engine.endpoints.url("dynamodb"))
        self._table = table
        self._columns = columns

    def read(self, source_id: str, rows: Iterable[int]) -> dict[int, Item]:
        """Return the items of these rows that exist. Without columns only their status is read."""
        found: dict[int, Item] = {}
        keys: list[Any] = [{KEY: {"S": record_id(source_id, row)}} for row in rows]
        while keys:
            request: dict[str, Any] = {"Keys": keys[:GET_KEYS], "ConsistentRead": True}
            if self._columns is None:
                request |= {
                    "ProjectionExpression": f"{KEY}, #s",
                    "ExpressionAttributeNames": {"#s": "_status"},
                }
            body = json.dumps({"RequestItems": {self._table: request}})
            answer = self._client.call("BatchGetItem", body)
            for raw in answer["Responses"].get(self._table, []):
                _, row = parse_record_id(raw[KEY]["S"])
                found[row] = self._item(raw)
            left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            keys = left + keys[GET_KEYS:]
        return found

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _item(self, raw: dict[str, dict[str, Any]]) -> Item:
        own, cells = {}, {}
        for name, value in raw.items():
            ((kind, text),) = value.items()
            if kind == "NULL":
                text = ""
            if name.startswith("_"):
                own[name] = text
            elif name != KEY:
                cells[name] = text
        if self._columns is not None:
            expected = {name: cells.pop(name) for name in self._columns if name in cells}
            cells = {**expected, **cells}
        return Item(cells, own)


def read_places(engine: Engine, deployment: Deployment, source: Source) -> Places:
    """Return where rows of one source are outside the table."""
    dlqs: dict[str, dict[int, list[str]]] = {}
    whole = ""
    for stage in STAGES:
        rows: dict[int, list[str]] = defaultdict(list)
        for message in peek(engine.client("sqs"), deployment.output(stage.dlq)):
            if stage.name == "clean":
                whole = "clean DLQ" if _names(message["Body"], source) else whole
            elif stage.name == "capture":
                _add_stream_rows(engine, message["Body"], source, rows)
            else:
                _add_batch_rows(message["Body"], source, rows)
        dlqs[stage.name] = rows
    quarantined = read_quarantine(engine, deployment, source)
    if 0 in quarantined:
        # Row 0 stands for an object that was rejected as a whole.
        whole = "quarantined"
        del quarantined[0]
    return Places(quarantined, dlqs, whole)


def read_quarantine(engine: Engine, deployment: Deployment, source: Source) -> dict[int, list[str]]:
    """Return row to reasons of one source's quarantine objects."""
    s3, bucket = engine.client("s3"), deployment.output("UploadBucket")
    found: dict[int, list[str]] = defaultdict(list)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"quarantine/{source.source_id}/")
    for page in pages:
        for entry in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            for line in body.decode("ascii").splitlines():
                reject = json.loads(line)
                found[reject["row"]].append(reject["reason"])
    return found


def _add_batch_rows(body: str, source: Source, rows: dict[int, list[str]]) -> None:
    try:
        batch = decode(body)
    except RecordBatchError as error:
        raise EngineError(f"a dead letter is no record batch: {error}") from error
    if batch.source_id != source.source_id:
        return
    reason = batch.error.reason if batch.error else "whole message"
    for row in batch.rows:
        rows[row[0]].append(reason)


def _names(body: str, source: Source) -> bool:
    """Return whether the record of a failed asynchronous invocation is about `source`."""
    from urllib.parse import unquote_plus

    for record in json.loads(body)["requestPayload"]["Records"]:
        found = record["s3"]["object"]
        if record["s3"]["bucket"]["name"] == source.bucket and unquote_plus(found["key"]) == source.key:
            version = found.get("versionId") or found.get("eTag")
            return version in (source.version, None, "null")
    return False


def _add_stream_rows(engine: Engine, body: str, source: Source, rows: dict[int, list[str]]) -> None:
    """Find the rows behind a stream's dead letter, which gives positions only, in the stream itself."""
    letter = json.loads(body)
    info = letter["DDBStreamBatchInfo"]
    streams = engine.client("dynamodbstreams")
    iterator = streams.get_shard_iterator(
        StreamArn=info["streamArn"],
        ShardId=info["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=info["startSequenceNumber"],
    )["ShardIterator"]
    while iterator:
        answer = streams.get_records(ShardIterator=iterator, Limit=1000)
        for record in answer["Records"]:
            image = record["dynamodb"].get("NewImage", {})
            if image.get("_status", {}).get("S") == "inserted":
                source_id, row = parse_record_id(image[KEY]["S"])
                if source_id == source.source_id:
                    rows[row].append(letter["requestContext"]["condition"])
            if record["dynamodb"]["SequenceNumber"] == info["endSequenceNumber"]:
                return
        if not answer["Records"]:
            return
        iterator = answer.get("NextShardIterator")
