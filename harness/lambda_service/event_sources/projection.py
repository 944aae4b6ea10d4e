"""Decodes of a record only what filter patterns look at; everything else is skipped in C.

A pattern names fields by dotted paths. A key of the record may hold dots itself, so `a.b.c` may be found under `a`,
`a.b` or `a.b.c`. Lists are transparent to patterns: where a record has a list, or anything else, in the place of an
object, the record is decoded whole, and the filter decides as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, TypedDict

import msgspec
import orjson

_MAX_STEPS = 12
"""Paths of more steps are not projected: the number of types grows with the square of it."""

Decode = Callable[[bytes], Mapping[str, Any]]


def projection(names: Iterable[str]) -> Decode:
    """Return what decodes a record for a filter over fields of these dotted names.

    The result has every value that a filter could find by them in the whole record.
    """
    wanted = frozenset(names)
    if any(name.count(".") >= _MAX_STEPS for name in wanted):
        return decode_whole
    decoder: msgspec.json.Decoder[Mapping[str, Any]] = msgspec.json.Decoder(_type(wanted))

    def decode(record: bytes) -> Mapping[str, Any]:
        try:
            return decoder.decode(record)
        except msgspec.ValidationError:
            return decode_whole(record)

    return decode


def decode_whole(record: bytes) -> Mapping[str, Any]:
    """Return a whole record."""
    whole: Mapping[str, Any] = orjson.loads(record)
    return whole


@cache
def _type(names: frozenset[str]) -> Any:
    """Return a type of a dictionary with what can be found by `names`, all of it optional."""
    whole: set[str] = set()
    inner: dict[str, set[str]] = {}
    for name in names:
        whole.add(name)
        end = name.find(".")
        while end >= 0:
            inner.setdefault(name[:end], set()).add(name[end + 1 :])
            end = name.find(".", end + 1)
    fields: dict[str, Any] = {name: _type(frozenset(rest)) for name, rest in inner.items() if name not in whole}
    fields |= dict.fromkeys(whole, Any)
    return TypedDict("Projection", fields, total=False)  # type: ignore[operator]
