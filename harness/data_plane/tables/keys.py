"""Keys as bytes: equal keys have equal bytes, and sort keys compare as DynamoDB orders them.

Strings are their UTF-8 bytes, binary values the bytes themselves. Numbers are written so that their bytes order as
they do: a sign, the exponent, the digits, complemented for negative ones.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from decimal import Decimal

import orjson

_COMPLEMENT = bytes(0x30 + 9 - (c - 0x30) if 0x30 <= c <= 0x39 else c for c in range(256))
_EXPONENT_BIAS = 200
_EXPONENT_TOP = 999


@dataclass(frozen=True, slots=True)
class KeySchema:
    """Names and types (S, N or B) of a table's key attributes; `sk` is None without a sort key."""

    pk: str
    pk_type: str
    sk: str | None = None
    sk_type: str = "S"


def hash_of(pk: bytes) -> int:
    """Return a partition key's place on the ring of 32-bit hashes. It is on disk: it must never change."""
    return zlib.crc32(pk) * 0x9E3779B1 & 0xFFFFFFFF


def key_bytes(kind: str, text: str) -> bytes:
    """Return the bytes of a key value of type `kind`; a number's text must be canonical.

    Raises ValueError for text that is not base64 or no number.
    """
    if kind == "S":
        return text.encode()
    if kind == "N":
        return _number_bytes(text)
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def key_text(kind: str, data: bytes) -> str:
    """Return what `key_bytes` was made from; base64 comes back with its padding."""
    if kind == "S":
        return data.decode()
    if kind == "N":
        return _number_text(data)
    return base64.b64encode(data).decode()


def key_json(schema: KeySchema, pk: bytes, sk: bytes) -> bytes:
    """Return a key as the JSON of its attributes."""
    first = b'%b:{"%b":%b}' % _attribute(schema.pk, schema.pk_type, pk)
    if schema.sk is None:
        return b"{%b}" % first
    return b'{%b,%b:{"%b":%b}}' % (first, *_attribute(schema.sk, schema.sk_type, sk))


def _attribute(name: str, kind: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    return orjson.dumps(name), kind.encode(), orjson.dumps(key_text(kind, data))


def _number_bytes(text: str) -> bytes:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"not a number: {text}")
    if number == 0:
        return b"1"
    digits = "".join(map(str, number.as_tuple().digits)).rstrip("0").encode()
    exponent = number.adjusted() + _EXPONENT_BIAS
    if number > 0:
        return b"2%03d%b" % (exponent, digits)
    # Of two negative numbers with the same first digits the longer one is smaller, hence the end mark.
    return b"0%03d%b~" % (_EXPONENT_TOP - exponent, digits.translate(_COMPLEMENT))


def _number_text(data: bytes) -> str:
    if data == b"1":
        return "0"
    positive = data[:1] == b"2"
    exponent = int(data[1:4])
    digits = data[4:] if positive else data[4:-1].translate(_COMPLEMENT)
    scale = (exponent if positive else _EXPONENT_TOP - exponent) - _EXPONENT_BIAS - len(digits) + 1
    return f"{Decimal((0 if positive else 1, tuple(c - 0x30 for c in digits), scale)):f}"
