"""Items as they come in a request: checked in C while they stay bytes.

`read_item` accepts what is certainly valid (scalar attributes, as rows of files have them) and says "not sure" of the
rest, which then takes the way of the complete validation. It never accepts what DynamoDB would refuse, and never
changes a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from harness.data_plane.tables.keys import KeySchema, key_bytes

MAX_ITEM = 400 * 1024
MAX_PARTITION_KEY = 2048
MAX_SORT_KEY = 1024
"""Bytes (AWS: "Service, account, and table quotas")."""

NOT_DECODED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not what was asked for."""

COMMON_OVERHEAD = 12
"""Characters of `"name":{"S":"value"},` that are neither of name nor of value."""
NULL_OVERHEAD = 4
"""What `"name":{"NULL":true},` has more of them, less the one byte that the value counts."""
CANONICAL_NUMBER = r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{0,18}[1-9])?"
"""Numbers as DynamoDB returns them, as an expression that also matches -0; longer ones are valid too."""


class _Scalar(Struct, forbid_unknown_fields=True, gc=False):
    S: str | UnsetType = UNSET
    N: str | UnsetType = UNSET
    NULL: bool | UnsetType = UNSET


_scalars = msgspec.json.Decoder(dict[str, _Scalar])
_decimals_with_zeros = re.compile(r"-?(?:0|[1-9][0-9]{0,18})\.[0-9]{0,18}0").fullmatch
"""Numbers such as 12.50, which DynamoDB returns as 12.5."""
_canonical_number = re.compile(CANONICAL_NUMBER).fullmatch


class Item(NamedTuple):
    """A valid item: its key, its compact JSON, its size in bytes by DynamoDB's rules."""

    pk: bytes
    sk: bytes
    image: bytes
    size: int


def _utf8_length(text: str) -> int:
    return len(text.encode())


def number_size(text: str) -> int:
    """Return the bytes a canonical number counts: one, one per two digits about the point, one for a sign.

    Zeros at either end do not count. Source: the rule the conformance suite has measured.
    """
    if text.isdigit():
        stripped = text.rstrip("0")
        return 1 + (len(stripped) + (len(text) - len(stripped) & 1) + 1) // 2 if stripped else 1
    digits = text.lstrip("-")
    whole, _, fraction = digits.partition(".")
    exponent = -len(fraction)
    significant = (whole + fraction).lstrip("0")
    stripped = significant.rstrip("0")
    if not stripped:
        return 1
    exponent += len(significant) - len(stripped)
    length = len(stripped) + (exponent & 1)
    return 1 + (length + 1) // 2 + (text[0] == "-")


def read_item(raw: Raw | bytes, schema: KeySchema) -> Item | None:
    """Return the item when it is certainly valid, or None; its image is what came where that is compact."""
    image = bytes(raw)
    try:
        values = _scalars.decode(image)
    except NOT_DECODED:
        return None
    measured = _measure(values, len if image.isascii() else _utf8_length)
    if measured is None:
        return None
    size, json_length = measured
    # The shortest JSON of these attributes is this long. Longer means white space, escapes, a name that comes twice or
    # a number that ends with zeros, which become the shortest, or a second type.
    if len(image) != json_length:
        if any((v.S is not UNSET) + (v.N is not UNSET) + (v.NULL is not UNSET) != 1 for v in values.values()):
            return None
        image = msgspec.json.encode(values)
        # What was escaped need not be ASCII.
        size = sum(len(name.encode()) for name in values) + sum(map(_value_size, values.values()))
    if size > MAX_ITEM:
        return None
    pk = _key(values, schema.pk, schema.pk_type, MAX_PARTITION_KEY)
    if pk is None:
        return None
    if schema.sk is None:
        return Item(pk, b"", image, size)
    sk = _key(values, schema.sk, schema.sk_type, MAX_SORT_KEY)
    return None if sk is None else Item(pk, sk, image, size)


def _measure(values: dict[str, _Scalar], length: Callable[[str], int]) -> tuple[int, int] | None:
    """Return an item's size and the length of its shortest JSON without escapes, None for a value to be looked at.

    Numbers become canonical in `values`.
    """
    size = 0
    json_length = 1 + COMMON_OVERHEAD * len(values)
    for name, value in values.items():
        size += length(name)
        text = value.S
        if text is not UNSET:
            size += length(text)
            continue
        number = value.N
        if number is not UNSET:
            if _decimals_with_zeros(number):
                number = value.N = number.rstrip("0").rstrip(".")
            if number == "-0" or not _canonical_number(number):
                return None
            bytes_of_number = number_size(number)
            size += bytes_of_number
            json_length += len(number) - bytes_of_number
        elif value.NULL is True:
            size += 1
            json_length += NULL_OVERHEAD
        else:
            return None
    return size, json_length + size


def _value_size(value: _Scalar) -> int:
    text, number = value.S, value.N
    if text is not UNSET:
        return len(text.encode())
    return number_size(number) if number is not UNSET else 1


def _key(values: dict[str, _Scalar], name: str, kind: str, limit: int) -> bytes | None:
    value = values.get(name)
    if value is None:
        return None
    text = value.S if kind == "S" else value.N if kind == "N" else UNSET
    if text is UNSET or not text:
        return None
    data = key_bytes(kind, text)
    return data if len(data) <= limit else None


def read_key(raw: Raw | bytes, schema: KeySchema) -> tuple[bytes, bytes] | None:
    """Return a key's bytes when it is certainly valid and has no attribute beside those of the schema, or None."""
    try:
        values = _scalars.decode(raw)
    except NOT_DECODED:
        return None
    if len(values) != (1 if schema.sk is None else 2):
        return None
    for value in values.values():
        if (value.S is UNSET) == (value.N is UNSET) or value.NULL is not UNSET:
            return None
        if value.N is not UNSET and (value.N == "-0" or not _canonical_number(value.N)):
            return None
    pk = _key(values, schema.pk, schema.pk_type, MAX_PARTITION_KEY)
    if pk is None:
        return None
    if schema.sk is None:
        return pk, b""
    sk = _key(values, schema.sk, schema.sk_type, MAX_SORT_KEY)
    return None if sk is None else (pk, sk)
