"""The types of a request's members, as the public model of the API has them: what is of another type goes no further.

AWS refuses such requests while it reads them, with SerializationException. A member that is null counts as not sent.

The models are the files that botocore comes with, read without botocore, whose import would be a third of the time in
which a process that was killed serves again.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

Check = Callable[[Any], Any]
"""Returns the value, without null members; raises WrongType."""

_API_VERSION = "2012-08-10"
_NAMES = {str: "String", bool: "Boolean", int: "Integer", float: "Float", dict: "Map", list: "List"}


@cache
def shapes(service: str) -> Shapes:
    """Return the checks of a service; raises OSError where botocore has no model of it."""
    return Shapes(_model(service))


def _model(service: str) -> dict[str, Any]:
    spec = find_spec("botocore")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("botocore, which has the models of the APIs, is not installed")
    packed = Path(spec.origin).parent / "data" / service / _API_VERSION / "service-2.json.gz"
    model: dict[str, Any] = orjson.loads(gzip.decompress(packed.read_bytes()))
    return model


class WrongType(ValueError):
    """A member has a value of a type that it cannot have."""


class Shapes:
    """Checks of all operations of a service, of which `model` is botocore's description."""

    def __init__(self, model: dict[str, Any]) -> None:
        self._shapes: dict[str, Any] = model["shapes"]
        self._operations: dict[str, Any] = model["operations"]
        self._checks: dict[str, Check] = {}

    def check(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return the request without null members; raises WrongType. Of an unknown operation nothing is checked.

        A table name that is null stays: it is reported in words of its own.
        """
        described = self._operations.get(operation, {}).get("input")
        if described is None:
            return request
        checked: dict[str, Any] = self._of(described)(request)
        if "TableName" in request:
            checked.setdefault("TableName", None)
        return checked

    def _of(self, reference: dict[str, Any]) -> Check:
        name = str(reference["shape"])
        if name not in self._checks:

            def later(value: Any) -> Any:
                """Stand in while the check is made: a shape may contain itself."""
                return self._checks[name](value)

            self._checks[name] = later
            self._checks[name] = self._make(self._shapes[name])
        return self._checks[name]

    def _make(self, shape: dict[str, Any]) -> Check:
        kind = shape["type"]
        if kind == "structure":
            members = {name: self._of(member) for name, member in shape["members"].items()}
            return lambda value: _structure(value, members)
        if kind == "list":
            return _each(self._of(shape["member"]))
        if kind == "map":
            return _map(self._of(shape["value"]))
        types: dict[str, tuple[type, ...]] = {
            "string": (str,),
            "blob": (str,),
            "boolean": (bool,),
            "integer": (int,),
            "long": (int,),
            "double": (int, float),
            "float": (int, float),
            "timestamp": (int, float, str),
        }
        allowed = types[kind]
        return lambda value: _scalar(value, allowed)


def _refuse(value: Any, wanted: str) -> WrongType:
    return WrongType(f"{_NAMES.get(type(value), 'Null')} value cannot be converted to {wanted}")


def _scalar(value: Any, allowed: tuple[type, ...]) -> Any:
    # In Python a boolean is an integer, in JSON it is not.
    if type(value) not in allowed:
        raise _refuse(value, _NAMES[allowed[0]])
    return value


def _structure(value: Any, members: dict[str, Check]) -> Any:
    if type(value) is not dict:
        raise _refuse(value, "Structure")
    return {k: members[k](v) if k in members else v for k, v in value.items() if v is not None or k not in members}


def _each(check: Check) -> Check:
    def checked(value: Any) -> Any:
        if type(value) is not list:
            raise _refuse(value, "List")
        return [check(entry) for entry in value]

    return checked


def _map(check: Check) -> Check:
    def checked(value: Any) -> Any:
        if type(value) is not dict:
            raise _refuse(value, "Map")
        return {k: check(v) for k, v in value.items()}

    return checked
