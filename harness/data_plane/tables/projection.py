"""Projections of top-level attributes, applied to an item's bytes; paths into documents take the long way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec
import orjson
from msgspec import Raw

Project = Callable[[bytes], bytes]

MAX_EXPRESSION = 4096
"""Bytes of an expression."""
_names = re.compile(r"\s*#?[A-Za-z0-9_]+\s*(?:,\s*#?[A-Za-z0-9_]+\s*)*").fullmatch
_item = msgspec.json.Decoder(dict[str, Raw])


def parse(expression: str, names: Mapping[str, str] | None, reserved: frozenset[str]) -> Project | None:
    """Return what makes an item's JSON from a whole item's, or None when the expression is not plain or not valid."""
    if len(expression) > MAX_EXPRESSION or not _names(expression):
        return None
    names = names or {}
    tokens = [token.strip() for token in expression.split(",")]
    if set(names) != {t for t in tokens if t[0] == "#"}:
        return None
    attributes = [names.get(token, token) for token in tokens]
    if len(set(attributes)) < len(attributes) or not all(attributes):
        return None
    if any(t[0] != "#" and (t.upper() in reserved or not t[0].isalpha()) for t in tokens):
        return None
    wanted = [(name, orjson.dumps(name) + b":") for name in attributes]

    def project(image: bytes) -> bytes:
        values = _item.decode(image)
        return b"{%b}" % b",".join([prefix + values[name] for name, prefix in wanted if name in values])

    return project
