"""The Invoke API's requests and refusals, as Lambda words them, without any I/O.

Source: AWS Lambda API reference, "Invoke". Messages are the service's own where they are known.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.lambda_service.invoker import is_json
from harness.lambda_service.model import ASYNC_PAYLOAD_LIMIT, SYNC_PAYLOAD_LIMIT

CLIENT_CONTEXT_LIMIT = 3_583
"""Bytes of a client context in base64."""

INVOCATION_TYPES = ("RequestResponse", "Event", "DryRun")
LOG_TYPES = ("None", "Tail")

_REFERENCE = re.compile(
    r"(?:(?:arn:(?P<partition>[a-z-]+):lambda:(?P<region>[a-z0-9-]+):)?(?P<account>\d{12}):function:)?"
    r"(?P<name>[a-zA-Z0-9_-]{1,64})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]{1,128}))?"
)


class Refusal(Exception):
    """An error answer: AWS's code, its message and the HTTP status."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True)
class InvokeRequest:
    """A valid request. `client_context` is JSON in ASCII, or empty; `kind` is one of INVOCATION_TYPES."""

    function: str
    payload: bytes
    kind: str
    client_context: str
    tail: bool


def function_name(reference: str, qualifier: str, *, region: str, account_id: str) -> str:
    """Return the plain name of a function given by name, partial ARN or ARN; raises Refusal.

    A qualifier, there or in the query, must be $LATEST: there are no versions and aliases.
    """
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise Refusal("ValidationException", f"{reference!r} is neither a function's name nor its ARN", 400)
    name, own = found["name"], found["qualifier"] or ""
    if own and qualifier and own != qualifier:
        message = "The derived qualifier from the function name does not match the specified qualifier."
        raise Refusal("InvalidParameterValueException", message, 400)
    arn = f"arn:aws:lambda:{region}:{account_id}:function:{name}"
    wanted = own or qualifier
    elsewhere = (found["region"] or region, found["account"] or account_id) != (region, account_id)
    if elsewhere or wanted not in ("", "$LATEST"):
        named = reference if elsewhere else f"{arn}:{wanted}"
        raise Refusal("ResourceNotFoundException", f"Function not found: {named}", 404)
    return name


def parse(name: str, headers: Mapping[str, str], payload: bytes) -> InvokeRequest:
    """Return an invocation of function `name`; raises Refusal. An empty payload is an empty event."""
    kind = _choice(headers, "X-Amz-Invocation-Type", "invocationType", INVOCATION_TYPES)
    tail = _choice(headers, "X-Amz-Log-Type", "logType", LOG_TYPES) == "Tail"
    # Lambda passes the client context on for synchronous invocations only, but looks at it always.
    context = client_context(headers.get("X-Amz-Client-Context", ""))
    if len(payload) > SYNC_PAYLOAD_LIMIT:
        raise too_large()
    if kind == "Event" and len(payload) > ASYNC_PAYLOAD_LIMIT:
        message = (
            f"{len(payload)} byte payload is too large for the Event invocation type "
            f"(limit {ASYNC_PAYLOAD_LIMIT} bytes)"
        )
        raise Refusal("RequestEntityTooLargeException", message, 413)
    if payload and not is_json(payload):
        message = "Could not parse request body into json: Could not parse payload into json"
        raise Refusal("InvalidRequestContentException", message, 400)
    return InvokeRequest(name, payload or b"{}", kind, context, tail)


def too_large() -> Refusal:
    """Return the refusal of a body over the synchronous limit, which needs no whole body to be known."""
    message = f"Request must be smaller than {SYNC_PAYLOAD_LIMIT} bytes for the InvokeFunction operation"
    return Refusal("RequestEntityTooLargeException", message, 413)


def client_context(header: str) -> str:
    """Return a client context as JSON in ASCII, which a header can carry; raises Refusal for one that is none."""
    if not header:
        return ""
    invalid = Refusal(
        "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object.", 400
    )
    if len(header) > CLIENT_CONTEXT_LIMIT:
        message = f"Client context has {len(header)} bytes of base64, allowed are {CLIENT_CONTEXT_LIMIT}"
        raise Refusal("InvalidRequestContentException", message, 400)
    try:
        context = json.loads(base64.b64decode(header, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise invalid from None
    if not isinstance(context, dict):
        raise invalid
    return json.dumps(context, ensure_ascii=True)


def _choice(headers: Mapping[str, str], header: str, field: str, allowed: tuple[str, ...]) -> str:
    value = headers.get(header) or allowed[0]
    if value not in allowed:
        message = (
            f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(allowed)}]"
        )
        raise Refusal("ValidationException", message, 400)
    return value
