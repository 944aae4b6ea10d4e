"""Partial batch responses: which items a function reports as failed."""

from __future__ import annotations

from collections.abc import Collection

import orjson

_EMPTY: tuple[object, ...] = (None, "", [], {})
"""Answers that are complete success: the developer guide's empty and null EventResponse, an empty string and list."""


def failed_items(payload: bytes, known: Collection[str]) -> set[str] | None:
    """Return the identifiers a response reports as failed; None means that the whole batch failed.

    Follows the Lambda developer guide, "Reporting batch item failures": an empty or null response, or an empty or
    null `batchItemFailures`, is complete success; an entry without `itemIdentifier`, with an empty or null one, or
    with one that is not in the batch fails the batch. So does anything that is not of this form at all.
    """
    try:
        response = orjson.loads(payload) if payload else None
    except ValueError:
        return None
    if response in _EMPTY:
        return set()
    if not isinstance(response, dict):
        return None
    failures = response.get("batchItemFailures")
    if failures is None:
        return set()
    if not isinstance(failures, list):
        return None
    identifiers: set[str] = set()
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        if not isinstance(identifier, str) or identifier not in known:
            return None
        identifiers.add(identifier)
    return identifiers
