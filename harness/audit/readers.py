"""Reads where rows are: items, quarantine objects, dead letters. No judgement here."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from botocore.exceptions import ClientError
from msgspec import Raw, Struct

from handlers.aws import JsonClient
from handlers.record_batch import KEY, RecordBatchError, Source, parse_record_id, record_id
from harness.audit.model import QUARANTINED, Item, Place, Places, dlq
from harness.dead_letters import DeadLetter, Shape, StreamBatch, read_dead_letter
from harness.engines.base import Deployment, Engine
from harness.queues import peek
from harness.stages import STAGES

GET_KEYS = 100
"""Keys of one BatchGetItem (DynamoDB API reference)."""

QUARANTINE = "quarantine/"
"""The template's QuarantinePrefix."""

_GONE = frozenset(
    {
        "ResourceNotFoundException",
        "TrimmedDataAccessException",
        "ExpiredIteratorException",
        "ValidationException",
    }
)
"""Errors that say a stream, a shard or a position does not exist (any more) (DynamoDB Streams API reference)."""


class _Responses(Struct):
    Responses: dict[str, list[Raw]]
    UnprocessedKeys: dict[str, dict[str, Any]] | None = None


_responses = msgspec.json.Decoder(_Responses)


def _answer(data: bytes) -> _Responses:
    """Return the answer to BatchGetItem, its items as bytes; raises ValueError."""
    try:
        return _responses.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error


class ItemReader:
    """Reads items by source and row number with a boto3 session's credentials; one per thread."""

    def __init__(self, session: Any, url: str, table: str) -> None:
        self._client = JsonClient("dynamodb", session, url, decode=_answer)
        self._table = table

    def read(self, source_id: str, rows: Iterable[int]) -> Iterator[bytes]:
        """Yield the items of these rows that exist, as JSON, in any order."""
        return self._read(source_id, rows, {})

    def read_status(self, source_id: str, rows: Iterable[int]) -> Iterator[bytes]:
        """Yield of the items of these rows that exist the key and the status, as JSON, in any order."""
        return self._read(
            source_id,
            rows,
            {"ProjectionExpression": f"{KEY}, #s", "ExpressionAttributeNames": {"#s": "_status"}},
        )

    def _read(self, source_id: str, rows: Iterable[int], options: Mapping[str, Any]) -> Iterator[bytes]:
        keys: list[Any] = [{KEY: {"S": record_id(source_id, row)}} for row in rows]
        while keys:
            request: dict[str, Any] = {"Keys": keys[:GET_KEYS], "ConsistentRead": True, **options}
            body = msgspec.json.encode({"RequestItems": {self._table: request}})
            answer: _Responses = self._client.call("BatchGetItem", body)
            yield from map(bytes, answer.Responses.get(self._table, ()))
            left = (answer.UnprocessedKeys or {}).get(self._table, {}).get("Keys", [])
            keys = left + keys[GET_KEYS:]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def decode_item(image: bytes) -> dict[str, dict[str, Any]]:
    """Return an item of `ItemReader` as DynamoDB's API gives it."""
    item: dict[str, dict[str, Any]] = json.loads(image)
    return item


