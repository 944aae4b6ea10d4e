"""The cross-check: what the cleaner makes of a corpus is what the corpus says it must make of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from handlers.business_rule import ProcessingError, rule_for
from handlers.clean_worker import Cleaned, Job, clean_rows
from handlers.cleaning import clean_cell
from handlers.record_batch import Source
from handlers.settings import Settings
from handlers.splitter import split_object
from harness.corpus import COLUMNS, CorpusSpec, ExpectedRow, Outcome, corpus_bytes, expected_block
from harness.corpus.dirt import DIRT

SPEC = CorpusSpec(rows=5000, dirty=0.3, quarantine=0.05, poison=0.02)
LARGE = CorpusSpec(rows=10_000, seed=5, dirty=0.3, quarantine=0.05, poison=0.02)


def expected_rows(spec: CorpusSpec) -> list[ExpectedRow]:
    return [row for block in range(spec.blocks) for row in expected_block(spec, block)]


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def cleaned_rows(blocks: Iterator[bytes]) -> tuple[dict[int, tuple[str, ...]], dict[int, str], int]:
    """Return what the cleaner gives: cells by row, reject reasons by row, and the rows it counted."""
    columns, chunks = split_object(blocks)
    assert columns == COLUMNS
    job = Job(Source("bucket", "key", "version"), columns, Settings())
    cells: dict[int, tuple[str, ...]] = {}
    reasons: dict[int, str] = {}
    counted = 0
    for chunk in chunks:
        cleaned = Cleaned()
        for encoded in clean_rows(chunk, job, cleaned):
            row, *values = json.loads(encoded)
            assert row not in cells
            cells[row] = tuple(values)
        for line in map(json.loads, cleaned.rejects):
            assert line["row"] not in reasons
            reasons[line["row"]] = line["reason"]
        counted += cleaned.rows
    return cells, reasons, counted


def assert_as_expected(spec: CorpusSpec, blocks: Iterator[bytes]) -> None:
    cells, reasons, counted = cleaned_rows(blocks)
    assert counted == spec.rows
    assert len(cells) + len(reasons) == spec.rows
    for expected in expected_rows(spec):
        if expected.cells is None:
            assert reasons.get(expected.row) == expected.reason, f"row {expected.row}"
            assert expected.row not in cells
        else:
            assert cells.get(expected.row) == expected.cells, f"row {expected.row}"


def test_cleaner_when_it_reads_a_corpus_gives_every_row_as_expected() -> None:
    assert_as_expected(SPEC, corpus_bytes(SPEC))


@pytest.mark.parametrize("size", [997, 64 * 1024, 1 << 30])
def test_cleaner_when_blocks_are_cut_anywhere_gives_every_row_as_expected(size: int) -> None:
    assert_as_expected(SPEC, cut(b"".join(corpus_bytes(SPEC)), size))


def test_cleaner_when_a_row_exceeds_a_message_rejects_it_as_expected() -> None:
    assert_as_expected(LARGE, corpus_bytes(LARGE))


def test_corpus_when_it_has_all_shares_covers_every_reject_reason_and_outcome() -> None:
    rows = expected_rows(LARGE)
    reasons = Counter(row.reason for row in rows if row.outcome is Outcome.QUARANTINED)
    wanted = {"wrong_arity", "undecodable_bytes", "empty_row", "field_too_large", "row_too_large"}
    assert reasons.keys() == wanted
    assert {row.outcome for row in rows} == set(Outcome)


def test_expected_cells_when_cleaned_again_stay_the_same() -> None:
    for expected in expected_rows(SPEC):
        for cell in expected.cells or ():
            assert cell == clean_cell(cell)


def test_business_rule_when_applied_refuses_exactly_the_poisonous_rows() -> None:
    rule = rule_for(COLUMNS)
    for expected in expected_rows(SPEC):
        if expected.cells is None or expected.outcome is Outcome.INSERT_DLQ:
            continue
        try:
            rule.apply(expected.cells)
            reason = ""
        except ProcessingError as error:
            reason = error.reason
        wanted = expected.reason if expected.outcome is Outcome.PROCESS_DLQ else ""
        assert reason == wanted, f"row {expected.row}"


@pytest.mark.parametrize("kind", range(len(DIRT)))
def test_dirt_when_applied_changes_the_cell_and_cleaning_gives_it_back(kind: int) -> None:
    text = "Zoë O'Connor & Söhne"
    _, apply = DIRT[kind]
    assert apply(text) != text
    assert clean_cell(apply(text)) == text
