"""Calls to DynamoDB and SQS at a fifth of the usual client CPU.

boto3 spends 2.6 ms (5.4 ms with its defaults) of CPU on one BatchWriteItem of 25 items, mostly on parameter
validation and serialisation of what is already JSON; at 64,000 calls for 800,000 rows that is minutes of billed
time. `JsonClient` takes credentials, region and endpoint from a normal boto3 client (in Lambda from the variables that
Lambda sets, see `handlers.access`), and sends bodies over one connection that is kept.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from handlers.access import access_by_boto3, access_in_lambda
from handlers.http_connection import HttpConnection
from handlers.record_batch import SQS_MESSAGE_LIMIT
from handlers.signing import RequestSigner

if TYPE_CHECKING:
    import boto3

_TARGETS = {"dynamodb": ("DynamoDB_20120810", "1.0"), "sqs": ("AmazonSQS", "1.0")}

THROTTLING_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "RequestThrottled",
        "OverLimit",
    }
)
CONTENT_CODES = frozenset(
    {
        "ValidationException",
        "SerializationException",
        "ItemCollectionSizeLimitExceededException",
        "InvalidMessageContents",
        "InvalidParameterValue",
        "BatchRequestTooLong",
        "MessageTooLong",
        "RequestEntityTooLarge",
    }
)
"""Errors by which DynamoDB and SQS refuse what a call carries (their API references). Queues answer a message of too
many bytes with InvalidParameterValue. Any other final error concerns the call: its resource, or a permission."""

_CALL_SECONDS = 30.0
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.05, 3.0
SQS_BATCH_ENTRIES = 10
"""Entries of one SendMessageBatch or ChangeMessageVisibilityBatch (Amazon SQS quotas)."""


class AwsError(Exception):
    """A call was refused, or not answered before its deadline. `status` is 0 when nothing was answered."""

    def __init__(self, operation: str, code: str, message: str, status: int) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.operation = operation
        self.code = code
        self.message = message
        self.status = status

    def __reduce__(self) -> tuple[type[AwsError], tuple[str, str, str, int]]:
        return type(self), (self.operation, self.code, self.message, self.status)

    @property
    def throttled(self) -> bool:
        """Whether capacity was missing."""
        return self.code in THROTTLING_CODES

    @property
    def about_content(self) -> bool:
        """Whether something that the call carries was refused, so that the rest may pass without it."""
        return self.code in CONTENT_CODES or self.status == 413

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.throttled or self.status == 0 or self.status >= 500


class Backoff:
    """Full-jitter exponential backoff that ends at a deadline (monotonic seconds)."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._ceiling = _FIRST_BACKOFF

    def sleep(self) -> bool:
        """Sleep before the next try; False, at once, where the deadline leaves no time for one."""
        pause = random.uniform(0, self._ceiling)
        self._ceiling = min(_LONGEST_BACKOFF, self._ceiling * 2)
        if time.monotonic() + pause >= self._deadline:
            return False
        time.sleep(pause)
        return True


