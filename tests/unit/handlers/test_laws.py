"""Laws that hold for every input: splitting, cleaning, encoding, packing, and the engine's replacements."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from handlers.clean_worker import Chunk, Cleaned, Job, clean_record, clean_rows, message_bodies
from handlers.cleaning import Reason, clean_cell, column_names, is_tidy
from handlers.csv_split import Status, grammar, split_fields
from handlers.dialect import PLAIN, Dialect
from handlers.record_batch import RecordBatch, RowError, Source, decode, encode, encode_row, pack
from handlers.settings import Settings
from handlers.splitter import split_object
from handlers.table_writer import ItemEncoder
from harness.corpus import CorpusSpec, corpus_bytes, expected_block

CELL = st.text(st.sampled_from('ab, "\n\t é\u0301\u200b\u00a0\\\x07\ufffe'), max_size=8)
RAW = st.text(st.sampled_from('ab,"\n é'), max_size=40)
SOURCE = Source("bucket", "key.csv", "1")


def job(columns: int, **changed: Any) -> Job:
    return Job(SOURCE, tuple(f"c{i}" for i in range(columns)), Settings(**changed))


@given(st.lists(CELL, min_size=3, max_size=3))
def test_fast_path_when_compared_with_the_exact_one_gives_the_same_row(cells: list[str]) -> None:
    line = ",".join('"' + c.replace('"', '""') + '"' if set(c) & set('",\n') else c for c in cells)
    chunk = Chunk(0, line.encode() + b"\n", 1, 0)
    cleaned = Cleaned()
    fast = list(clean_rows(chunk, job(3), cleaned))
    exact = clean_record(1, line, job(3), PLAIN)
    if isinstance(exact, Reason):
        assert fast == []
        assert json.loads(cleaned.rejects[0])["reason"] == exact
    else:
        assert [json.loads(f) for f in fast] == [json.loads(exact)]
        assert json.loads(exact) == [1, *map(clean_cell, cells)]


@given(RAW)
def test_fast_path_when_quotes_are_lenient_gives_what_the_exact_one_gives(text: str) -> None:
    line = text.replace("\n", " ")
    lenient = Dialect(strict=False)
    status, _ = grammar(",", strict=False).attempt(line.encode(), 0, len(line.encode()), final=True)
    if status is not Status.WHOLE:
        return
    columns = len(split_fields(line, ","))
    cleaned = Cleaned()
    fast = list(clean_rows(Chunk(0, line.encode() + b"\n", 1, 0, lenient), job(columns), cleaned))
    exact = clean_record(1, line, job(columns), lenient)
    assert [json.loads(f) for f in fast] == ([] if isinstance(exact, Reason) else [json.loads(exact)])


@given(st.text())
def test_cleaning_when_done_twice_changes_nothing_more(text: str) -> None:
    once = clean_cell(text)
    assert clean_cell(once) == once
    if is_tidy(text) and text == text.strip():
        assert once == text


@given(st.lists(st.text(max_size=20), min_size=1, max_size=12))
def test_column_names_when_headers_are_arbitrary_are_unique_identifiers(cells: list[str]) -> None:
    names = column_names(cells)
    assert len(set(names)) == len(cells)
    assert all(name.isascii() and name.isidentifier() and not name.startswith("_") for name in names)
    assert "record_id" not in names


@given(
    st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=5),
    st.none() | st.builds(RowError, st.text(), st.text(), st.text()),
)
def test_record_batch_when_encoded_decodes_to_itself(cells: list[list[str]], error: RowError | None) -> None:
    batch = RecordBatch("0" * 16, ("a", "b"), [[i, *c] for i, c in enumerate(cells)], SOURCE, error)
    assert decode(encode(batch)) == batch


@given(st.lists(st.text(max_size=30), max_size=40), st.integers(1, 8), st.integers(40, 200), st.integers(0, 20))
def test_packing_when_rows_fit_never_exceeds_the_limits(texts: list[str], most: int, size: int, head: int) -> None:
    rows = [encode_row(i, [t]) for i, t in enumerate(texts)]
    groups = list(pack(rows, head, most, size))
    assert [row for group in groups for row in group] == rows
    for group in groups:
        assert len(group) <= most
        body = head + len(",".join(group).encode()) + 2
        assert len(group) == 1 or body <= size


@given(
    st.text() | st.sampled_from(["", '{"S":""}', '"S":""']),
    st.text(),
    st.text(st.characters(blacklist_characters="#"), min_size=1),
)
def test_item_encoder_when_values_are_arbitrary_gives_the_plain_item(one: str, two: str, source: str) -> None:
    encoder = ItemEncoder(source, ("one", "_amount_minor", "x y"), {"_status": "inserted"})
    item = json.loads(encoder.encode([7, one, "12", two]))["PutRequest"]["Item"]
    assert item == {
        "record_id": {"S": f"{source}#7"},
        "one": {"S": one} if one else {"NULL": True},
        "_amount_minor": {"N": "12"},
        "x y": {"S": two} if two else {"NULL": True},
        "_status": {"S": "inserted"},
    }


def test_cleaner_when_fed_a_soiled_corpus_gives_exactly_what_the_generator_expects() -> None:
    spec = CorpusSpec(rows=6_000, seed=9, dirty=0.4, quarantine=0.05, poison=0.02)
    data = b"".join(corpus_bytes(spec))
    header, chunks = split_object(iter([data[i : i + 70_001] for i in range(0, len(data), 70_001)]))
    work = Job(SOURCE, header, Settings())
    rows: dict[int, tuple[str, ...]] = {}
    rejected: dict[int, str] = {}
    for chunk in chunks:
        cleaned = Cleaned()
        for body in message_bodies(chunk, work, cleaned):
            rows.update((row[0], tuple(row[1:])) for row in decode(body).rows)
        rejected.update((line["row"], line["reason"]) for line in map(json.loads, cleaned.rejects))
    expected = [row for block in range(spec.blocks) for row in expected_block(spec, block)]
    assert rejected == {e.row: e.reason for e in expected if e.cells is None}
    assert rows == {e.row: e.cells for e in expected if e.cells is not None}
