from __future__ import annotations

from handlers.record_batch import decode
from harness.corpus import COLUMNS
from harness.lessons.feed import lesson_source, record_batches

SOURCE = lesson_source("any")


def test_record_batches_when_made_hold_each_row_once_in_calls_of_25() -> None:
    batches = [decode(body) for body in record_batches(2_040, SOURCE)]
    assert [row[0] for batch in batches for row in batch.rows] == list(range(1, 2_041))
    assert [len(batch.rows) for batch in batches] == [25] * 81 + [15]
    assert {(batch.source_id, batch.columns) for batch in batches} == {(SOURCE.source_id, COLUMNS)}


def test_record_batches_when_rows_need_cleaning_are_cleaned() -> None:
    cells = [cell for body in record_batches(1_000, SOURCE) for row in decode(body).rows for cell in row[1:]]
    assert all(cell == cell.strip() for cell in cells)
