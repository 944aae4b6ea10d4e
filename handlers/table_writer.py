"""Writes items with BatchWriteItem and finds out, row by row, what became of them.

Items arrive as JSON text ready for the wire; see `ItemEncoder`. Throttled or unprocessed items are retried with
jitter until the deadline; when the table refuses a call as invalid, it is split until only the guilty are left.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring as quote
from typing import Any

from handlers.aws import AwsError, Backoff, JsonClient
from handlers.record_batch import KEY, NUMBER_ATTRIBUTES, Row

BATCH_ITEMS = 25
BATCH_BYTES = 15 * 1024 * 1024
"""BatchWriteItem takes 25 puts and 16 MB (DynamoDB API reference); a margin is left for the envelope."""

_EMPTY, _NULL = '{"S":""}', '{"NULL":true}'
"""An empty cell is stored as DynamoDB's NULL: it says "no value", and engines older than 2020 refuse empty strings."""

KEYS_PER_GET = 100
"""Keys of one BatchGetItem (DynamoDB API reference)."""


@dataclass
class Written:
    """What became of the items of one call, by their position: invalid ones with the table's reason, and those
    for which time ran out."""

    invalid: dict[int, str] = field(default_factory=dict)
    unwritten: set[int] = field(default_factory=set)


class ItemEncoder:
    """Encodes rows of one column set as put requests; a row costs a join rather than a walk over dicts.

    `fixed` are attributes that every item gets, such as its status.
    """

    def __init__(self, source_id: str, columns: Sequence[str], fixed: dict[str, str]) -> None:
        pieces = [f'{{"PutRequest":{{"Item":{{"{KEY}":{{"S":{quote(source_id)[:-1]}#']
        tail = "".join(f",{quote(k)}:{{{_kind(k)}:{quote(v)}}}" for k, v in fixed.items())
        for column in columns:
            lead = '"},' if len(pieces) == 1 else "},"
            pieces.append(f"{lead}{quote(column)}:{{{_kind(column)}:")
        # One piece before each value; the last closes the item. Row and values go to the odd places.
        self._parts = [part for piece in pieces for part in (piece, "")]
        self._parts.append(('"}' if not columns else "}") + tail + "}}}")

    def encode(self, row: Row) -> str:
        """Return one put request as JSON text; `row` is [row number, cells...]."""
        parts = self._parts
        number, *cells = row
        parts[1::2] = (str(number), *map(quote, cells))
        # Quotes inside values are escaped, so only whole empty values can look like this.
        return "".join(parts).replace(_EMPTY, _NULL)


def _kind(attribute: str) -> str:
    return '"N"' if attribute in NUMBER_ATTRIBUTES else '"S"'


class TableWriter:
    """Puts items into one table."""

    def __init__(self, dynamodb: JsonClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def put(self, requests: Sequence[str], deadline: float) -> Written:
        """Write put requests of distinct keys; returns what was not written.

        Raises AwsError for errors that concern the whole call and no item, such as a missing table.
        """
        written = Written()
        for positions in _chunks(requests):
            self._put_chunk(requests, positions, deadline, written)
        return written

    def existing(self, record_ids: Sequence[str], deadline: float) -> set[str] | None:
        """Return which of the keys have an item, read consistently; None where time ran out."""
        found: set[str] = set()
        for start in range(0, len(record_ids), KEYS_PER_GET):
            keys: Any = [{KEY: {"S": k}} for k in record_ids[start : start + KEYS_PER_GET]]
            backoff = Backoff(deadline)
            while keys:
                request = {"Keys": keys, "ConsistentRead": True, "ProjectionExpression": KEY}
                try:
                    answer = self._dynamodb.call(
                        "BatchGetItem", json.dumps({"RequestItems": {self._table: request}}), deadline
                    )
                except AwsError as error:
                    if error.retryable:
                        return None
                    raise
                found.update(item[KEY]["S"] for item in answer["Responses"].get(self._table, []))
                keys = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys")
                if keys and not backoff.sleep():
                    return None
        return found

    def _put_chunk(self, requests: Sequence[str], positions: list[int], deadline: float, written: Written) -> None:
        try:
            self._put_once(requests, positions, deadline, written)
        except AwsError as error:
            if error.retryable:
                written.unwritten.update(positions)
            elif not error.about_content:
                raise
            elif len(positions) == 1:
                written.invalid[positions[0]] = error.message
            else:
                middle = len(positions) // 2
                self._put_chunk(requests, positions[:middle], deadline, written)
                self._put_chunk(requests, positions[middle:], deadline, written)

    def _put_once(self, requests: Sequence[str], positions: list[int], deadline: float, written: Written) -> None:
        body = f'{{"RequestItems":{{{quote(self._table)}:[{",".join(requests[i] for i in positions)}]}}}}'
        answer = self._dynamodb.call("BatchWriteItem", body, deadline)
        left = answer.get("UnprocessedItems", {}).get(self._table)
        if not left:
            return
        # The answer repeats items rather than naming them: their keys say which positions are left.
        by_key = {json.loads(requests[i])["PutRequest"]["Item"][KEY]["S"]: i for i in positions}
        backoff = Backoff(deadline)
        while left:
            if not backoff.sleep():
                written.unwritten.update(by_key[r["PutRequest"]["Item"][KEY]["S"]] for r in left)
                return
            try:
                answer = self._dynamodb.call(
                    "BatchWriteItem", json.dumps({"RequestItems": {self._table: left}}), deadline
                )
            except AwsError as error:
                if not error.retryable:
                    raise
                written.unwritten.update(by_key[r["PutRequest"]["Item"][KEY]["S"]] for r in left)
                return
            left = answer.get("UnprocessedItems", {}).get(self._table)


def _chunks(requests: Sequence[str]) -> list[list[int]]:
    chunks: list[list[int]] = []
    size = 0
    for position, request in enumerate(requests):
        # A character takes at most four bytes; only batches of huge items come near the limit.
        cost = len(request) if request.isascii() else len(request) * 4
        if not chunks or len(chunks[-1]) == BATCH_ITEMS or size + cost > BATCH_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(position)
        size += cost
    return chunks
