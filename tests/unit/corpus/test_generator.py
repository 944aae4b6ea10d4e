"""Corpora are reproducible to the byte, and their files and manifests agree with them."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from pathlib import Path

import pytest

from harness.corpus import (
    BLOCK_ROWS,
    COLUMNS,
    CorpusSpec,
    ExpectedRow,
    Outcome,
    corpus_bytes,
    expected_block,
    generate,
    load_manifest,
    manifest_path,
)
from harness.corpus.generator import block_digest
from harness.corpus.special import ITEM_LIMIT, positions
from harness.corpus.values import SEPARATOR
from harness.errors import UsageError

MANY_EXCEPTIONS = CorpusSpec(rows=2500, seed=3, dirty=0.3, quarantine=0.05, poison=0.02)
PINNED = "3034e24c51abfb33dc66b359c3f47060cb73f5c50dd919569ac80142630be432"


def whole(spec: CorpusSpec) -> bytes:
    return b"".join(corpus_bytes(spec))


def expected_rows(spec: CorpusSpec) -> list[ExpectedRow]:
    return [row for block in range(spec.blocks) for row in expected_block(spec, block)]


def item_bytes(row: int, cells: tuple[str, ...], own: dict[str, str]) -> int:
    """Return an item's size by DynamoDB's rule: the UTF-8 bytes of attribute names and of string values."""
    item = dict(zip(COLUMNS, cells, strict=True)) | {"record_id": f"{'0' * 16}#{row}"} | own
    return sum(len(name.encode()) + len(value.encode()) for name, value in item.items())


INSERTED = {"_status": "inserted", "_inserted_at": "2026-01-01T00:00:00.000Z"}


def test_corpus_when_made_now_equals_the_pinned_bytes() -> None:
    assert hashlib.sha256(whole(CorpusSpec(rows=5000))).hexdigest() == PINNED


def test_corpus_when_made_twice_is_the_same() -> None:
    assert whole(MANY_EXCEPTIONS) == whole(MANY_EXCEPTIONS)


def test_corpus_when_global_random_state_differs_is_the_same() -> None:
    random.seed(1)
    one = whole(CorpusSpec(rows=300))
    random.seed(2)
    assert whole(CorpusSpec(rows=300)) == one


@pytest.mark.parametrize(
    "other",
    [
        CorpusSpec(rows=2000, seed=2),
        CorpusSpec(rows=2000, seed=1, dirty=0.5),
        CorpusSpec(rows=2000, seed=1, quarantine=0.1),
        CorpusSpec(rows=2000, seed=1, poison=0.1),
    ],
)
def test_corpus_when_the_spec_differs_has_other_bytes(other: CorpusSpec) -> None:
    assert whole(other) != whole(CorpusSpec(rows=2000, seed=1))


def test_corpus_when_there_are_no_rows_is_the_header_alone() -> None:
    spec = CorpusSpec(rows=0)
    assert whole(spec) == (",".join(COLUMNS) + "\n").encode()
    assert spec.blocks == 0


@pytest.mark.parametrize("rows", [1, 99, 100, 999, 1000, 1001])
def test_expected_blocks_when_rows_are_at_an_edge_number_every_row_once(rows: int) -> None:
    assert [row.row for row in expected_rows(CorpusSpec(rows=rows))] == list(range(1, rows + 1))


def test_expected_rows_when_there_are_no_exceptions_are_the_file_itself() -> None:
    spec = CorpusSpec(rows=1500, dirty=0, quarantine=0, poison=0)
    rows = expected_rows(spec)
    assert {row.outcome for row in rows} == {Outcome.UPDATED}
    assert {row.reason for row in rows} == {""}
    assert all(row.cells is not None and len(row.cells) == len(COLUMNS) for row in rows)
    assert len(whole(spec).splitlines()) == 1501


def test_generate_when_done_has_written_the_corpus_and_its_sums(tmp_path: Path) -> None:
    path = tmp_path / "made" / "corpus.csv"
    manifest = generate(path, MANY_EXCEPTIONS)
    data = path.read_bytes()
    assert data == whole(MANY_EXCEPTIONS)
    assert manifest.file_bytes == len(data)
    assert manifest.sha256 == hashlib.sha256(data).hexdigest()
    assert load_manifest(manifest_path(path)) == manifest


def test_generate_when_a_file_is_there_replaces_it_and_its_manifest(tmp_path: Path) -> None:
    path = tmp_path / "corpus.csv"
    generate(path, CorpusSpec(rows=10))
    manifest = generate(path, CorpusSpec(rows=20))
    assert path.read_bytes() == whole(CorpusSpec(rows=20))
    assert load_manifest(manifest_path(path)) == manifest


def test_generate_when_there_are_no_rows_writes_the_header_and_an_empty_manifest(tmp_path: Path) -> None:
    path = tmp_path / "corpus.csv"
    manifest = generate(path, CorpusSpec(rows=0))
    assert path.read_bytes() == (",".join(COLUMNS) + "\n").encode()
    assert (manifest.rows, manifest.rows_cleaned, manifest.rows_updated, manifest.cells_changed) == (0, 0, 0, 0)
    assert manifest.block_digests == ()
    assert not manifest.exceptions


def test_block_when_made_alone_equals_its_place_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "corpus.csv"
    manifest = generate(path, MANY_EXCEPTIONS)
    data = path.read_bytes()
    header, *blocks = corpus_bytes(MANY_EXCEPTIONS)
    at = len(header)
    for number in reversed(range(MANY_EXCEPTIONS.blocks)):
        before = at + sum(map(len, blocks[:number]))
        assert data[before : before + len(blocks[number])] == blocks[number]
        alone = expected_block(MANY_EXCEPTIONS, number)
        assert [row.row for row in alone] == list(
            range(number * BLOCK_ROWS + 1, min((number + 1) * BLOCK_ROWS, MANY_EXCEPTIONS.rows) + 1)
        )
        kept = [SEPARATOR.join(row.cells) for row in alone if row.cells is not None]
        assert block_digest(kept) == manifest.block_digests[number]


def test_block_when_the_corpus_grows_stays_the_same_but_for_large_rows() -> None:
    small = CorpusSpec(rows=1000, quarantine=0, poison=0)
    large = CorpusSpec(rows=3000, quarantine=0, poison=0)
    assert list(corpus_bytes(small))[1] == list(corpus_bytes(large))[1]


def test_manifest_counts_when_compared_with_expected_blocks_are_equal(tmp_path: Path) -> None:
    manifest = generate(tmp_path / "corpus.csv", MANY_EXCEPTIONS)
    rows = expected_rows(MANY_EXCEPTIONS)
    outcomes = Counter(row.outcome for row in rows)
    assert manifest.rows == len(rows)
    assert manifest.rows_updated == outcomes[Outcome.UPDATED]
    assert manifest.rows_cleaned == sum(row.cells is not None for row in rows)
    for outcome in set(Outcome) - {Outcome.UPDATED}:
        assert manifest.count(outcome) == outcomes[outcome]
        named = {n: reason for reason, numbers in manifest.exceptions.get(outcome, {}).items() for n in numbers}
        assert named == {row.row: row.reason for row in rows if row.outcome is outcome}
    assert all(outcomes[outcome] for outcome in Outcome)


def test_shares_when_large_come_out_near_what_was_asked() -> None:
    outcomes = Counter(
        row.outcome for row in expected_rows(CorpusSpec(rows=5000, dirty=0, quarantine=0.5, poison=0.25))
    )
    assert 2350 < outcomes[Outcome.QUARANTINED] < 2650
    assert 1100 < outcomes[Outcome.PROCESS_DLQ] < 1400


@pytest.mark.parametrize("name", ["dirty", "quarantine", "poison"])
@pytest.mark.parametrize("share", [-0.01, 1.01, float("nan"), float("inf")])
def test_spec_when_a_share_is_no_fraction_names_it(name: str, share: float) -> None:
    with pytest.raises(UsageError, match=f"--{name} is {share}"):
        CorpusSpec(**{name: share})  # type: ignore[arg-type]


def test_spec_when_shares_exceed_one_together_is_refused() -> None:
    with pytest.raises(UsageError, match="exceed 1 together"):
        CorpusSpec(dirty=0.5, quarantine=0.4, poison=0.2)


def test_spec_when_shares_are_one_together_is_taken() -> None:
    assert CorpusSpec(dirty=0.5, quarantine=0.25, poison=0.25).dirty == 0.5


def test_spec_when_rows_are_negative_is_refused() -> None:
    with pytest.raises(UsageError, match="-1 rows"):
        CorpusSpec(rows=-1)


def test_generate_when_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(rows: int) -> None:
        if rows >= 2000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "corpus.csv", CorpusSpec(rows=3000), interrupt)
    assert list(tmp_path.iterdir()) == []


def test_generate_when_interrupted_keeps_the_earlier_file_and_manifest(tmp_path: Path) -> None:
    def interrupt(_rows: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "corpus.csv"
    manifest = generate(path, CorpusSpec(rows=10))
    with pytest.raises(KeyboardInterrupt):
        generate(path, CorpusSpec(rows=20), interrupt)
    assert path.read_bytes() == whole(CorpusSpec(rows=10))
    assert load_manifest(manifest_path(path)) == manifest
    assert len(list(tmp_path.iterdir())) == 2


def test_progress_when_given_hears_the_rows_after_each_block(tmp_path: Path) -> None:
    heard: list[int] = []
    generate(tmp_path / "corpus.csv", CorpusSpec(rows=2500), heard.append)
    assert heard == [1000, 2000, 2500]


def special_row(kind: str, spec: CorpusSpec) -> ExpectedRow:
    row = next(number for number, found in positions(spec).items() if found == kind)
    return expected_block(spec, (row - 1) // BLOCK_ROWS)[(row - 1) % BLOCK_ROWS]


@pytest.mark.parametrize("seed", range(1, 6))
def test_insert_poison_when_inserted_exceeds_the_item_limit(seed: int) -> None:
    expected = special_row("insert_poison", CorpusSpec(rows=1000, seed=seed))
    assert (expected.outcome, expected.reason) == (Outcome.INSERT_DLQ, "refused_by_table")
    assert expected.cells is not None
    assert item_bytes(expected.row, expected.cells, INSERTED) > ITEM_LIMIT


@pytest.mark.parametrize("rows", [100, 5000, 400_000])
@pytest.mark.parametrize("seed", range(1, 6))
def test_update_poison_when_inserted_fits_and_when_processed_does_not(rows: int, seed: int) -> None:
    expected = special_row("update_poison", CorpusSpec(rows=rows, seed=seed))
    assert (expected.outcome, expected.reason) == (Outcome.UPDATE_DLQ, "refused_by_table")
    assert expected.cells is not None
    inserted = item_bytes(expected.row, expected.cells, INSERTED)
    assert 409_600 - 20 < inserted < 409_600
    # The shortest attributes that processing can add, numbers left out.
    updated = INSERTED | {"_status": "processed", "_processed_at": "2026-01-01T00:00:00.000Z", "_risk_band": "low"}
    assert item_bytes(expected.row, expected.cells, updated) > 409_600


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (99, {}),
        (100, {"field_too_large": 1, "insert_poison": 1, "update_poison": 1}),
        (10_000, {"field_too_large": 1, "row_too_large": 1, "insert_poison": 1, "update_poison": 1}),
        (800_000, {"field_too_large": 4, "row_too_large": 1, "insert_poison": 4, "update_poison": 2}),
        (8_000_000, {"field_too_large": 4, "row_too_large": 1, "insert_poison": 4, "update_poison": 2}),
    ],
)
def test_large_rows_when_the_corpus_grows_come_in_documented_numbers(rows: int, wanted: dict[str, int]) -> None:
    chosen = positions(CorpusSpec(rows=rows))
    assert Counter(chosen.values()) == wanted
    assert all(1 <= row <= rows for row in chosen)


def test_large_rows_when_a_share_is_zero_are_left_out() -> None:
    kinds = set(positions(CorpusSpec(rows=10_000, quarantine=0)).values())
    assert kinds == {"insert_poison", "update_poison"}
    assert set(positions(CorpusSpec(rows=10_000, poison=0)).values()) == {"field_too_large", "row_too_large"}
    assert positions(CorpusSpec(rows=10_000, quarantine=0, poison=0)) == {}
