"""Members of a request, taken by name and type. Both protocols give requests as JSON-like mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.data_plane.queues.errors import SqsError, missing

Request = Mapping[str, Any]


def text(request: Request, name: str) -> str:
    """Return a text that must be there and not empty; raises SqsError."""
    value = optional_text(request, name)
    if not value:
        raise missing(name)
    return value


def optional_text(request: Request, name: str) -> str | None:
    """Return a text or None; raises SqsError for another type."""
    value = request.get(name)
    if value is None or isinstance(value, str):
        return value
    raise wrong_type(name, "a string")


def integer(request: Request, name: str) -> int | None:
    """Return a whole number or None; raises SqsError for another type."""
    value = request.get(name)
    if value is None or type(value) is int:
        return value
    raise wrong_type(name, "an integer")


def texts(request: Request, name: str) -> list[str]:
    """Return a list of texts, empty when it is absent; raises SqsError for another type."""
    value = request.get(name)
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise wrong_type(name, "a list of strings")


def text_map(request: Request, name: str) -> dict[str, str]:
    """Return a mapping of texts, empty when it is absent; raises SqsError for another type."""
    value = request.get(name)
    if value is None:
        return {}
    if isinstance(value, dict) and all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        return value
    raise wrong_type(name, "a map of strings")


def structures(request: Request, name: str) -> list[dict[str, Any]]:
    """Return a list of structures, empty when it is absent; raises SqsError for another type."""
    value = request.get(name)
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise wrong_type(name, "a list of structures")


def wrong_type(name: str, needed: str) -> SqsError:
    """Return the error of a member that has another type than the model says."""
    return SqsError("SerializationException", f"The value of {name} is not {needed}.")
