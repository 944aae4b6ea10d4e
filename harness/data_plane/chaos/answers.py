"""Answers that are injected, as the services word them in both protocols."""

from __future__ import annotations

import uuid
import zlib
from typing import Any
from xml.sax.saxutils import escape

import orjson

from harness.data_plane.chaos.calls import Call
from harness.data_plane.chaos.rules import Error
from harness.data_plane.chaos.services import NAMESPACES
from harness.data_plane.http_server import Answer

_JSON = (b"Content-Type", b"application/x-amz-json-1.0")
_XML = (b"Content-Type", b"text/xml")
_CHECKSUM = b"x-amz-crc32"
XML_NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"


def error_answer(call: Call, error: Error) -> Answer:
    """Return an error in the words of the call's protocol."""
    request_id = str(uuid.uuid4())
    kind = "Sender" if error.status < 500 else "Receiver"
    if call.form:
        text = (
            f'<?xml version="1.0"?><ErrorResponse xmlns="{XML_NAMESPACE}"><Error><Type>{kind}</Type>'
            f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message><Detail/></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return error.status, (_XML,), text.encode()
    headers = [_JSON, (b"x-amzn-RequestId", request_id.encode())]
    if call.service == "sqs":
        headers.append((b"x-amzn-query-error", f"{error.code};{kind}".encode("ascii", "replace")))
    body = orjson.dumps({"__type": f"{NAMESPACES[call.service]}#{error.shape}", "message": error.message})
    return error.status, headers, body


def json_answer(document: Any, like: Answer | None = None) -> Answer:
    """Return a JSON document as an answer with status 200, with the headers of another and a checksum that fits."""
    body = orjson.dumps(document)
    if like is None:
        return 200, (_JSON, (b"x-amzn-RequestId", str(uuid.uuid4()).encode())), body
    headers = [(k, b"%d" % zlib.crc32(body) if k.lower() == _CHECKSUM else v) for k, v in like[1]]
    return 200, headers, body


def xml_answer(action: str, entries: str, like: Answer | None = None) -> Answer:
    """Return a batch's answer in the query protocol, with these entries' XML added to another, or alone."""
    if like is not None:
        end = f"</{action}Result>".encode()
        return like[0], like[1], like[2].replace(end, entries.encode() + end)
    text = (
        f'<?xml version="1.0"?><{action}Response xmlns="{XML_NAMESPACE}"><{action}Result>{entries}</{action}Result>'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{action}Response>"
    )
    return 200, (_XML,), text.encode()
