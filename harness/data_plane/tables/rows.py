"""BatchWriteItem's common case: puts of compact items that have the same attributes, recognised by one expression.

A batch of rows of one file has the same attribute names in the same order in every item. From an item that `read_item`
accepted, a regular expression is made that matches the puts of such items and nothing else, so that one pass in C
checks a whole request. What it does not match is read by `items.py`: the expression accepts less, never more, and what
it returns is what `read_item` returns.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from harness.data_plane.tables.items import (
    CANONICAL_NUMBER,
    COMMON_OVERHEAD,
    MAX_ITEM,
    MAX_PARTITION_KEY,
    MAX_SORT_KEY,
    NULL_OVERHEAD,
    number_size,
)
from harness.data_plane.tables.keys import KeySchema, key_bytes

Row = tuple[bytes, bytes, bytes, int]
"""A valid item: partition key, sort key, compact JSON, size in bytes by DynamoDB's rules."""

MAX_SHAPES = 8
"""Expressions of one table; the one that matched last is tried first."""
SIGHTINGS = 4
"""Requests of a shape before an expression is made for it, which takes as long as reading some ten requests."""
MAX_ATTRIBUTES = 200
_MAX_COUNTED = 64
_SCALARS = frozenset(("S", "N", "NULL"))

_PLAIN = rb'[^"\\\x00-\x1f]'
_TEXT = _PLAIN + rb'*+(?:\\["\\bfnrt]' + _PLAIN + rb"*+)*+"
"""The inside of a JSON string with the escapes that compact JSON has."""
_NULL = b'{"NULL":true}'
_plain_name = re.compile(_PLAIN + rb"++").fullmatch
_head = re.compile(rb'\{"RequestItems":\{"([A-Za-z0-9_.-]+)":\[').match
_TAIL = b"]}}"

Shape = tuple[tuple[str, str], ...]
"""Names and types (S also stands for NULL) of an item's attributes in their order."""


def table_name(body: bytes) -> tuple[str, int] | None:
    """Return the table that a compact request without options begins with, and where its entries begin."""
    found = _head(body)
    return (found[1].decode(), found.end()) if found is not None else None


@dataclass(frozen=True)
class _Pattern:
    """One shape's expression. Groups: 1 the item, then keys and numbers as `pk`, `sk` and `numbers` say."""

    expression: re.Pattern[bytes]
    pk: int
    sk: int | None
    numbers: tuple[int, ...]
    overhead: int


class RowReader:
    """Reads the puts of one table; it learns from `learn`."""

    def __init__(self, schema: KeySchema) -> None:
        self._schema = schema
        self._patterns: list[_Pattern] = []
        self._known: set[Shape] = set()
        self._seen: Counter[Shape] = Counter()

    def learn(self, image: bytes) -> None:
        """Take note of the shape of an item that was accepted as it came."""
        item = orjson.loads(image)
        shape = tuple((name, "N" if "N" in value else "S") for name, value in item.items())
        if shape in self._known or len(shape) > MAX_ATTRIBUTES or not self._has_rows(item):
            return
        if len(self._seen) >= _MAX_COUNTED and shape not in self._seen:
            self._seen.clear()
        self._seen[shape] += 1
        if self._seen[shape] < SIGHTINGS:
            return
        pattern = _pattern(shape, self._schema)
        if pattern is None:
            return
        if len(self._patterns) >= MAX_SHAPES:
            self._patterns.clear()
            self._known.clear()
        del self._seen[shape]
        self._known.add(shape)
        self._patterns.insert(0, pattern)

    def _has_rows(self, item: dict[str, dict[str, Any]]) -> bool:
        """Tell whether an expression can stand for items like this: all values scalar, no key of them binary."""
        key_types = {self._schema.pk_type, self._schema.sk_type}
        return "B" not in key_types and all(value.keys() <= _SCALARS for value in item.values())

    def read(self, body: bytes, start: int, most: int) -> list[Row] | None:
        """Return up to `most` items of distinct keys that a request puts, None when it is not certainly valid.

        Its entries begin at `start` and must be all that follows.
        """
        patterns = self._patterns
        for place, pattern in enumerate(patterns):
            if pattern.expression.match(body, start):
                if place:
                    patterns.insert(0, patterns.pop(place))
                return self._matched(pattern, body, start, most)
        return None

    def _matched(self, pattern: _Pattern, body: bytes, start: int, most: int) -> list[Row] | None:
        expression = pattern.expression
        step = expression.groups + 1
        parts = expression.split(body)
        images = parts[1::step]
        between = parts[step:-1:step]
        if len(parts[0]) != start or parts[-1] != _TAIL or between.count(b",") != len(between) or len(images) > most:
            return None
        if not body.isascii():
            try:
                body.decode()
            except UnicodeDecodeError:
                return None
        overhead = pattern.overhead
        sizes = [len(image) - overhead - NULL_OVERHEAD * image.count(_NULL) for image in images]
        for group in pattern.numbers:
            for at, digits in enumerate(parts[group::step]):
                sizes[at] += number_size(digits.decode()) - len(digits)
        if b"\\" in body:
            # A run of n backslashes is n/2 escapes, rounded up.
            sizes = [
                size - image.count(b"\\") + image.count(b"\\\\") for size, image in zip(sizes, images, strict=True)
            ]
        schema = self._schema
        pks = _keys(parts[pattern.pk :: step], schema.pk_type)
        if max(sizes) > MAX_ITEM or max(map(len, pks)) > MAX_PARTITION_KEY:
            return None
        if pattern.sk is None:
            return list(zip(pks, [b""] * len(pks), images, sizes, strict=True)) if len(set(pks)) == len(pks) else None
        sks = _keys(parts[pattern.sk :: step], schema.sk_type)
        if max(map(len, sks)) > MAX_SORT_KEY or len(set(zip(pks, sks, strict=True))) < len(pks):
            return None
        return list(zip(pks, sks, images, sizes, strict=True))


def _keys(texts: list[bytes], kind: str) -> list[bytes]:
    return texts if kind == "S" else [key_bytes(kind, text.decode()) for text in texts]


def _pattern(shape: Shape, schema: KeySchema) -> _Pattern | None:
    """Return the expression of a shape, None for names that are written with escapes."""
    groups: dict[str, int] = {}
    numbers = []
    attributes = []
    for name, kind in shape:
        quoted = name.encode()
        if not _plain_name(quoted):
            return None
        if kind == "N":
            groups[name] = len(groups) + 2
            numbers.append(groups[name])
            value = rb'"N":"((?!-0")%b)"' % CANONICAL_NUMBER.encode()
        elif name in (schema.pk, schema.sk):
            groups[name] = len(groups) + 2
            value = rb'"S":"(%b++)"' % _PLAIN
        else:
            value = rb'(?:"S":"%b"|"NULL":true)' % _TEXT
        attributes.append(rb'"%b":\{%b\}' % (re.escape(quoted), value))
    expression = re.compile(rb'\{"PutRequest":\{"Item":(\{%b\})\}\}' % b",".join(attributes))
    sk = groups[schema.sk] if schema.sk is not None else None
    return _Pattern(expression, groups[schema.pk], sk, tuple(numbers), 1 + COMMON_OVERHEAD * len(shape))
