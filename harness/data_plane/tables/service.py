"""DynamoDB and DynamoDB Streams behind one function of a request: who serves it, who commits, how refusals look."""

from __future__ import annotations

import logging
import re
import secrets
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from harness.data_plane.tables import module as ministack
from harness.data_plane.tables.capacity import Ledger, Throttled
from harness.data_plane.tables.catalog import Catalog
from harness.data_plane.tables.delegate import Delegate
from harness.data_plane.tables.hot import HotOperations
from harness.data_plane.tables.paths import UNMETERED_PATH, USAGE_PATH
from harness.data_plane.tables.shapes import WrongType, shapes
from harness.data_plane.tables.streams import StreamError, Streams

_log = logging.getLogger(__name__)

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]

TABLES_TARGET = b"DynamoDB_20120810"
STREAMS_TARGET = b"DynamoDBStreams_20120810"
DEFAULT_ACCOUNT = "000000000000"
_credential = re.compile(rb"Credential=([^/,\s]+)/[^/,]*/([^/,\s]+)/").search
_account = re.compile(r"[0-9]{12}").fullmatch
_JSON = (b"Content-Type", b"application/x-amz-json-1.0")


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class TableService:
    """All tables of the process; `handle` serves one request."""

    def __init__(
        self,
        directory: Path | None = None,
        *,
        enforce_capacity: bool = False,
        shards: int | None = None,
        region: str = "us-east-1",
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """Load MiniStack's module and what `directory` holds; raises EngineError, OSError."""
        self._region = region
        loaded = ministack.load()
        self.module = loaded
        for name in ministack.STATE:
            getattr(loaded, name).clear()
        ministack.replace_stream_events(loaded)
        self.catalog = Catalog(loaded, directory, clock, shards)
        self.ledger = Ledger(enforce_capacity, lambda: clock() / 1000)
        self._hot = HotOperations(self.catalog, loaded, self.ledger, loaded.AWS_KEYWORDS)
        self._delegate = Delegate(self.catalog, loaded, self.ledger, clock)
        self._streams = Streams(self.catalog, clock, self.ledger)
        self._shapes = {TABLES_TARGET: shapes("dynamodb"), STREAMS_TARGET: shapes("dynamodbstreams")}
        self._scopes: dict[bytes, tuple[str, str]] = {}

    def handle(self, path: str, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
        """Serve one request of the JSON protocol, or of the control path."""
        if path == USAGE_PATH:
            return _answer(200, orjson.dumps({"Tables": self.usage()}))
        if path.startswith(UNMETERED_PATH):
            with self.ledger.paused():
                return self._api(headers, body)
        return self._api(headers, body)

    def _api(self, headers: Mapping[bytes, bytes], body: bytes) -> Answer:
        prefix, _, operation = headers.get(b"x-amz-target", b"").partition(b".")
        scope = self._scope(headers.get(b"authorization", b""))
        name = operation.decode("latin-1")
        try:
            if prefix == TABLES_TARGET:
                return self._serve(name, scope, body)
            if prefix == STREAMS_TARGET:
                return _answer(200, self._streams.serve(name, scope, self._request(prefix, name, body)))
            return _refusal("UnknownOperationException", f"Unknown service: {prefix.decode('latin-1')}")
        except StreamError as error:
            return _refusal(error.code, error.message)
        except RecursionError:
            self.catalog.rollback()
            return _refusal("ValidationException", "Nesting Levels have exceeded supported limits")
        except Throttled as throttled:
            self.catalog.rollback()
            return _throttled(throttled)
        except OSError as error:
            self.catalog.rollback()
            _log.error("storing the changes of %s failed: %s", name, error)
            return _refusal("InternalServerError", f"the changes could not be stored: {error.strerror}", status=500)
        except Exception:
            self.catalog.rollback()
            raise

    def _serve(self, operation: str, scope: tuple[str, str], body: bytes) -> Answer:
        answer = self._hot.serve(operation, scope, body)
        if answer is not None:
            self.catalog.commit(atomic=False)
            return _answer(200, answer)
        status, headers, answer = self._delegate.serve(operation, scope, self._request(TABLES_TARGET, operation, body))
        return _answer(status, answer, headers.get("x-amzn-errortype"))

    def _request(self, service: bytes, operation: str, body: bytes) -> dict[str, Any]:
        """Return the decoded request with members of the right types; raises StreamError."""
        try:
            return self._shapes[service].check(operation, _object(body))
        except WrongType as error:
            raise StreamError("SerializationException", str(error)) from error

    def _scope(self, authorization: bytes) -> tuple[str, str]:
        """Return account and region: a key of twelve digits is an account, as in MiniStack."""
        found = _credential(authorization)
        if found is None:
            return DEFAULT_ACCOUNT, self._region
        scope = self._scopes.get(found[0])
        if scope is None:
            key, region = found[1].decode("latin-1"), found[2].decode("latin-1")
            scope = key if _account(key) else DEFAULT_ACCOUNT, region
            if len(self._scopes) < 1000:
                self._scopes[found[0]] = scope
        return scope

    def usage(self) -> list[dict[str, Any]]:
        """Return what every table with its indexes has consumed, in capacity units, and what was refused, by reason.

        Counted since this process started: items refused, requests that met it, and calls of GetRecords.
        """
        return [
            {
                "Account": key[0],
                "Region": key[1],
                "TableName": key[2],
                "ReadUnits": used.read_units,
                "WriteUnits": used.write_units,
                "StreamReads": used.stream_reads,
                "Throttled": dict(used.throttled),
                "ThrottledRequests": dict(used.throttled_requests),
            }
            for key, used in self.ledger.usage.items()
        ]

    def tend(self) -> None:
        """Do what time asks for: expire items, roll shards, forget old streams; call it every few seconds."""
        self._delegate.expire_items()
        for held in list(self.catalog.tables.values()):
            held.store.roll_old()
            if self.ledger.enforced:
                held.store.split_to(self.ledger.partitions(held.key))
        self.catalog.remove_expired()

    def close(self) -> None:
        """Close the files."""
        self.catalog.close()


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise StreamError("SerializationException", f"malformed JSON: {error}") from error
    if not isinstance(value, dict):
        raise StreamError("SerializationException", "the request must be a JSON object")
    return value


def _answer(status: int, body: bytes, error: str | None = None) -> Answer:
    headers = [
        _JSON,
        (b"x-amzn-RequestId", secrets.token_hex(16).upper().encode()),
        (b"x-amz-crc32", b"%d" % zlib.crc32(body)),
    ]
    if error is not None:
        headers.append((b"x-amzn-errortype", error.encode()))
    return status, headers, body


def _refusal(code: str, message: str, status: int = 400, **members: Any) -> Answer:
    return _answer(status, orjson.dumps({"__type": code, "message": message, **members}), code)


def _throttled(throttled: Throttled) -> Answer:
    reasons = [{"reason": throttled.reason, "resource": throttled.resource}]
    if throttled.on_demand:
        return _refusal(
            "ThrottlingException",
            "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your "
            "table or index so please try again shortly.",
            throttlingReasons=reasons,
        )
    return _refusal(
        "ProvisionedThroughputExceededException",
        "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
        "provisioning level with the UpdateTable API.",
        ThrottlingReasons=reasons,
    )
