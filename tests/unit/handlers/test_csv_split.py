"""Records of CSV bytes: line ends, quotes that are wrong, and what is held back for them."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from handlers import csv_split, header, splitter
from handlers.cleaning import clean_cell
from handlers.header import ObjectRejected
from harness.corpus import foreign, scan_foreign
from tests.unit.handlers.support import clean_bytes

TEXT = st.text(st.sampled_from('ab,"\n\r é'), max_size=60)
CUTS = st.lists(st.integers(0, 200), max_size=6)
HEAD = b"one,two\n"


@pytest.fixture
def small_limits() -> Iterator[None]:
    """Make records too long, and held stretches full, after a few bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_split, "MAX_RECORD_BYTES", 24)
        patch.setattr(csv_split, "MAX_HELD_BYTES", 12)
        patch.setattr(header, "MAX_RECORD_BYTES", 24)
        patch.setattr(splitter, "_HEAD_BYTES", 8)
        patch.setattr(splitter, "BLOCK_BYTES", 12)
        patch.setattr(foreign, "_MOST_CHARACTERS", 24)
        patch.setattr(foreign, "_MOST_HELD", 12)
        yield


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\r\r\n"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_records_when_any_line_end_closes_them_are_all_found(end: str, quoting: int, delimiter: str) -> None:
    table = [["a", "b"], ["1", "x"], ["2", f"y{delimiter}z"], ["3", 'say "no"'], ["4", "w"]]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(table)  # type: ignore[arg-type]
    for cut in range(len(text.getvalue())):
        found = clean_bytes(text.getvalue().encode(), cuts=[cut])
        assert found.cells == [[clean_cell(cell) for cell in row] for row in table[1:]]
        assert found.rejects == []


def test_records_when_line_ends_are_mixed_are_all_found_at_every_cut() -> None:
    data = b'a,b\r\n1,x\r2,"y\r"\n3,z\r\r\n4,"\r\n"\r5,w'
    for cuts in itertools.combinations(range(len(data)), 2):
        found = clean_bytes(data, cuts=cuts)
        assert found.cells == [["1", "x"], ["2", "y"], ["3", "z"], ["4", ""], ["5", "w"]]
        assert found.rejects == []


@pytest.mark.parametrize(
    ("body", "kept", "reasons", "lines"),
    [
        (b'1,5" pipe\n2,x\n', [2], ["malformed_quotes"], [1]),
        (b'1,"a" b\n2,x\n', [2], ["malformed_quotes"], [1]),
        (b'1, "a"\n2,x\n', [2], ["malformed_quotes"], [1]),
        (b'1,"she wrote \\""\n2,"fine"\n3,"bye"\n', [2, 3], ["malformed_quotes"], [1]),
        (b'1,"the \\"big\\" one"\n2,x\n', [2], ["malformed_quotes"], [1]),
        (b'1,"a\nb" c\n2,x\n', [2], ["malformed_quotes"], [2]),
        (b'1,"open\n2,x\n3,"y"\n', [2, 3], ["malformed_quotes"], [1]),
        (b'1,"open\n2,x\n3,y\n', [2, 3], ["unterminated_quote"], [1]),
        (b'1,x\n2,"open', [1], ["unterminated_quote"], [1]),
        (b'1,5" pipe\n\n1,2,3\n2,x\n', [2], ["malformed_quotes"], [3]),
        (b'1,5"\n2,6"\n3,7"\n', [], ["malformed_quotes"], [3]),
        (b'1,""x\n2,""\n', [2], ["malformed_quotes"], [1]),
        (b'1,"x""\n2,y\n3,z\n', [2, 3], ["unterminated_quote"], [1]),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_row_when_its_quotes_are_wrong_is_held_back_with_its_lines_and_no_others(
    body: bytes, kept: list[int], reasons: list[str], lines: list[int], end: bytes
) -> None:
    data = (HEAD + body).replace(b"\n", end)
    for cut in range(len(data)):
        found = clean_bytes(data, cuts=[cut])
        assert sorted(found.rows) == kept
        assert [line["reason"] for line in found.rejects] == reasons
        assert [line["lines"] for line in found.rejects] == lines
        for line in found.rejects:
            raw = line["raw"].encode()
            assert data[line["offset"] : line["offset"] + len(raw)] == raw


def test_lenient_quotes_when_asked_for_read_as_csv_does() -> None:
    data = HEAD + b'1,5" pipe\n2,"a" b\n3,"she wrote \\"",calm\n4,"fine"\n'
    found = clean_bytes(data, strict_quotes=False)
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert found.cells == [[clean_cell(cell) for cell in row] for row in rows[1:]]
    assert found.cells == [["1", '5" pipe'], ["2", "a b"], ["3", 'she wrote \\",calm 4,fine"']]
    assert found.rejects == []


@given(TEXT, CUTS, st.booleans())
def test_records_when_blocks_end_anywhere_are_the_same(text: str, cuts: list[int], strict: bool) -> None:
    data = HEAD + text.encode()
    whole = clean_bytes(data, strict_quotes=strict)
    cut = clean_bytes(data, cuts=cuts, strict_quotes=strict)
    assert (cut.rows, cut.rejects, cut.records) == (whole.rows, whole.rejects, whole.records)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT, CUTS, st.booleans())
def test_records_when_some_are_too_long_are_the_same_wherever_blocks_end(
    small_limits: None, text: str, cuts: list[int], strict: bool
) -> None:
    data = HEAD + text.encode()
    whole = clean_bytes(data, strict_quotes=strict)
    cut = clean_bytes(data, cuts=cuts, strict_quotes=strict)
    assert (cut.rows, cut.rejects, cut.records) == (whole.rows, whole.rejects, whole.records)


@given(TEXT, st.booleans())
def test_bytes_when_split_into_records_are_all_in_one(text: str, strict: bool) -> None:
    data = HEAD + text.encode()
    chunks = clean_bytes(data, strict_quotes=strict).chunks
    assert b"".join(chunk.data for chunk in chunks) == data[len(HEAD) :]
    position = len(HEAD)
    for chunk in chunks:
        assert chunk.offset == position
        position += len(chunk.data)
        ends = [*(offset for offset, _, _ in chunk.records()), len(chunk.data)]
        for (offset, record, _), end in zip(chunk.records(), ends[1:], strict=True):
            assert chunk.data[offset:end].startswith(record)
            assert chunk.data[offset + len(record) : end].strip(b"\r\n") == b""


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from('ab,;"\n\r'), max_size=80), st.booleans())
def test_count_of_a_users_file_when_its_text_is_arbitrary_is_the_pipelines(
    tmp_path: Path, text: str, strict: bool
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    try:
        found = clean_bytes(text.encode(), strict_quotes=strict)
    except ObjectRejected:
        return
    counted = scan_foreign(path, quotes="strict" if strict else "lenient")
    assert (counted.records, counted.columns) == (found.records, found.columns)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from('ab,"\n'), max_size=120), st.booleans())
