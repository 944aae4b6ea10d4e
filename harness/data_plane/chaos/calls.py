"""What a request asks for, in either protocol: service, operation, and the queues or tables that it names."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from harness.data_plane.chaos.services import TARGETS
from harness.data_plane.http_server import Headers

_TABLE_OF_ARN = re.compile(r"arn:[^:]*:dynamodb:[^:]*:[^:]*:table/([^/|]+)")
_TRANSACTIONS = ("Put", "Update", "Delete", "ConditionCheck", "Get")
_MAX_FIELDS = 10_000


@dataclass(frozen=True)
class Call:
    """One request. `form` says that it is of SQS's query protocol: `fields` are its parameters in order."""

    service: str
    operation: str
    target: str
    headers: Headers
    body: bytes
    form: bool = False
    fields: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any] | None:
        """Return the request's JSON object; None where it is none, so that the service may say so."""
        try:
            found = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) else None

    def resources(self) -> frozenset[str]:
        """Return the names of the queues or tables that the request names."""
        if self.form:
            given: dict[str, Any] = dict(self.fields)
            path = urlsplit(self.target).path
            if path.count("/") >= 2:
                given.setdefault("QueueUrl", path)
        else:
            given = self.document() or {}
        return frozenset(_queues(given) if self.service == "sqs" else _tables(given))


def call_of(target: str, headers: Headers, body: bytes) -> Call | None:
    """Return what a request asks for; None where it is no request of a known service."""
    named = headers.get(b"x-amz-target")
    if named is not None:
        prefix, _, operation = named.partition(b".")
        service = TARGETS.get(prefix)
        return None if service is None else Call(service, operation.decode("latin-1"), target, headers, body)
    try:
        query = urlsplit(target).query
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
        fields += parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        return None
    action = dict(fields).get("Action", "")
    return Call("sqs", action, target, headers, body, True, tuple(fields)) if action else None


def table_name(value: str) -> str:
    """Return the name of a table that is given by its name or its ARN, or a stream's ARN."""
    found = _TABLE_OF_ARN.search(value)
    return found[1] if found else value


def _queues(request: dict[str, Any]) -> Iterator[str]:
    for key, separator in (("QueueUrl", "/"), ("QueueName", "/"), ("SourceArn", ":")):
        value = request.get(key)
        if isinstance(value, str) and value:
            yield value.rstrip("/").rpartition(separator)[2]


def _tables(request: dict[str, Any]) -> Iterator[str]:
    for key in ("TableName", "TableArn", "StreamArn", "ResourceArn"):
        if isinstance(value := request.get(key), str):
            yield table_name(value)
    if isinstance(iterator := request.get("ShardIterator"), str):
        yield from _table_of_iterator(iterator)
    if isinstance(items := request.get("RequestItems"), dict):
        yield from map(table_name, items)
    if isinstance(entries := request.get("TransactItems"), list):
        parts = (entry.get(kind) for entry in entries if isinstance(entry, dict) for kind in _TRANSACTIONS)
        for part in parts:
            if isinstance(part, dict) and isinstance(name := part.get("TableName"), str):
                yield table_name(name)


def _table_of_iterator(text: str) -> Iterator[str]:
    try:
        found = _TABLE_OF_ARN.search(base64.b64decode(text, validate=True).decode())
    except (binascii.Error, ValueError):
        return
    if found:
        yield found[1]
