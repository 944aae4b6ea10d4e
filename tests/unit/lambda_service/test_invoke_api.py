"""The Invoke API's requests: names, headers, sizes, and the words of their refusals."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from harness.lambda_service.invoke_api import CLIENT_CONTEXT_LIMIT, Refusal, client_context, function_name, parse

HERE = {"region": "us-east-1", "account_id": "000000000000"}
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "reference", ["f", "f:$LATEST", "000000000000:function:f", ARN, f"{ARN}:$LATEST"], ids=lambda r: r[-20:]
)
@pytest.mark.parametrize("qualifier", ["", "$LATEST"])
def test_function_when_named_in_any_way_is_found(reference: str, qualifier: str) -> None:
    assert function_name(reference, qualifier, **HERE) == "f"


@pytest.mark.parametrize(
    ("reference", "qualifier", "code", "message"),
    [
        ("f", "1", "ResourceNotFoundException", f"Function not found: {ARN}:1"),
        ("f:live", "", "ResourceNotFoundException", f"Function not found: {ARN}:live"),
        ("f:live", "$LATEST", "InvalidParameterValueException", "does not match the specified qualifier"),
        (ARN.replace("east", "west"), "", "ResourceNotFoundException", "us-west-1"),
        (ARN.replace("0" * 12, "1" * 12), "", "ResourceNotFoundException", "111111111111"),
        ("no function!", "", "ValidationException", "no function!"),
        ("f:", "", "ValidationException", "f:"),
        ("x" * 65, "", "ValidationException", "x" * 65),
    ],
)
def test_function_when_there_is_none_of_that_name_is_refused(
    reference: str, qualifier: str, code: str, message: str
) -> None:
    with pytest.raises(Refusal) as caught:
        function_name(reference, qualifier, **HERE)
    assert caught.value.code == code
    assert message in caught.value.message


def test_request_when_it_says_nothing_is_synchronous_with_an_empty_event() -> None:
    asked = parse("f", {}, b"")
    assert (asked.payload, asked.kind, asked.client_context, asked.tail) == (b"{}", "RequestResponse", "", False)


@pytest.mark.parametrize(
    ("headers", "payload", "code", "status"),
    [
        ({"X-Amz-Invocation-Type": "Later"}, b"{}", "ValidationException", 400),
        ({"X-Amz-Log-Type": "All"}, b"{}", "ValidationException", 400),
        ({}, b"no json", "InvalidRequestContentException", 400),
        ({}, b"NaN", "InvalidRequestContentException", 400),
        ({}, b" ", "InvalidRequestContentException", 400),
        ({}, b'"' + b"x" * (6 * 1024 * 1024 - 1) + b'"', "RequestEntityTooLargeException", 413),
        (
            {"X-Amz-Invocation-Type": "Event"},
            b'"' + b"x" * (1024 * 1024 - 1) + b'"',
            "RequestEntityTooLargeException",
            413,
        ),
        ({"X-Amz-Client-Context": "?"}, b"{}", "InvalidRequestContentException", 400),
    ],
    ids=["kind", "log type", "no json", "NaN", "blank", "sync size", "async size", "context"],
)
def test_request_when_lambda_would_refuse_it_is_refused(
    headers: dict[str, str], payload: bytes, code: str, status: int
) -> None:
    with pytest.raises(Refusal) as caught:
        parse("f", headers, payload)
    assert (caught.value.code, caught.value.status) == (code, status)


def test_request_when_as_large_as_allowed_passes() -> None:
    assert parse("f", {}, b'"' + b"x" * (6 * 1024 * 1024 - 2) + b'"').kind == "RequestResponse"
    event = {"X-Amz-Invocation-Type": "Event", "X-Amz-Log-Type": "Tail"}
    assert parse("f", event, b'"' + b"x" * (1024 * 1024 - 2) + b'"').tail


@pytest.mark.parametrize("context", [{"custom": {"who": "Zoë 😀"}}, {}], ids=["words", "empty"])
def test_client_context_when_valid_is_json_that_a_header_carries(context: dict[str, Any]) -> None:
    carried = client_context(encoded(json.dumps(context, ensure_ascii=False)))
    assert carried.isascii()
    assert json.loads(carried) == context


@pytest.mark.parametrize("text", ["[1]", "1", "null", "{", ""], ids=["array", "number", "null", "cut", "nothing"])
def test_client_context_when_it_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="valid Base64-encoded JSON object"):
        client_context(encoded(text) or "=")


def test_client_context_when_too_long_is_refused_with_both_sizes() -> None:
    with pytest.raises(
        Refusal, match=f"{CLIENT_CONTEXT_LIMIT + 1} bytes of base64, allowed are {CLIENT_CONTEXT_LIMIT}"
    ):
        client_context("x" * (CLIENT_CONTEXT_LIMIT + 1))
