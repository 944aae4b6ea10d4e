"""Message attributes: validation, size, MD5, and the filter of ReceiveMessage."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from harness.data_plane.queues import limits
from harness.data_plane.queues.bodies import INVALID_CHARACTERS, encoded
from harness.data_plane.queues.errors import SqsError, invalid

_NAME = re.compile(r"[\u00c0-\u017fa-zA-Z0-9_.-]+")
_RESERVED = re.compile(r"(aws|amazon)\.", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_NUMBER_DIGITS = 38
_STRING, _BINARY = b"\x01", b"\x02"
"""Transport types in the checksum, as the developer guide's "Calculating the MD5 message digest" gives them."""
_KNOWN = {"DataType", "StringValue", "BinaryValue", "StringListValues", "BinaryListValues"}


def check(attributes: Mapping[str, Any]) -> int:
    """Check the attributes of one message and return their size in bytes; raises SqsError naming what is wrong."""
    if len(attributes) > limits.MESSAGE_ATTRIBUTES:
        raise invalid(
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum "
            f"[{limits.MESSAGE_ATTRIBUTES}]."
        )
    return sum(_check_one(name, value) for name, value in attributes.items())


def md5(attributes: Mapping[str, Any]) -> str:
    """Return the MD5 of checked attributes as SQS computes it."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        for part in (name.encode(), value["DataType"].encode()):
            digest.update(struct.pack("!I", len(part)) + part)
        if value.get("StringValue") is not None:
            transport, data = _STRING, value["StringValue"].encode()
        else:
            transport, data = _BINARY, base64.b64decode(value["BinaryValue"])
        digest.update(transport + struct.pack("!I", len(data)) + data)
    return digest.hexdigest()


def kept(attributes: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return checked attributes as they are given back: type and value."""
    return {
        name: {key: value[key] for key in ("StringValue", "BinaryValue", "DataType") if value.get(key) is not None}
        for name, value in attributes.items()
    }


def wanted(attributes: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the attributes that ReceiveMessage asks for: by name, by prefix (`Foo.*`), or all (`All`, `.*`)."""
    exact: set[str] = set()
    prefixes: list[str] = []
    for name in names:
        if name in ("All", ".*", "*"):
            return dict(attributes)
        if name.endswith(".*"):
            prefixes.append(name[:-2])
        else:
            exact.add(name)
    start = tuple(prefixes)
    return {name: value for name, value in attributes.items() if name in exact or (start and name.startswith(start))}


def _check_one(name: str, value: Any) -> int:
    _check_name(name)
    if not isinstance(value, dict):
        raise SqsError("SerializationException", f"The value of message attribute '{name}' is not a structure.")
    for key in value:
        if key not in _KNOWN:
            raise SqsError("SerializationException", f"Message attribute '{name}' has the unknown member {key}.")
    if value.get("StringListValues") or value.get("BinaryListValues"):
        raise SqsError("UnsupportedOperation", f"Message attribute '{name}': list values are not implemented by SQS.")
    kind = value.get("DataType")
    if not kind:
        raise invalid(f"The message attribute '{name}' must contain a non-empty message attribute type.")
    if not isinstance(kind, str) or kind.split(".", 1)[0] not in ("String", "Number", "Binary"):
        raise invalid(
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes "
            "is Binary, Number, and String."
        )
    if len(kind.encode()) > 256:
        raise invalid(f"The type of message attribute '{name}' must be shorter than 256 Bytes.")
    return len(name.encode()) + len(kind.encode()) + _check_value(name, kind.split(".", 1)[0], value)


def _check_name(name: str) -> None:
    if not name or len(name) > 256:
        raise invalid("Message (user) attribute names must be shorter than 256 Bytes")
    if not _NAME.fullmatch(name):
        raise invalid(
            "Message (user) attributes name can only contain upper and lower score characters, digits, periods, "
            f"hyphens and underscores. The name is '{name}'."
        )
    if _RESERVED.match(name) or name.startswith(".") or name.endswith(".") or ".." in name:
        raise invalid(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for "
            f"internal use. Additionally, they cannot start or end with '.' or contain '..'. The name is '{name}'."
        )


def _check_value(name: str, kind: str, value: Mapping[str, Any]) -> int:
    field, other = ("BinaryValue", "StringValue") if kind == "Binary" else ("StringValue", "BinaryValue")
    data = value.get(field)
    if data is not None and not isinstance(data, str):
        raise SqsError("SerializationException", f"{field} of message attribute '{name}' is not a string.")
    if not data or value.get(other) is not None:
        raise invalid(f"Message (user) attribute '{name}' must contain a non-empty value of type '{kind}'.")
    if kind == "Binary":
        try:
            return len(base64.b64decode(data, validate=True))
        except binascii.Error:
            raise SqsError("SerializationException", f"BinaryValue of '{name}' is not base64.") from None
    text = encoded(data)
    if text is None:
        raise invalid(INVALID_CHARACTERS)
    if kind == "Number" and not _is_number(data):
        raise invalid(f"Can't cast the value of message (user) attribute '{name}' to a number.")
    return len(text)


def _is_number(text: str) -> bool:
    """Up to 38 digits, between 10**-128 and 10**126, as the developer guide says of Number."""
    if not _NUMBER.fullmatch(text):
        return False
    mantissa = re.split("[eE]", text)[0].lstrip("+-").replace(".", "").strip("0")
    return len(mantissa) <= _NUMBER_DIGITS and (not mantissa or 1e-128 <= abs(float(text)) <= 1e126)
