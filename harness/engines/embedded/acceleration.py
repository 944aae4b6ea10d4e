"""Faster equivalents for hot spots of MiniStack, put in place when its server process starts.

The standard library's json and the arithmetic of item sizes take most of the server's CPU in BatchWriteItem and
GetRecords; each item of a batch is looked at three times and its key resolved twice; every stream record waits for an
identifier made of the operating system's randomness; and capacity is added up even where nobody asked for it. The
replacements return exactly what the originals return; tests compare them over generated items and batches. Compare
`harness bench engine --stock` with `harness bench engine`. MiniStack's version is pinned; `install` refuses others.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

import orjson

from harness.errors import EngineError

SUPPORTED_VERSION = "1.5.33"

SizeOf = Callable[[Any], int]


class FastJson:
    """Stands in for the `json` module inside MiniStack's DynamoDB modules.

    Falls back to the standard library for what orjson does not do alike: lone surrogates, non-string keys,
    writing integers beyond 64 bits, and every option that is not the compact or the default form read by machines.
    One difference stays: an integer literal beyond 64 bits is read as a float. AWS's JSON protocols have none:
    DynamoDB's numbers are strings, every other integer has at most 64 bits.
    """

    JSONDecodeError = json.JSONDecodeError

    @staticmethod
    def loads(text: str | bytes) -> Any:
        """Return the decoded value, as `json.loads` does; raises json.JSONDecodeError."""
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return json.loads(text)

    @staticmethod
    def dumps(value: Any, **options: Any) -> str:
        """Return JSON text that decodes to the same value as `json.dumps`'s; white space may differ."""
        if not options.keys() <= {"ensure_ascii", "separators", "default"}:
            return json.dumps(value, **options)
        try:
            return orjson.dumps(value, default=options.get("default")).decode()
        except TypeError:
            return json.dumps(value, **options)


def fast_item_size(size_of_value: SizeOf) -> SizeOf:
    """Return an equivalent of MiniStack's `_item_size_bytes` with a short cut for ASCII strings.

    `size_of_value` is MiniStack's own function for one attribute value; it still serves every other type.
    """

    def item_size(item: Any) -> int:
        total = 0
        if not isinstance(item, dict):
            return 0
        for name, value in item.items():
            total += len(name) if name.isascii() else len(name.encode("utf-8"))
            text = value.get("S") if isinstance(value, dict) and len(value) == 1 else None
            if isinstance(text, str):
                total += len(text) if text.isascii() else len(text.encode("utf-8"))
            else:
                total += size_of_value(value)
        return total

    return item_size


class FastValidation:
    """Stands in for MiniStack's validation of items with a short cut for strings and NULL, most of what CSVs hold.

    Everything else goes to the originals, which also word every refusal.
    """

    def __init__(self, module: Any) -> None:
        self._values_error = module._values_error_response
        self._validate_item = module._validate_item
        self._validate_value = module._validate_attribute_value
        self._empty_key = module._empty_key_value_error
        self._key_length = module._key_length_error
        self._size_of_value = module._attribute_value_size
        self._size_limit = module._DDB_ITEM_MAX_BYTES

    def install(self, module: Any) -> None:
        """Put the wrappers in place of the module's functions."""
        module._values_error_response = self.values_error
        module._validate_item = self.validate_item

    def values_error(self, values: Iterable[Any], envelope: bool) -> Any:
        """Stand in for `_values_error_response`, which finds bad numbers and sets: strings and NULL are neither."""
        unsure = [v for v in values if not (type(v) is dict and len(v) == 1 and ("S" in v or "NULL" in v))]
        return self._values_error(unsure, envelope) if unsure else None

    def validate_item(self, item: Any, pk_name: Any = None, sk_name: Any = None, *wording: Any) -> Any:
        """Stand in for `_validate_item`: each attribute, the keys, and the size of the whole."""
        if type(item) is not dict:
            return self._validate_item(item, pk_name, sk_name, *wording)
        size = 0
        for name, value in item.items():
            if name in (pk_name, sk_name) and (error := self._empty_key(name, value)):
                return error
            size += len(name) if name.isascii() else len(name.encode("utf-8"))
            text = value.get("S") if type(value) is dict and len(value) == 1 else None
            if type(text) is str:
                size += len(text) if text.isascii() else len(text.encode("utf-8"))
                continue
            if error := self._validate_value(name, value):
                return error
            size += self._size_of_value(value)
        if error := self._key_length(item, pk_name, sk_name):
            return error
        # The original says so in the words of the call.
        return self._validate_item(item, pk_name, sk_name, *wording) if size > self._size_limit else None


