"""Message bodies: which characters they may have, and how they are kept."""

from __future__ import annotations

import orjson

INVALID_CHARACTERS = (
    "Invalid characters found. Valid unicode characters are "
    "#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
)
_CONTROLS = bytes(c for c in range(32) if c not in b"\t\n\r")
_ESCAPES = (
    (b"\\", b"\\\\"),
    (b'"', b'\\"'),
    (b"\n", b"\\n"),
    (b"\r", b"\\r"),
    (b"\t", b"\\t"),
)
_LONG = 1024


def encoded(text: str) -> bytes | None:
    """Return the UTF-8 bytes of a text, None when one of its characters is not in XML 1.0's set.

    Searching a string for a class of characters costs some 10 ns a character, deleting control characters from its
    bytes a tenth of that.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError:
        # A lone surrogate.
        return None
    if len(data.translate(None, _CONTROLS)) != len(data):
        return None
    if "\ufffe" in text or "\uffff" in text:
        return None
    return data


def literal(text: str, data: bytes) -> bytes:
    """Return a text of allowed characters, given with its bytes, as a JSON string.

    The encoder is quick with ASCII. Of other texts it first makes the bytes that are there already: 52 KB take 266 µs,
    replacing what must be escaped 135.
    """
    if len(data) < _LONG or text.isascii():
        return orjson.dumps(text)
    for character, escape in _ESCAPES:
        data = data.replace(character, escape)
    return b'"' + data + b'"'