def test_count_of_a_users_file_when_records_are_too_long_is_the_pipelines(
    tmp_path: Path, small_limits: None, text: str, strict: bool
) -> None:
    path = tmp_path / "a.csv"
    data = HEAD + text.encode()
    path.write_bytes(data)
    found = clean_bytes(data, strict_quotes=strict)
    assert scan_foreign(path, quotes="strict" if strict else "lenient").records == found.records


@given(
    st.lists(st.lists(st.text(st.sampled_from("abc é"), max_size=5), min_size=3, max_size=3), min_size=3, max_size=8),
    st.integers(0, 7),
    st.integers(0, 40),
)
def test_a_stray_quote_when_put_into_a_plain_table_holds_back_the_lines_it_names(
    table: list[list[str]], row: int, place: int
) -> None:
    lines = [",".join(["x", *cells]) for cells in table]
    row %= len(lines)
    place %= len(lines[row]) + 1
    spoiled = [*lines]
    spoiled[row] = lines[row][:place] + '"' + lines[row][place:]
    plain = clean_bytes(("a,b,c,d\n" + "\n".join(lines) + "\n").encode())
    found = clean_bytes(("a,b,c,d\n" + "\n".join(spoiled) + "\n").encode())
    assert {number: cells for number, cells in plain.rows.items() if number != row + 1} == found.rows
    (reject,) = found.rejects
    assert (reject["row"], reject["lines"], reject["raw"]) == (row + 1, 1, spoiled[row] + "\n")


def test_line_when_it_is_longer_than_any_record_costs_itself_alone(small_limits: None) -> None:
    data = HEAD + b"1,x\n2," + b"y" * 100 + b"\r\n3,z\n"
    for cut in range(len(data)):
        found = clean_bytes(data, cuts=[cut])
        assert found.cells == [["1", "x"], ["3", "z"]]
        assert [(line["row"], line["reason"], line["offset"]) for line in found.rejects] == [
            (2, "row_too_large", len(HEAD) + 4)
        ]


def test_held_lines_when_they_are_many_are_kept_whole_in_several_rejects(small_limits: None) -> None:
    body = b'1,5"\n2,6"\n3,7"\n4,8"\n5,9"\n'
    found = clean_bytes(HEAD + body)
    assert "".join(line["raw"] for line in found.rejects) == body.decode()
    assert [line["lines"] for line in found.rejects] == [3, 2]


def test_a_joined_file_when_its_mark_and_header_come_again_names_them() -> None:
    mark = "\ufeff"
    data = (f'{mark}"id","name"\n1,a\n' * 2 + f"{mark}2,b\n" + "id,name\n").encode()
    found = clean_bytes(data)
    assert found.cells == [["1", "a"], ["1", "a"], ["2", "b"]]
    assert found.reasons == {"repeated_header": 2}
