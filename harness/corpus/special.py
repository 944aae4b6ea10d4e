"""Large rows: hundreds of kilobytes each, so they come in small absolute numbers at seeded positions.

| kind | how many | what must become of it |
|---|---|---|
| field_too_large | with `quarantine`: 1 per 100,000 rows, 1 to 4 | quarantined |
| row_too_large | with `quarantine`: 1 from 10,000 rows on | quarantined |
| item over 400 KB | with `poison`: 1 per 200,000 rows, 1 to 4 | refused by the table: insert DLQ |
| item just under 400 KB | with `poison`: 1 per 400,000 rows, 1 to 2 | too large once processed: update DLQ |
"""

from __future__ import annotations

import random

from harness.corpus.dirt import CITY, MERCHANT, NAME, NOTE
from harness.corpus.spec import COLUMNS, CorpusSpec, ExpectedRow, Outcome

ITEM_LIMIT = 400 * 1024
"""Bytes of one item: UTF-8 lengths of names and values (DynamoDB developer guide, "Item sizes and formats")."""

FIELD_LIMIT = 262_144
"""MaxFieldBytes of the template."""

_PIPELINE_BYTES = len("record_id") + 16 + 1 + len("_status") + len("inserted") + len("_inserted_at") + 24
"""Bytes that inserting adds to the cells and their names, but for the digits of the row number."""

_MIN_ROWS = 100


def positions(spec: CorpusSpec) -> dict[int, str]:
    """Return row number to kind for the large rows of a corpus; small corpora have none."""
    if spec.rows < _MIN_ROWS:
        return {}
    wanted: list[str] = []
    if spec.quarantine:
        wanted += ["field_too_large"] * _bounded(spec.rows // 100_000, 4)
        wanted += ["row_too_large"] * (spec.rows >= 10_000)
    if spec.poison:
        wanted += ["insert_poison"] * _bounded(spec.rows // 200_000, 4)
        wanted += ["update_poison"] * _bounded(spec.rows // 400_000, 2)
    # random.sample is not promised to be stable between Python versions; drawing bits is.
    draw = random.Random(f"special/{spec.seed}/{spec.rows}")
    chosen: dict[int, str] = {}
    for kind in wanted:
        row = draw.getrandbits(48) % spec.rows + 1
        while row in chosen:
            row = row % spec.rows + 1
        chosen[row] = kind
    return chosen


def render(kind: str, row: int, cells: list[str]) -> tuple[list[str], ExpectedRow]:
    """Return the cells of one large row, and what must become of it."""
    large = list(cells)
    if kind == "field_too_large":
        large[NOTE] = "x" * (FIELD_LIMIT + 1)
        return large, ExpectedRow(row, None, Outcome.QUARANTINED, "field_too_large")
    if kind == "row_too_large":
        for column in (NAME, MERCHANT, CITY, NOTE, 5):
            large[column] = "x" * 250_000
        return large, ExpectedRow(row, None, Outcome.QUARANTINED, "row_too_large")
    if kind == "insert_poison":
        large[NOTE], large[CITY] = "x" * 205_000, "y" * 205_000
        return large, ExpectedRow(row, tuple(large), Outcome.INSERT_DLQ, "refused_by_table")
    large[NOTE], large[CITY] = "x" * 200_000, ""
    used = _PIPELINE_BYTES + len(str(row)) + sum(len(n) for n in COLUMNS)
    used += sum(len(cell.encode("utf-8")) for cell in large)
    # Ten bytes short of the limit: inserting fits, the processed attributes (over 60 bytes) do not.
    large[CITY] = "y" * (ITEM_LIMIT - 10 - used)
    return large, ExpectedRow(row, tuple(large), Outcome.UPDATE_DLQ, "refused_by_table")


def _bounded(count: int, most: int) -> int:
    return max(1, min(count, most))
