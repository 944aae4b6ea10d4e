"""The types of a request's members, as the public model of the API has them: what is of another type goes no further.

AWS refuses such requests while it reads them, with SerializationException. A member that is null counts as not sent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel, Shape

Check = Callable[[Any], Any]
"""Returns the value, without null members; raises WrongType."""

_NAMES = {str: "String", bool: "Boolean", int: "Integer", float: "Float", dict: "Map", list: "List"}


@cache
def shapes(service: str) -> Shapes:
    """Return the checks of a service; its model takes a tenth of a second to load."""
    return Shapes(service)


class WrongType(ValueError):
    """A member has a value of a type that it cannot have."""


class Shapes:
    """Checks of all operations of a service."""

    def __init__(self, service: str) -> None:
        self._model: ServiceModel = botocore.session.get_session().get_service_model(service)
        self._checks: dict[str, Check] = {}
        self._operations = frozenset(self._model.operation_names)

    def check(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return the request without null members; raises WrongType. Of an unknown operation nothing is checked.

        A table name that is null stays: it is reported in words of its own.
        """
        if operation not in self._operations:
            return request
        shape = self._model.operation_model(operation).input_shape
        if shape is None:
            return request
        checked: dict[str, Any] = self._of(shape)(request)
        if "TableName" in request:
            checked.setdefault("TableName", None)
        return checked

    def _of(self, shape: Shape) -> Check:
        name = shape.name
        if name not in self._checks:

            def later(value: Any) -> Any:
                """Stand in while the check is made: a shape may contain itself."""
                return self._checks[name](value)

            self._checks[name] = later
            self._checks[name] = self._make(shape)
        return self._checks[name]

    def _make(self, shape: Any) -> Check:
        kind = shape.type_name
        if kind == "structure":
            members = {name: self._of(member) for name, member in shape.members.items()}
            return lambda value: _structure(value, members)
        if kind == "list":
            return _each(self._of(shape.member))
        if kind == "map":
            return _map(self._of(shape.value))
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