def row_of(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the row number in an item's key; raises RecordBatchError."""
    return parse_record_id(item[KEY]["S"])[1]


def item_of(raw: Mapping[str, Mapping[str, Any]], columns: Sequence[str] | None) -> Item:
    """Return an item that DynamoDB's API gave, its cells in the order of `columns`, others after them."""
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
        self.whole: Place | None = None
        self.refused = ""

    def places(self) -> Places:
        """Return what was found."""
        if 0 in self.quarantined:
            # Row 0 stands for an object that was rejected as a whole.
            self.whole = QUARANTINED
            self.refused = self.quarantined.pop(0)[0]
        return Places(self.quarantined, self.dlqs, self.whole, self.refused or "whole object")


@dataclass(frozen=True)
class Outside(Mapping[str, Places]):
    """Where rows are outside the table, by source id; every source that was asked for is there.

    `unattributed` counts the dead-letter messages that name no row, by stage and what they are; `other_objects` those
    whose rows are all of objects that were not asked for.
    """

    places: Mapping[str, Places]
    unattributed: Mapping[str, Counter[str]] = field(default_factory=dict)
    other_objects: int = 0

    def __getitem__(self, source_id: str) -> Places:
        return self.places[source_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def read_places(engine: Engine, deployment: Deployment, sources: Iterable[Source]) -> Outside:
    """Return where rows of these sources are outside the table.

    Every dead-letter queue and the quarantine are read once for all sources. Whatever lies in a queue is read: what is
    no row is counted and called none.
    """
    wanted = list(sources)
    found = {source.source_id: _Found() for source in wanted}
    by_object: dict[tuple[str, str], list[Source]] = defaultdict(list)
    for source in wanted:
        by_object[source.bucket, source.key].append(source)
    unattributed: dict[str, Counter[str]] = defaultdict(Counter)
    others = 0
    for stage in STAGES:
        for message in peek(engine.client("sqs"), deployment.output(stage.dlq), live=engine.live_counts):
            letter = read_dead_letter(message.get("Body", ""), message.get("MessageAttributes"))
            accounts, problem = _attribute(engine, stage.name, letter, found, by_object)
            if problem:
                unattributed[stage.name][problem] += 1
            elif not accounts:
                others += 1
    _read_quarantine(engine, deployment.output("UploadBucket"), found)
    return Outside({source_id: one.places() for source_id, one in found.items()}, unattributed, others)


def _attribute(
    engine: Engine,
    stage: str,
    letter: DeadLetter,
    found: Mapping[str, _Found],
    by_object: Mapping[tuple[str, str], list[Source]],
) -> tuple[bool, str]:
    """Enter one dead-letter message; returns whether it named a row that was asked for, and why it named none or not
    all of its rows."""
    accounts = False
    if stage == "clean" and letter.shape in (Shape.INVOCATION, Shape.EVENT):
        for source in _sources_of(letter, by_object):
            found[source.source_id].whole = dlq("clean")
            accounts = True
        return accounts, letter.problem
    problem = letter.problem
    rows: Iterable[tuple[str, int, str]] = ()
    if stage == "capture" and letter.stream is not None:
        rows, problem = _stream_rows(engine, letter.stream, letter.reason)
    elif stage not in ("clean", "capture") and letter.batch is not None:
        rows = ((letter.batch.source_id, row[0], letter.reason) for row in letter.batch.rows)
    elif not problem:
        problem = f"a {letter.shape.value} of another stage"
    for source_id, row, reason in rows:
        if source_id in found:
            found[source_id].dlqs[stage][row].append(reason)
            accounts = True
    return accounts, problem


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


def _named(body: str, by_object: Mapping[tuple[str, str], list[Source]]) -> Iterator[Source]:
    """Yield the sources that a dead-letter message about a failed event names; none for any other."""
    yield from _sources_of(read_dead_letter(body), by_object)


def _sources_of(letter: DeadLetter, by_object: Mapping[tuple[str, str], list[Source]]) -> Iterator[Source]:
    for named in letter.objects:
        for source in by_object.get((named.bucket, named.key), []):
            if named.version in (source.version, "", "null"):
                yield source


def _stream_rows(engine: Engine, batch: StreamBatch, reason: str) -> tuple[list[tuple[str, int, str]], str]:
    """Return source id, row and reason of the rows behind positions of a stream, read from the stream itself, and why
    they are not all: records stay in a stream for 24 hours."""
    streams = engine.client("dynamodbstreams")
    rows: list[tuple[str, int, str]] = []
    strangers = 0
    end = int(batch.end)
    try:
        iterator = streams.get_shard_iterator(
            StreamArn=batch.stream_arn,
            ShardId=batch.shard_id,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=batch.start,
        )["ShardIterator"]
        last = -1
        while iterator and last < end:
            answer = streams.get_records(ShardIterator=iterator, Limit=1000)
            for record in answer["Records"]:
                last = int(record["dynamodb"]["SequenceNumber"])
                if last > end:
                    break
                image = record["dynamodb"].get("NewImage", {})
                if image.get("_status", {}).get("S") != "inserted":
                    continue
                try:
                    rows.append((*parse_record_id(image[KEY]["S"]), reason))
                except (RecordBatchError, KeyError):
                    strangers += 1
            if not answer["Records"]:
                break
            iterator = answer.get("NextShardIterator")
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code not in _GONE:
            raise
        return rows, f"a failed stream batch whose records cannot be read any more ({code})"
    if last < end:
        return rows, "a failed stream batch whose records are not all there any more"
    return rows, "a failed stream batch with records that are no rows" if strangers else ""
