"""A small asynchronous AWS client: the JSON protocol over connections that are kept alive.

The service makes tens of thousands of calls in a run that shares two cores with everything else. botocore's client
costs 2 to 5 ms of CPU a call, most of it parameter validation and response parsing. This one speaks only what the
service needs: SQS, DynamoDB Streams and CloudWatch Logs.

Calls are signed by botocore (SigV4, 0.3 ms each), except over plain HTTP to a loopback address: emulators check no
signature, and read from its header who calls and in which region. There that header is sent with a signature of zeros.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from harness.lambda_service.http_client import Address, HttpClient, address_of


@dataclass(frozen=True)
class _Protocol:
    target: str
    version: str
    signing_name: str


_PROTOCOLS = {
    "sqs": _Protocol("AmazonSQS", "1.0", "sqs"),
    "dynamodbstreams": _Protocol("DynamoDBStreams_20120810", "1.0", "dynamodb"),
    "logs": _Protocol("Logs_20140328", "1.1", "logs"),
}

_RETRYABLE_CODES = frozenset(
    {
        "InternalServerError",
        "InternalFailure",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "RequestThrottled",
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
    }
)


class AwsCallError(Exception):
    """A call was refused or never answered. `code` is AWS's error code, or "ConnectionError"."""

    def __init__(self, operation: str, code: str, message: str, status: int = 0) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.code = code
        self.status = status

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later: connection errors, 5xx and throttling."""
        return self.status == 0 or self.status >= 500 or self.code in _RETRYABLE_CODES


@dataclass(frozen=True)
class _Endpoint:
    """Where a service is called: its URL, address, the request line with what never changes of the headers, and
    whether calls are signed."""

    url: str
    address: Address
    head: bytes
    signed: bool


class AwsClient:
    """Calls JSON-protocol AWS services; use as an asynchronous context manager."""

    MAX_ATTEMPTS = 6

    def __init__(self, endpoints: Mapping[str, str], region: str, credentials: Credentials) -> None:
        self._endpoints = endpoints
        self._region = region
        self._credentials = credentials
        self._http: HttpClient | None = None
        self._known: dict[str, _Endpoint] = {}

    async def __aenter__(self) -> AwsClient:
        self._http = HttpClient()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._http is not None:
            await self._http.close()

    async def call(
        self, service: str, operation: str, payload: Mapping[str, Any], *, timeout: float = 60.0
    ) -> dict[str, Any]:
        """Call one operation and return its decoded answer.

        Retries connection errors, 5xx and throttling with full jitter; raises AwsCallError when that is over or
        the error is final. `timeout` is seconds for one attempt.
        """
        answer = await self.call_raw(service, operation, payload, timeout=timeout)
        return orjson.loads(answer) if answer else {}

    async def call_raw(
        self, service: str, operation: str, payload: Mapping[str, Any], *, timeout: float = 60.0
    ) -> bytes:
        """Call one operation as `call` does and return the JSON that was answered."""
        endpoint = self._endpoint(service)
        body = orjson.dumps(payload)
        for attempt in range(self.MAX_ATTEMPTS):
            try:
                return await self._attempt(service, operation, endpoint, body, timeout)
            except AwsCallError as error:
                if not error.retryable or attempt + 1 == self.MAX_ATTEMPTS:
                    raise
            await asyncio.sleep(random.uniform(0, min(5.0, 0.1 * 2**attempt)))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(self, service: str, operation: str, endpoint: _Endpoint, body: bytes, timeout: float) -> bytes:
        if self._http is None:
            raise RuntimeError("AwsClient is used outside its context")
        target = f"{_PROTOCOLS[service].target}.{operation}"
        if endpoint.signed:
            head = endpoint.head + self._signed(service, target, endpoint, body)
        else:
            head = b"%bX-Amz-Target: %b\r\n" % (endpoint.head, target.encode())
        try:
            status, answer = await self._http.post(endpoint.address, head, body, timeout)
        except OSError as error:  # TimeoutError is one
            raise AwsCallError(operation, "ConnectionError", f"{type(error).__name__}: {error}") from error
        if status != 200:
            raise _refusal(operation, status, answer)
        return answer

    def _endpoint(self, service: str) -> _Endpoint:
        known = self._known.get(service)
        if known is None:
            url = self._endpoints.get(service, self._endpoints["default"])
            address, host, path = address_of(url)
            protocol = _PROTOCOLS[service]
            head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\n"
            signed = address[2] or not is_loopback(address[0])
            if not signed:
                scope = f"{self._credentials.access_key}/20000101/{self._region}/{protocol.signing_name}/aws4_request"
                head += (
                    f"Content-Type: application/x-amz-json-{protocol.version}\r\n"
                    f"Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}\r\n"
                )
            known = self._known[service] = _Endpoint(url, address, head.encode("latin-1"), signed)
        return known

    def _signed(self, service: str, target: str, endpoint: _Endpoint, body: bytes) -> bytes:
        """Return the headers of a signed call, but for its Host."""
        protocol = _PROTOCOLS[service]
        headers = {"Content-Type": f"application/x-amz-json-{protocol.version}", "X-Amz-Target": target}
        request = AWSRequest("POST", endpoint.url, data=body, headers=headers)
        SigV4Auth(self._credentials, protocol.signing_name, self._region).add_auth(request)
        return "".join(f"{name}: {value}\r\n" for name, value in request.headers.items()).encode("latin-1")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine's loopback interface: its addresses, or the name localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _refusal(operation: str, status: int, answer: bytes) -> AwsCallError:
    try:
        details = orjson.loads(answer)
    except ValueError:
        return AwsCallError(operation, "Unparsable", answer[:200].decode("utf-8", "replace"), status)
    code = str(details.get("__type") or details.get("code") or "Unknown").split("#")[-1]
    return AwsCallError(operation, code, str(details.get("message") or details.get("Message") or ""), status)