class LeanBatchWrite:
    """Saves work inside MiniStack's `_batch_write_item`, which stays in charge.

    An item that was found valid once in a call is not validated again in the same call, nor is its key resolved again,
    and consumed capacity is added up only for calls that ask for it. All is decided per call; requests are handled one
    at a time.
    """

    def __init__(self, module: Any) -> None:
        self._batch_write_item = module._batch_write_item
        self._validate_item = module._validate_item
        self._resolve_key = module._resolve_table_key_values
        self._accumulate = module._accumulate_write_capacity
        self._valid: set[int] | None = None
        self._keys: dict[tuple[int, int, bool], Any] = {}
        self._counting = True

    def install(self, module: Any) -> None:
        """Put the wrappers in place of the module's functions."""
        module._batch_write_item = self.batch_write_item
        module._validate_item = self.validate_item
        module._resolve_table_key_values = self.resolve_key
        module._accumulate_write_capacity = self.accumulate

    def batch_write_item(self, data: Any) -> Any:
        """Stand in for `_batch_write_item`."""
        self._valid = set()
        self._counting = data.get("ReturnConsumedCapacity", "NONE") != "NONE"
        try:
            return self._batch_write_item(data)
        finally:
            self._valid, self._counting = None, True
            self._keys.clear()

    def validate_item(self, item: Any, *arguments: Any, **options: Any) -> Any:
        """Stand in for `_validate_item`."""
        # Items live as long as their request, so identities cannot be reused within it.
        if self._valid is not None and id(item) in self._valid:
            return None
        error = self._validate_item(item, *arguments, **options)
        if error is None and self._valid is not None:
            self._valid.add(id(item))
        return error

    def resolve_key(self, table: Any, attrs: Any, allow_extra: bool) -> Any:
        """Stand in for `_resolve_table_key_values`."""
        if self._valid is None:
            return self._resolve_key(table, attrs, allow_extra)
        asked = (id(table), id(attrs), allow_extra)
        found = self._keys.get(asked)
        if found is None:
            found = self._keys[asked] = self._resolve_key(table, attrs, allow_extra)
        return found

    def accumulate(self, *arguments: Any) -> None:
        """Stand in for `_accumulate_write_capacity`."""
        if self._counting:
            self._accumulate(*arguments)


_random = random.Random()


def fast_uuid() -> str:
    """Return a random version 4 UUID as text, for identifiers that need to be unique and not secret."""
    digits = f"{_random.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def install() -> None:
    """Put the replacements in place; raises EngineError for a MiniStack they were not tested with."""
    found = version("ministack")
    if found != SUPPORTED_VERSION:
        raise EngineError(
            f"MiniStack {found} is installed, {SUPPORTED_VERSION} is needed",
            hint="install from requirements.lock (make setup)",
        )
    from ministack.core import responses
    from ministack.services import dynamodb, dynamodb_streams, sqs

    for module in (dynamodb, dynamodb_streams, responses, sqs):
        module.json = FastJson
    for module in (dynamodb, sqs):
        module.new_uuid = fast_uuid
    dynamodb._item_size_bytes = fast_item_size(dynamodb._attribute_value_size)
    FastValidation(dynamodb).install(dynamodb)
    LeanBatchWrite(dynamodb).install(dynamodb)
