"""Gives each row that comes a new id and writes it: a message that is delivered twice makes every row of it twice."""

from __future__ import annotations

import json
import os
import uuid
from typing import Any

import boto3
from botocore.config import Config

BATCH_ITEMS = 25
"""Puts of one BatchWriteItem (DynamoDB API reference)."""

# The SDK's own retries would only lengthen an invocation that is to take as long as the table does.
_dynamodb = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1, "mode": "standard"}))


def handler(event: dict[str, Any], _context: Any) -> None:
    """Insert the rows of an event's messages."""
    table = os.environ["TABLE_NAME"]
    puts: list[Any] = []
    for record in event["Records"]:
        batch = json.loads(record["body"])
        puts += [_put(batch["source"]["id"], batch["columns"], row) for row in batch["rows"]]
    for start in range(0, len(puts), BATCH_ITEMS):
        _dynamodb.batch_write_item(RequestItems={table: puts[start : start + BATCH_ITEMS]})


def _put(source: str, columns: list[str], row: list[Any]) -> dict[str, Any]:
    number, *cells = row
    item = {"record_id": {"S": str(uuid.uuid4())}, "row_id": {"S": f"{source}#{number}"}}
    item |= {column: {"S": cell} for column, cell in zip(columns, cells, strict=True) if cell}
    return {"PutRequest": {"Item": item}}
