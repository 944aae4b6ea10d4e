"""Writes the rows of each message with BatchWriteItem, and takes an answer for success.

BatchWriteItem raises only when it wrote nothing at all. When a part was throttled, it answers with success and
`UnprocessedItems`, which this function does not look at: those rows are gone, and their message is deleted.
"""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
from botocore.config import Config

BATCH_ITEMS = 25
"""Puts of one BatchWriteItem (DynamoDB API reference)."""

# The SDK's own retries go on for up to half a minute, longer than a function's default time-out of 3 s: the message
# comes back either way. Without them the function meets each answer of the table as it is.
_dynamodb = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1, "mode": "standard"}))


def handler(event: dict[str, Any], _context: Any) -> None:
    """Insert the rows of an event's messages."""
    table = os.environ["TABLE_NAME"]
    for record in event["Records"]:
        batch = json.loads(record["body"])
        source, columns = batch["source"]["id"], batch["columns"]
        puts: list[Any] = [_put(source, columns, row) for row in batch["rows"]]
        for start in range(0, len(puts), BATCH_ITEMS):
            _dynamodb.batch_write_item(RequestItems={table: puts[start : start + BATCH_ITEMS]})


def _put(source: str, columns: list[str], row: list[Any]) -> dict[str, Any]:
    number, *cells = row
    item = {"record_id": {"S": f"{source}#{number}"}}
    item |= {column: {"S": cell} for column, cell in zip(columns, cells, strict=True) if cell}
    return {"PutRequest": {"Item": item}}
