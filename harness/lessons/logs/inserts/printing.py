"""The pipeline's insert function, which prints each event before anything else, as the first version of most do."""

from __future__ import annotations

from typing import Any

from handlers.insert import handler as insert


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Print the event and insert its rows; returns the partial batch response."""
    print(event)  # noqa: T201  this line is the lesson
    return insert(event, context)
