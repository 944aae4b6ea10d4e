"""AWS Signature Version 4 for the one kind of request that the functions send: a POST of JSON to an operation.

Source: IAM user guide, "Create a signed AWS API request". botocore's signer gives the same headers, but
it takes requests of any kind and derives the day's key anew each time; here, what is the same for all requests of a
client is prepared once.
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
import time
from typing import NamedTuple
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_SCOPE_END = "aws4_request"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Keys(NamedTuple):
    """Credentials at one moment: the access key's id, the secret key, and the session token of temporary ones."""

    access_key: str
    secret_key: str
    token: str | None = None


class RequestSigner:
    """Makes the headers of signed requests to one endpoint `url` of a service. Not safe to share between threads.

    `content_type` is that of every body.
    """

    def __init__(self, service: str, region: str, url: str, content_type: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if ":" in host:
            host = f"[{host}]"
        if parts.port is not None and parts.port != _DEFAULT_PORTS.get(parts.scheme):
            host = f"{host}:{parts.port}"
        self._path = parts.path or "/"
        self._canonical_start = f"POST\n{_canonical_path(self._path)}\n\ncontent-type:{content_type}\nhost:{host}\n"
        self._head = f"POST {self._path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\n"
        self._service = service
        self._region = region
        self._key: tuple[str, str, bytes] = ("", "", b"")

    def head(self, target: str, body: bytes, keys: Keys, now: float | None = None) -> bytes:
        """Return the head of an HTTP/1.1 request, up to where `body` follows.

        `target` is the operation's X-Amz-Target, `now` Unix time in seconds (default: the clock's).
        """
        at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        day = at[:8]
        headers, names = f"x-amz-date:{at}\n", "content-type;host;x-amz-date"
        sent = f"X-Amz-Date: {at}\r\nX-Amz-Target: {target}\r\n"
        if keys.token:
            headers += f"x-amz-security-token:{keys.token}\n"
            names += ";x-amz-security-token"
            sent += f"X-Amz-Security-Token: {keys.token}\r\n"
        canonical = (
            f"{self._canonical_start}{headers}x-amz-target:{target}\n\n{names};x-amz-target\n"
            f"{hashlib.sha256(body).hexdigest()}"
        )
        scope = f"{day}/{self._region}/{self._service}/{_SCOPE_END}"
        text = f"{_ALGORITHM}\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._signing_key(keys.secret_key, day), text.encode(), "sha256").hex()
        return (
            f"{self._head}{sent}Authorization: {_ALGORITHM} Credential={keys.access_key}/{scope}, "
            f"SignedHeaders={names};x-amz-target, Signature={signature}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()

    def _signing_key(self, secret: str, day: str) -> bytes:
        known_secret, known_day, key = self._key
        if known_day != day or known_secret != secret:
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, _SCOPE_END):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = secret, day, key
        return key


def _canonical_path(path: str) -> str:
    normal = posixpath.normpath(f"/{path.lstrip('/')}")
    if path.endswith("/") and normal != "/":
        normal += "/"
    return quote(normal, safe="/~")
