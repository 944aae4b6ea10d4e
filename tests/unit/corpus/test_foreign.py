"""A user's own CSV is counted as the pipeline will count it."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.clean_worker import Cleaned, Job, clean_rows
from handlers.record_batch import Source
from handlers.settings import Settings
from handlers.splitter import split_object
from harness.corpus import CorpusSpec, corpus_bytes, scan_foreign
from harness.errors import UsageError

FILES: list[tuple[str, bytes, tuple[str, ...], int]] = [
    ("plain", b"a,b\n1,2\n3,4\n", ("a", "b"), 2),
    ("quoted_newlines", b'a,b\n"1\n\n2",x\n"3\r\n",y\n', ("a", "b"), 2),
    ("quoted_quotes", b'a,b\n"say ""no\n""",x\n1,2\n', ("a", "b"), 2),
    ("quoted_newline_in_header", b'"first\nname",b\n1,2\n', ("first_name", "b"), 1),
    ("crlf", b"a,b\r\n1,2\r\n3,4\r\n", ("a", "b"), 2),
    ("crlf_after_quotes", b'"a","b"\r\n"1","2"\r\n', ("a", "b"), 1),
    ("lone_carriage_return_ends_a_record", b"a,b\n1\r2,3\n", ("a", "b"), 2),
    ("carriage_returns_alone", b"a,b\r1,2\r3,4\r", ("a", "b"), 2),
    ("carriage_returns_doubled", b"a,b\r\r\n1,2\r\r\n", ("a", "b"), 1),
    ("semicolons", b"a;b\n1;2\n", ("a", "b"), 1),
    ("separator_line", b"sep=;\na;b\n1;2\n", ("a", "b"), 1),
    ("bom", b"\xef\xbb\xbfid,name\n1,x\n", ("id", "name"), 1),
    ("bom_before_plain_quotes", b'\xef\xbb\xbf"id","name"\n1,x\n', ("id", "name"), 1),
    ("empty_file", b"", (), 0),
    ("header_alone", b"a,b\n", ("a", "b"), 0),
    ("header_without_newline", b"a,b", ("a", "b"), 0),
    ("no_final_newline", b"a,b\n1,2\n3,4", ("a", "b"), 2),
    ("latin_1_cells", "a,b\nMüller,Łódź\n".encode("cp1250"), ("a", "b"), 1),
    ("utf_8_header", "Straße,Überweisung\n1,2\n".encode(), ("strae", "uberweisung"), 1),
    ("blank_lines_are_records", b"a,b\n\n1,2\n\n", ("a", "b"), 3),
    ("null_bytes_in_cells", b"a,b\n1\x002,3\n", ("a", "b"), 1),
    ("same_names_twice", b"a,A,a\n1,2,3\n", ("a", "a_2", "a_3"), 1),
    ("empty_name_and_key", b",record_id,1st\n1,2,3\n", ("column_1", "record_id_column", "c_1st"), 1),
    ("unterminated_quote", b'a,b\n1,2\n"3,4\n5,6\n', ("a", "b"), 3),
    ("quote_inside_a_cell", b'a,b\n1"2,3\n4,5\n', ("a", "b"), 2),
    ("surplus_and_missing_cells", b"a,b\n1,2,3\n4\n", ("a", "b"), 2),
]
IDS = [name for name, *_ in FILES]


def as_the_pipeline_sees(data: bytes) -> tuple[tuple[str, ...], int]:
    columns, chunks = split_object(iter([data] if data else []))
    job = Job(Source("bucket", "key", "version"), columns, Settings())
    cleaned = Cleaned()
    for chunk in chunks:
        for _ in clean_rows(chunk, job, cleaned):
            pass
    return columns, cleaned.rows


@pytest.mark.parametrize(("name", "data", "columns", "records"), FILES, ids=IDS)
def test_scan_foreign_when_the_file_is_unusual_counts_its_records(
    tmp_path: Path, name: str, data: bytes, columns: tuple[str, ...], records: int
) -> None:
    path = tmp_path / f"{name}.csv"
    path.write_bytes(data)
    found = scan_foreign(path)
    assert (found.columns, found.records, found.file_bytes) == (columns, records, len(data))


@pytest.mark.parametrize(("name", "data", "columns", "records"), FILES, ids=IDS)
def test_pipeline_when_it_reads_the_same_file_counts_the_same(
    name: str, data: bytes, columns: tuple[str, ...], records: int
) -> None:
    assert as_the_pipeline_sees(data) == (columns, records)


def test_scan_foreign_when_quotes_span_lines_tells_lines_from_records(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    path.write_bytes(b'a,b\r1,"x\ry"\r\n2,z\n')
    found = scan_foreign(path)
    assert (found.lines, found.records) == (4, 2)


def test_scan_foreign_when_given_a_corpus_finds_its_rows(tmp_path: Path) -> None:
    spec = CorpusSpec(rows=1500, dirty=0.5, quarantine=0.1, poison=0.1)
    path = tmp_path / "corpus.csv"
    path.write_bytes(b"".join(corpus_bytes(spec)))
    assert scan_foreign(path).records == spec.rows


def test_scan_foreign_when_a_cell_is_very_long_counts_on(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_bytes(b"a,b\n" + b"x" * 1_000_000 + b",1\n2,3\n")
    assert scan_foreign(path).records == 2


def test_scan_foreign_when_the_file_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*nowhere\.csv: No such file"):
        scan_foreign(tmp_path / "nowhere.csv")


def test_scan_foreign_when_given_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        scan_foreign(tmp_path)
