"""The query protocol: requests as forms, answers as XML. What SDKs spoke before 2023, and some still do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import orjson

from harness.data_plane.queues.errors import SqsError

NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"
_MAX_FIELDS = 10_000
_LISTS = {
    "AttributeName": "AttributeNames",
    "MessageAttributeName": "MessageAttributeNames",
    "MessageSystemAttributeName": "MessageSystemAttributeNames",
    "ActionName": "Actions",
    "AWSAccountId": "AWSAccountIds",
    "TagKey": "TagKeys",
}
_MAPS = {
    "Attribute": ("Attributes", "Name", "Value"),
    "Tag": ("Tags", "Key", "Value"),
    "MessageAttribute": ("MessageAttributes", "Name", "Value"),
    "MessageSystemAttribute": ("MessageSystemAttributes", "Name", "Value"),
}
_ENTRIES = {
    "SendMessageBatchRequestEntry",
    "DeleteMessageBatchRequestEntry",
    "ChangeMessageVisibilityBatchRequestEntry",
}
_INTEGERS = {
    "MaxNumberOfMessages",
    "VisibilityTimeout",
    "WaitTimeSeconds",
    "DelaySeconds",
    "MaxResults",
    "MaxNumberOfMessagesPerSecond",
}
_NO_RESULT = {
    "AddPermission",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "DeleteQueue",
    "PurgeQueue",
    "RemovePermission",
    "SetQueueAttributes",
    "TagQueue",
    "UntagQueue",
}
_NOT_ON_A_QUEUE = {"CreateQueue", "ListQueues"}
_NO_QUEUE = "The specified queue does not exist for this wsdl version."


def parse(target: str, body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the action and the request of a form in the target's query, in the body, or in both; raises SqsError.

    A request without QueueUrl is one to the queue whose path it was sent to.
    """
    path, _, query = target.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
        pairs += parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise SqsError("MalformedInput", f"The request is not a form: {error}") from None
    fields = dict(pairs)
    action = fields.pop("Action", "")
    if not action:
        raise SqsError("UnknownOperationException", "The request must contain the parameter Action.")
    request = _structure(fields)
    if path.count("/") >= 2:
        if action in _NOT_ON_A_QUEUE:
            raise not_valid(action)
        request.setdefault("QueueUrl", path)
    if action == "CreateQueue" and "Tags" in request:
        request["tags"] = request.pop("Tags")
    return action, request


def not_valid(action: str) -> SqsError:
    """Return the error of an action that does not exist, or not where it was sent to."""
    return SqsError("InvalidAction", f"The action {action} is not valid for this endpoint.")


def _structure(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return fields with dotted, numbered names as members, lists and maps."""
    request: dict[str, Any] = {}
    numbered: dict[str, dict[int, dict[str, str]]] = {}
    for name, value in fields.items():
        head, _, rest = name.partition(".")
        if head not in _LISTS and head not in _MAPS and head not in _ENTRIES:
            request[name] = _integer(name, value) if name in _INTEGERS else value
            continue
        if not rest and not value:
            # How SDKs send an empty list.
            numbered.setdefault(head, {})
            continue
        number, _, member = rest.partition(".")
        if not number.isdecimal():
            # Of a single element the number may be left out.
            number, member = "1", rest
        numbered.setdefault(head, {}).setdefault(int(number[:9]), {})[member] = value
    for head, elements in numbered.items():
        ordered = [elements[number] for number in sorted(elements)]
        if head in _LISTS:
            request[_LISTS[head]] = [element.get("", "") for element in ordered]
        elif head in _ENTRIES:
            request["Entries"] = [_structure(element) for element in ordered]
        else:
            member, key, value_name = _MAPS[head]
            request[member] = {element.get(key, ""): _value(element, value_name) for element in ordered}
    return request


def _value(element: Mapping[str, str], name: str) -> Any:
    inner = {key[len(name) + 1 :]: value for key, value in element.items() if key.startswith(name + ".")}
    return inner or element.get(name, "")


def _integer(name: str, value: str) -> int:
    try:
        if len(value) > 20:
            raise ValueError
        return int(value)
    except ValueError:
        raise SqsError(
            "InvalidParameterValueException",
            f"Value {value[:40]} for parameter {name} is invalid. Reason: Must be an integer.",
        ) from None


def render(action: str, answer: bytes, request_id: str) -> bytes:
    """Return the XML of an answer, which is given as the JSON protocol's."""
    inner = "".join(_member(action, name, value) for name, value in orjson.loads(answer).items()) if answer else ""
    result = f"<{action}Result>{inner}</{action}Result>" if inner else f"<{action}Result/>"
    if action in _NO_RESULT:
        result = ""
    return (
        f'<?xml version="1.0"?><{action}Response xmlns="{NAMESPACE}">{result}'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    ).encode()


def render_error(error: SqsError, request_id: str) -> bytes:
    """Return the XML of an error."""
    if error.shape == "UnknownOperationException":
        return b"<UnknownOperationException/>\n"
    message = _NO_QUEUE if error.shape == "QueueDoesNotExist" else error.message
    kind = "Sender" if error.status < 500 else "Receiver"
    return (
        f'<?xml version="1.0"?><ErrorResponse xmlns="{NAMESPACE}"><Error><Type>{kind}</Type>'
        f"<Code>{error.code}</Code><Message>{_escape(message)}</Message><Detail/></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()


def _member(action: str, name: str, value: Any) -> str:
    if isinstance(value, dict):
        tag, key, inner = {
            "Attributes": ("Attribute", "Name", "Value"),
            "MessageAttributes": ("MessageAttribute", "Name", "Value"),
            "Tags": ("Tag", "Key", "Value"),
        }[name]
        return "".join(
            f"<{tag}><{key}>{_escape(k)}</{key}><{inner}>{_content(action, v)}</{inner}></{tag}>"
            for k, v in value.items()
        )
    if isinstance(value, list):
        tag = {
            "QueueUrls": "QueueUrl",
            "queueUrls": "QueueUrl",
            "Messages": "Message",
            "Successful": f"{action}ResultEntry",
            "Failed": "BatchResultErrorEntry",
            "Results": "ListMessageMoveTasksResultEntry",
        }[name]
        return "".join(f"<{tag}>{_content(action, item)}</{tag}>" for item in value)
    return f"<{name}>{_content(action, value)}</{name}>"


def _content(action: str, value: Any) -> str:
    if isinstance(value, dict):
        return "".join(_member(action, name, inner) for name, inner in value.items())
    if isinstance(value, bool):
        return "true" if value else "false"
    return _escape(str(value))


def _escape(text: str) -> str:
    # A parser would turn a bare carriage return into a line feed.
    return escape(text, {"\r": "&#xD;"})
