"""Scan with a filter, a projection of paths or a legacy condition: our order and pages, the module's expressions."""

from __future__ import annotations

from typing import Any

import orjson

from harness.data_plane.tables.catalog import HeldTable
from harness.data_plane.tables.keys import hash_of, key_bytes, key_json
from harness.data_plane.tables.module import Response
from harness.data_plane.tables.pages import Page, read_page, segment_bounds

INVALID_START = "The provided starting key is invalid"


class InvalidStart(ValueError):
    """The ExclusiveStartKey is not a key of the table."""


def refusal(module: Any, held: HeldTable, request: dict[str, Any]) -> Response | None:
    """Return the module's refusal of the request, found by letting it scan no items, or None."""
    definition = held.definition
    definition["items"] = {}
    try:
        # A page of an empty table has no item to begin after, so any start that is a key passes.
        response: Response = module._scan(request)
    finally:
        definition["items"] = held.view
    return None if response[0] == 200 else response


def start_key(held: HeldTable, start: Any, bounds: tuple[int, int]) -> tuple[bytes, bytes] | None:
    """Return the key to begin after, or None; raises InvalidStart."""
    if start is None:
        return None
    schema = held.schema
    parts = []
    for name, kind in ((schema.pk, schema.pk_type), (schema.sk, schema.sk_type)):
        if name is None:
            continue
        value = start.get(name) if isinstance(start, dict) else None
        text = value.get(kind) if isinstance(value, dict) else None
        if not isinstance(text, str):
            raise InvalidStart(INVALID_START)
        try:
            parts.append(key_bytes(kind, text))
        except (ValueError, ArithmeticError) as error:
            raise InvalidStart(INVALID_START) from error
    if not bounds[0] <= hash_of(parts[0]) < bounds[1]:
        raise InvalidStart(f"{INVALID_START}: The provided key is outside the segment")
    return parts[0], parts[1] if len(parts) > 1 else b""


def scan(module: Any, held: HeldTable, request: dict[str, Any]) -> tuple[dict[str, Any], Page]:
    """Return the answer and the page that was read for it; raises InvalidStart, ValueError for a bad expression."""
    segment, total, limit = (
        int(request[name]) if request.get(name) is not None else None for name in ("Segment", "TotalSegments", "Limit")
    )
    bounds = segment_bounds(segment, total)
    assert bounds is not None
    page = read_page(held.store.scan(*bounds, start_key(held, request.get("ExclusiveStartKey"), bounds)), limit)
    items = [orjson.loads(image) for image in page.images]
    kept = [item for item in items if _matches(module, item, request)]
    answer: dict[str, Any] = {"Count": len(kept), "ScannedCount": len(items)}
    if request.get("Select") != "COUNT":
        answer["Items"] = [module._apply_projection(item, request) for item in kept]
    if page.more and page.last is not None:
        answer["LastEvaluatedKey"] = orjson.loads(key_json(held.schema, *page.last))
    return answer, page


def _matches(module: Any, item: dict[str, Any], request: dict[str, Any]) -> bool:
    expression = request.get("FilterExpression")
    legacy = request.get("ScanFilter") or request.get("QueryFilter")
    if expression:
        values = request.get("ExpressionAttributeValues", {})
        names = request.get("ExpressionAttributeNames", {})
        return bool(module._evaluate_condition(expression, item, values, names, slot="FilterExpression"))
    return not legacy or bool(module._evaluate_legacy_filter(item, legacy))
