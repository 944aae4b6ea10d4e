"""Reads where rows are: items, quarantine objects, dead letters. No judgement here."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from handlers.aws import JsonClient
from handlers.record_batch import KEY, RecordBatchError, Source, decode, parse_record_id, record_id
from harness.audit.model import Item, Places
from harness.engines.base import Deployment, Engine
from harness.errors import EngineError
from harness.queues import peek
from harness.stages import STAGES

GET_KEYS = 100
"""Keys of one BatchGetItem (DynamoDB API reference)."""

QUARANTINE = "quarantine/"
"""The template's QuarantinePrefix."""


class ItemReader:
    """Reads items by source and row number; one per thread."""

    def __init__(self, engine: Engine, table: str) -> None:
        self._client = JsonClient("dynamodb", engine.session(), engine.endpoints.url("dynamodb"))
        self._table = table

    def read(self, source_id: str, rows: Iterable[int], columns: Sequence[str] | None) -> dict[int, Item]:
        """Return the items of these rows that exist. Without columns only their status is read."""
        found: dict[int, Item] = {}
        keys: list[Any] = [{KEY: {"S": record_id(source_id, row)}} for row in rows]
        while keys:
            request: dict[str, Any] = {"Keys": keys[:GET_KEYS], "ConsistentRead": True}
            if columns is None:
                request |= {
                    "ProjectionExpression": f"{KEY}, #s",
                    "ExpressionAttributeNames": {"#s": "_status"},
                }
            body = json.dumps({"RequestItems": {self._table: request}})
            answer = self._client.call("BatchGetItem", body)
            for raw in answer["Responses"].get(self._table, []):
                _, row = parse_record_id(raw[KEY]["S"])
                found[row] = _item(raw, columns)
            left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            keys = left + keys[GET_KEYS:]
        return found

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _item(raw: dict[str, dict[str, Any]], columns: Sequence[str] | None) -> Item:
    own, cells = {}, {}
    for name, value in raw.items():
        ((kind, text),) = value.items()
        if kind == "NULL":
            text = ""
        if name.startswith("_"):
            own[name] = text
        elif name != KEY:
            cells[name] = text
    if columns is not None:
        expected = {name: cells.pop(name) for name in columns if name in cells}
        cells = {**expected, **cells}
    return Item(cells, own)


class _Found:
    """Where rows of one source are, while it is being read."""

    def __init__(self) -> None:
        self.dlqs: dict[str, dict[int, list[str]]] = {stage.name: defaultdict(list) for stage in STAGES}
        self.quarantined: dict[int, list[str]] = defaultdict(list)
        self.whole = ""

    def places(self) -> Places:
        """Return what was found."""
        if 0 in self.quarantined:
            # Row 0 stands for an object that was rejected as a whole.
            self.whole = "quarantined"
            del self.quarantined[0]
        return Places(self.quarantined, self.dlqs, self.whole)


def read_places(engine: Engine, deployment: Deployment, sources: Iterable[Source]) -> dict[str, Places]:
    """Return where rows of these sources are outside the table, by source id.

    Every dead-letter queue and the quarantine are read once for all sources.
    """
    wanted = list(sources)
    found = {source.source_id: _Found() for source in wanted}
    by_object: dict[tuple[str, str], list[Source]] = defaultdict(list)
    for source in wanted:
        by_object[source.bucket, source.key].append(source)
    for stage in STAGES:
        for message in peek(engine.client("sqs"), deployment.output(stage.dlq)):
            if stage.name == "clean":
                for source in _named(message["Body"], by_object):
                    found[source.source_id].whole = "clean DLQ"
            else:
                letters = _stream_rows(engine, message["Body"]) if stage.name == "capture" else _rows(message["Body"])
                for source_id, row, reason in letters:
                    if source_id in found:
                        found[source_id].dlqs[stage.name][row].append(reason)
    _read_quarantine(engine, deployment.output("UploadBucket"), found)
    return {source_id: one.places() for source_id, one in found.items()}


def _read_quarantine(engine: Engine, bucket: str, found: Mapping[str, _Found]) -> None:
    s3 = engine.client("s3")
    # One listing of everything serves many sources best; a single one is asked for by its name.
    prefix = f"{QUARANTINE}{next(iter(found))}/" if len(found) == 1 else QUARANTINE
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            one = found.get(entry["Key"].removeprefix(QUARANTINE).partition("/")[0])
            if one is None:
                continue
            body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            for line in body.decode("ascii").splitlines():
                reject = json.loads(line)
                one.quarantined[reject["row"]].append(reject["reason"])


def _rows(body: str) -> Iterator[tuple[str, int, str]]:
    """Yield source id, row and reason of every row in a dead letter that is a record batch."""
    try:
        batch = decode(body)
    except RecordBatchError as error:
        raise EngineError(f"a dead letter is no record batch: {error}") from error
    reason = batch.error.reason if batch.error else "whole message"
    for row in batch.rows:
        yield batch.source_id, row[0], reason


def _named(body: str, by_object: Mapping[tuple[str, str], list[Source]]) -> Iterator[Source]:
    """Yield the sources that the record of a failed asynchronous invocation is about."""
    for record in json.loads(body)["requestPayload"]["Records"]:
        found = record["s3"]["object"]
        version = found.get("versionId") or found.get("eTag")
        for source in by_object.get((record["s3"]["bucket"]["name"], unquote_plus(found["key"])), []):
            if version in (source.version, None, "null"):
                yield source


def _stream_rows(engine: Engine, body: str) -> Iterator[tuple[str, int, str]]:
    """Yield the rows behind a stream's dead letter, which gives positions only, from the stream itself."""
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
                yield *parse_record_id(image[KEY]["S"]), letter["requestContext"]["condition"]
            if record["dynamodb"]["SequenceNumber"] == info["endSequenceNumber"]:
                return
        if not answer["Records"]:
            return
        iterator = answer.get("NextShardIterator")
