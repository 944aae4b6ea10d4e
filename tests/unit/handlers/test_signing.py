"""Our signature is botocore's, for every endpoint, key and body."""

from __future__ import annotations

import calendar
import time

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from handlers.signing import Keys, RequestSigner

TYPE = "application/x-amz-json-1.0"
TARGET = "DynamoDB_20120810.BatchWriteItem"
URLS = (
    "https://dynamodb.eu-west-1.amazonaws.com",
    "https://sqs.eu-west-1.amazonaws.com/",
    "http://127.0.0.1:4566",
    "http://localhost:80/",
    "https://proxy.example:8443/aws/./sqs//queue~1/with space/",
    "http://[::1]:4566/a%20b",
)
key = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def botocores(url: str, body: bytes, keys: Keys) -> tuple[str, str]:
    """Return the time and the Authorization header that botocore gives a request."""
    request = AWSRequest("POST", url, data=body, headers={"Content-Type": TYPE, "X-Amz-Target": TARGET})
    SigV4Auth(ReadOnlyCredentials(*keys), "sqs", "eu-west-1").add_auth(request)
    return request.headers["X-Amz-Date"], request.headers["Authorization"]


def seconds(stamp: str) -> int:
    return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))


def headers(head: bytes) -> dict[str, str]:
    first, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert first.startswith("POST /")
    return dict(line.split(": ", 1) for line in lines)


@given(url=st.sampled_from(URLS), body=st.binary(max_size=200), access=key, secret=key, token=st.none() | key)
def test_head_for_any_request_has_botocores_signature(
    url: str, body: bytes, access: str, secret: str, token: str | None
) -> None:
    keys = Keys(access, secret, token)
    stamp, authorization = botocores(url, body, keys)
    sent = headers(RequestSigner("sqs", "eu-west-1", url, TYPE).head(TARGET, body, keys, seconds(stamp)))
    assert sent["Authorization"] == authorization
    assert (sent["X-Amz-Date"], sent["Content-Length"]) == (stamp, str(len(body)))
    assert sent.get("X-Amz-Security-Token") == token


@pytest.mark.parametrize("changed", ["day", "secret"])
def test_head_when_day_or_secret_change_derives_another_key(changed: str) -> None:
    signer = RequestSigner("sqs", "eu-west-1", URLS[0], TYPE)
    keys = Keys("access", "secret")
    signer.head(TARGET, b"", keys, 0 if changed == "day" else None)
    if changed == "secret":
        signer.head(TARGET, b"", Keys("access", "other"))
    stamp, authorization = botocores(URLS[0], b"", keys)
    assert headers(signer.head(TARGET, b"", keys, seconds(stamp)))["Authorization"] == authorization
