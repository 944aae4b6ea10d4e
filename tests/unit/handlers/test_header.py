"""An object's head: what is taken for a table, its delimiter, and what is refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.dialect import DialectError, parse_delimiter, parse_quotes, separator_line
from handlers.header import ObjectRejected
from harness.corpus import scan_foreign
from tests.unit.handlers.support import clean_bytes


@pytest.mark.parametrize(
    ("data", "name", "cells"),
    [
        (b"a;b;c\n1;2,5;x\n", "semicolon", ["1", "2,5", "x"]),
        (b"a\tb\n1\tx y\n", "tab", ["1", "x y"]),
        (b"a|b\n1|x\n", "pipe", ["1", "x"]),
        (b"a,b\n1,x;y\n", "comma", ["1", "x;y"]),
        (b'"a;b","c|d"\n1,x\n', "comma", ["1", "x"]),
        (b'"a,b";c\n1;x\n', "semicolon", ["1", "x"]),
        (b"sep=;\na;b\n1;x\n", "semicolon", ["1", "x"]),
        (b"SEP=|\r\na|b\r\n1|x\r\n", "pipe", ["1", "x"]),
        (b"sep=\t\na\tb\n1\tx\n", "tab", ["1", "x"]),
        (b'\xef\xbb\xbf"sep=,"\na,b\n1,x\n', "comma", ["1", "x"]),
        (b"sep=^\na^b\n1^x\n", "^", ["1", "x"]),
        (b"sep=;\na;b,c\n1;x\n", "semicolon", ["1", "x"]),
        (b"name\nx\n", "comma", ["x"]),
        (b"name\nDoe, Jo\n", "comma", []),
        (b"  a ; b \n1;x\n", "semicolon", ["1", "x"]),
    ],
)
def test_delimiter_when_the_header_decides_is_taken_from_it(
    tmp_path: Path, data: bytes, name: str, cells: list[str]
) -> None:
    for cut in range(len(data)):
        found = clean_bytes(data, cuts=[cut])
        assert found.delimiter == name
        assert found.cells == ([cells] if cells else [])
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    counted = scan_foreign(path)
    assert (parse_delimiter(name), found.columns, found.records, False) == (
        counted.delimiter,
        counted.columns,
        counted.records,
        counted.undecided,
    )


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"a;b,c\n1;2,3\n", "ambiguous_delimiter", "2 columns by comma, 2 columns by semicolon"),
        (b"Name;Amount, EUR;Town\n", "ambiguous_delimiter", "Delimiter parameter"),
        (b"a|b\tc\n", "ambiguous_delimiter", "tab, 2 columns by pipe"),
        (b"\na,b\n1,x\n", "blank_header", "first line is blank"),
        (b"   \r\na,b\r\n", "blank_header", "first line is blank"),
        (b",,\na,b,c\n", "blank_header", "first line is blank"),
        (b"\n", "blank_header", "first line is blank"),
        (b"sep=;\n", "blank_header", "first line is blank"),
        (b"Sales 2026\nid,name\n1,x\n", "header_mismatch", "the rows below it have 2 by comma"),
        (b"Report\nid;name;town\n1;x;y\n2;x;y\n", "header_mismatch", "3 by semicolon"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>\n", "not_csv", ""),
        (b"\xef\xbb\xbf\n<?xml version='1.0'?><Error/>", "not_csv", ""),
        (b'{"message": "forbidden"}', "not_csv", ""),
        (b'[{"id": 1}]', "not_csv", ""),
        (b"%PDF-1.7\n", "not_csv", ""),
        (b"PAR1\x15\x04", "not_csv", ""),
        (b"\x1f\x8b\x08\x00", "not_csv", ""),
        (b"a\0,\0b\0\n\0", "not_csv", "NUL"),
        (b"a,\xe9\n1,2\n", "not_csv", "UTF-8"),
        (b'a,"b\n1,2\n', "not_csv", "does not close"),
        (b'a,5" pipe\n1,2\n', "malformed_quotes", "header"),
        (b'a,"b" c\n1,2\n', "malformed_quotes", "header"),
    ],
)
def test_object_when_its_head_does_not_decide_is_refused_with_the_reason(data: bytes, reason: str, detail: str) -> None:
    for cut in range(len(data)):
        with pytest.raises(ObjectRejected) as caught:
            clean_bytes(data, cuts=[cut])
        assert caught.value.reason.value == reason
        assert detail in caught.value.detail


@pytest.mark.parametrize(
    ("data", "delimiter", "cells"),
    [
        (b"a;b,c\n1;2,x\n", ",", [["1;2", "x"]]),
        (b"a;b,c\n1;2,x\n", ";", [["1", "2,x"]]),
        (b"note\nx;y\nz;w\n", ",", [["x;y"], ["z;w"]]),
        (b"sep=;\na,b\n1,x\n", ",", [["1", "x"]]),
        (b"a b\n1 x\n", " ", [["1", "x"]]),
    ],
)
def test_delimiter_when_it_is_fixed_is_not_looked_for(data: bytes, delimiter: str, cells: list[list[str]]) -> None:
    assert clean_bytes(data, delimiter=delimiter).cells == cells


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_object_when_it_is_empty_has_no_columns(data: bytes) -> None:
    assert clean_bytes(data).columns == ()


@pytest.mark.parametrize(
    ("text", "character"),
    [
        ("auto", ""),
        ("tab", "\t"),
        ("comma", ","),
        (";", ";"),
        ("pipe", "|"),
        ("\t", "\t"),
        ("~", "~"),
        ("\x01", "\x01"),
    ],
)
def test_delimiter_setting_when_usable_gives_the_character(text: str, character: str) -> None:
    assert parse_delimiter(text) == character


@pytest.mark.parametrize("text", ["", ",,", "a", "1", '"', "\\", "\n", "é", "commas", "\0"])
def test_delimiter_setting_when_unusable_names_it(text: str) -> None:
    with pytest.raises(DialectError, match="delimiter"):
        parse_delimiter(text)


def test_quotes_setting_when_unknown_names_it() -> None:
    assert (parse_quotes("strict"), parse_quotes("lenient")) == (True, False)
    with pytest.raises(DialectError, match="'loose'"):
        parse_quotes("loose")


@pytest.mark.parametrize("line", [b"sep=", b"sep=ab\n", b"sep=a\n", b'sep="\n', b"separator=;\n", b"id,sep=;\n"])
def test_separator_line_when_it_declares_nothing_usable_is_none(line: bytes) -> None:
    assert separator_line(line) is None