class JsonClient:
    """A client of one JSON-protocol service; not safe to share between threads or across a fork.

    `session` (default: boto3's) gives credentials and region, `endpoint_url` (default: the SDK's own choice,
    environment included) the endpoint. `decode` (default: json.loads) makes of an answer's body what `call` returns;
    it raises ValueError.
    """

    def __init__(
        self,
        service: str,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
        decode: Callable[[bytes], Any] = json.loads,
    ) -> None:
        access = None if session or endpoint_url else access_in_lambda(service)
        access = access or access_by_boto3(service, session, endpoint_url)
        self._target, version = _TARGETS[service]
        self._url = urlsplit(access.url)
        self._signer = RequestSigner(service, access.region, access.url, f"application/x-amz-json-{version}")
        self._keys = access.keys
        self._decode = decode
        self._connection: HttpConnection | None = None

    def call(self, operation: str, body: str | bytes, deadline: float | None = None) -> Any:
        """Send one request whose JSON body is ready and return the decoded answer, by default a dict.

        Connection errors, 5xx and throttling are retried until `deadline` (monotonic seconds; default 30 s from
        now); raises AwsError after that, or at once for an error that is final.
        """
        data = body.encode("utf-8") if isinstance(body, str) else body
        backoff = Backoff(deadline if deadline is not None else time.monotonic() + _CALL_SECONDS)
        while True:
            try:
                return self._attempt(operation, data)
            except AwsError as error:
                if not error.retryable or not backoff.sleep():
                    raise

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, operation: str, data: bytes) -> Any:
        request = self._request(operation, data)
        fresh = self._connection is None
        try:
            status, answer = self._exchange(request)
        except (OSError, http.client.HTTPException) as error:
            if fresh:
                raise AwsError(operation, "ConnectionError", f"{type(error).__name__}: {error}", 0) from error
            # The other end may have closed a connection that was kept alive: that costs no retry.
            try:
                status, answer = self._exchange(request)
            except (OSError, http.client.HTTPException) as again:
                raise AwsError(operation, "ConnectionError", f"{type(again).__name__}: {again}", 0) from again
        if status == 200:
            try:
                return self._decode(answer or b"{}")
            except ValueError as error:
                raise AwsError(operation, "Unparsable", str(error), 0) from error
        raise _refusal(operation, status, answer)

    def _request(self, operation: str, data: bytes) -> bytes:
        keys = self._keys()
        if keys is None:
            raise AwsError(operation, "NoCredentials", "no AWS credentials were found", 403)
        return self._signer.head(f"{self._target}.{operation}", data, keys) + data

    def _exchange(self, request: bytes) -> tuple[int, bytes]:
        try:
            if self._connection is None:
                self._connection = HttpConnection(self._url)
            status, answer = self._connection.exchange(request)
        except BaseException:
            # Half an answer may be left in it.
            self.close()
            raise
        if not self._connection.reusable:
            self.close()
        return status, answer


@cache
def client(service: str) -> JsonClient:
    """Return this execution environment's client of a service; forked children must make their own."""
    return JsonClient(service)


def deadline_of(context: Any, margin: float = 3.0) -> float:
    """Return the monotonic second by which an invocation must be done, `margin` seconds before its time-out."""
    remaining: int = context.get_remaining_time_in_millis()
    return time.monotonic() + remaining / 1000 - margin


def send_messages(
    sqs: JsonClient, queue_url: str, bodies: Sequence[str], deadline: float
) -> list[tuple[int, AwsError]]:
    """Send messages in as few SendMessageBatch calls as the limits allow.

    Returns the index and error of every message that was not accepted: an HTTP 200 can hide failed entries,
    and those that may succeed later are retried until `deadline`. Raises nothing for refused messages.
    """
    failed: list[tuple[int, AwsError]] = []
    for group in _message_groups(bodies):
        failed += _send_group(sqs, queue_url, group, bodies, deadline)
    return failed


def _message_groups(bodies: Sequence[str]) -> Iterable[list[int]]:
    group: list[int] = []
    size = 0
    for index, body in enumerate(bodies):
        cost = len(body) if body.isascii() else len(body.encode("utf-8"))
        if group and (len(group) == SQS_BATCH_ENTRIES or size + cost > SQS_MESSAGE_LIMIT):
            yield group
            group, size = [], 0
        group.append(index)
        size += cost
    if group:
        yield group


def _send_group(
    sqs: JsonClient, queue_url: str, group: list[int], bodies: Sequence[str], deadline: float
) -> list[tuple[int, AwsError]]:
    backoff = Backoff(deadline)
    final: list[tuple[int, AwsError]] = []
    while True:
        entries = [{"Id": str(i), "MessageBody": bodies[i]} for i in group]
        request = json.dumps({"QueueUrl": queue_url, "Entries": entries}, ensure_ascii=False)
        try:
            answer = sqs.call("SendMessageBatch", request, deadline)
        except AwsError as error:
            return final + [(i, error) for i in group]
        again: list[tuple[int, AwsError]] = []
        for entry in answer.get("Failed") or []:
            status = 400 if entry.get("SenderFault") else 500
            refused = AwsError("SendMessageBatch", str(entry.get("Code")), str(entry.get("Message") or ""), status)
            (again if refused.retryable else final).append((int(entry["Id"]), refused))
        if not again:
            return final
        if not backoff.sleep():
            return final + again
        group = [i for i, _ in again]


def _refusal(operation: str, status: int, answer: bytes) -> AwsError:
    try:
        details = json.loads(answer)
    except ValueError:
        return AwsError(operation, "Unparsable", answer[:200].decode("utf-8", "replace"), status)
    code = str(details.get("__type") or details.get("code") or "Unknown").rsplit("#", maxsplit=1)[-1]
    return AwsError(operation, code, str(details.get("message") or details.get("Message") or ""), status)
