"""How many items a table holds, by its own count or by a scan."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from harness.audit.audit import count_items
from harness.engines.base import Deployment, Engine

DEPLOYMENT = Deployment("s", {"RecordsTable": "t"}, {})


class Table:
    """Counts seven items, and holds another number: two pages of every segment of a scan."""

    def __init__(self) -> None:
        self.segments: list[int] = []

    def describe_table(self, **_: Any) -> dict[str, Any]:
        return {"Table": {"ItemCount": 7}}

    def get_paginator(self, operation: str) -> Table:
        assert operation == "scan"
        return self

    def paginate(self, **given: Any) -> list[dict[str, int]]:
        assert given["Select"] == "COUNT" and given["ConsistentRead"] is True
        assert given["Segment"] < given["TotalSegments"]
        self.segments.append(given["Segment"])
        return [{"Count": 10 + given["Segment"]}, {"Count": 1}]


def count(table: Table, *, live: bool) -> int:
    engine = SimpleNamespace(client=lambda _: table, live_counts=live)
    return count_items(cast(Engine, engine), DEPLOYMENT)


def test_count_items_where_the_tables_count_is_live_takes_it() -> None:
    table = Table()
    assert count(table, live=True) == 7 and not table.segments


def test_count_items_elsewhere_scans_every_segment_once_and_every_page() -> None:
    table = Table()
    total = count(table, live=False)
    assert sorted(table.segments) == list(range(len(table.segments)))
    assert total == sum(11 + segment for segment in table.segments)
