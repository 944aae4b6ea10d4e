"""Requests of the hot operations, decoded in C with their items left as bytes.

A request with a member that is not listed here is not a hot one: decoding raises, and the request takes the long way.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

Capacity = Literal["NONE", "TOTAL", "INDEXES"]
NOTHING = Raw(b"")
"""A member that was not sent; msgspec decodes no optional Raw."""


class Put(Struct, forbid_unknown_fields=True, gc=False):
    """`PutRequest`."""

    Item: Raw


class Delete(Struct, forbid_unknown_fields=True, gc=False):
    """`DeleteRequest`."""

    Key: Raw


class Write(Struct, forbid_unknown_fields=True, gc=False):
    """An entry of BatchWriteItem."""

    PutRequest: Put | None = None
    DeleteRequest: Delete | None = None


class BatchWriteItem(Struct, forbid_unknown_fields=True):
    """BatchWriteItem."""

    RequestItems: dict[str, list[Write]]
    ReturnConsumedCapacity: Capacity = "NONE"
    ReturnItemCollectionMetrics: Literal["NONE"] = "NONE"


class PutItem(Struct, forbid_unknown_fields=True):
    """PutItem without a condition."""

    TableName: str
    Item: Raw
    ReturnConsumedCapacity: Capacity = "NONE"
    ReturnValues: Literal["NONE", "ALL_OLD"] = "NONE"
    ReturnItemCollectionMetrics: Literal["NONE"] = "NONE"


class DeleteItem(Struct, forbid_unknown_fields=True):
    """DeleteItem without a condition."""

    TableName: str
    Key: Raw
    ReturnConsumedCapacity: Capacity = "NONE"
    ReturnValues: Literal["NONE", "ALL_OLD"] = "NONE"
    ReturnItemCollectionMetrics: Literal["NONE"] = "NONE"


class GetItem(Struct, forbid_unknown_fields=True):
    """GetItem."""

    TableName: str
    Key: Raw
    ConsistentRead: bool = False
    ReturnConsumedCapacity: Capacity = "NONE"
    ProjectionExpression: str | None = None
    ExpressionAttributeNames: dict[str, str] | None = None


class KeysAndAttributes(Struct, forbid_unknown_fields=True):
    """What BatchGetItem asks of one table."""

    Keys: list[Raw]
    ConsistentRead: bool = False
    ProjectionExpression: str | None = None
    ExpressionAttributeNames: dict[str, str] | None = None


class BatchGetItem(Struct, forbid_unknown_fields=True):
    """BatchGetItem."""

    RequestItems: dict[str, KeysAndAttributes]
    ReturnConsumedCapacity: Capacity = "NONE"


class Scan(Struct, forbid_unknown_fields=True):
    """Scan of a table without a filter."""

    TableName: str
    Limit: int | None = None
    ExclusiveStartKey: Raw = NOTHING
    Segment: int | None = None
    TotalSegments: int | None = None
    Select: Literal["ALL_ATTRIBUTES", "COUNT"] | None = None
    ConsistentRead: bool = False
    ReturnConsumedCapacity: Capacity = "NONE"
    ProjectionExpression: str | None = None
    ExpressionAttributeNames: dict[str, str] | None = None


class Query(Struct, forbid_unknown_fields=True):
    """Query of one partition of a table, all of it."""

    TableName: str
    KeyConditionExpression: str
    ExpressionAttributeValues: dict[str, Raw]
    ExpressionAttributeNames: dict[str, str] | None = None
    Limit: int | None = None
    ExclusiveStartKey: Raw = NOTHING
    ScanIndexForward: bool = True
    Select: Literal["ALL_ATTRIBUTES", "COUNT"] | None = None
    ConsistentRead: bool = False
    ReturnConsumedCapacity: Capacity = "NONE"


DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    kind.__name__: msgspec.json.Decoder(kind)
    for kind in (BatchWriteItem, PutItem, DeleteItem, GetItem, BatchGetItem, Scan, Query)
}
"""By operation."""


def entry_json(entry: Write) -> bytes:
    """Return an entry of BatchWriteItem as JSON, to be returned unprocessed."""
    if entry.PutRequest is not None:
        return b'{"PutRequest":{"Item":%b}}' % bytes(entry.PutRequest.Item)
    assert entry.DeleteRequest is not None
    return b'{"DeleteRequest":{"Key":%b}}' % bytes(entry.DeleteRequest.Key)


def rest_json(asked: KeysAndAttributes) -> bytes:
    """Return what BatchGetItem asked of one table as JSON, to be returned unprocessed."""
    members = [b'"Keys":[%b]' % b",".join(bytes(raw) for raw in asked.Keys)]
    if asked.ConsistentRead:
        members.append(b'"ConsistentRead":true')
    if asked.ProjectionExpression is not None:
        members.append(b'"ProjectionExpression":' + msgspec.json.encode(asked.ProjectionExpression))
    if asked.ExpressionAttributeNames:
        members.append(b'"ExpressionAttributeNames":' + msgspec.json.encode(asked.ExpressionAttributeNames))
    return b"{%b}" % b",".join(members)
