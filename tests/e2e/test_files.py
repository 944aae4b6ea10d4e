"""Files as people have them, from upload to audit: nothing vanishes, and nothing stops its neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.engines.embedded import EmbeddedEngine
from tests.e2e.support import run_pipeline


@pytest.fixture(scope="module")
def engine() -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine() as started:
        yield started


def _wide() -> bytes:
    """40 short rows, one whose message is just over 1 MiB with its 300 column names, 40 short rows."""
    names = [f"measurement_{i:03d}_".ljust(63, "x") + "q" for i in range(300)]
    short = ",".join(["v"] * 300)
    big = ",".join([*(letter * 257_000 for letter in "abcd"), *(["v"] * 296)])
    return "\n".join([",".join(names), *[short] * 40, big, *[short] * 40]).encode() + b"\n"


@dataclass(frozen=True)
class Case:
    """A file, how it is read, and what must become of its rows; `lines` are its physical lines."""

    data: bytes
    updated: int
    quarantined: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    lines: int = 0


CASES = {
    "carriage_returns": Case(
        b"id,name\r" + b"".join(f"{i},row {i}\r".encode() for i in range(1, 501)), updated=500, lines=501
    ),
    "wide": Case(_wide(), updated=80, quarantined={"row_too_large": 1}, lines=82),
    "stray_quotes": Case(b'id,size\n1,"a\n2,5" pipe\n3,"b"\n4,c\n5,"d\ne"\n', 3, {"malformed_quotes": 1}, lines=7),
    "stray_quotes_lenient": Case(b'id,size\n1,5" pipe\n2,"a" b\n3,"c"\n', 3, parameters={"Quotes": "lenient"}, lines=4),
    "semicolons": Case("sep=;\r\nStück;Preis\r\nx;12,50\r\ny;7\r\n".encode(), updated=2, lines=4),
    "tabs_by_parameter": Case(b"a;b\tc\n1\t2\n", 1, parameters={"Delimiter": "tab"}, lines=2),
    "joined": Case(b"\xef\xbb\xbfid,a\n1,x\n" * 2, 2, {"repeated_header": 1}, lines=4),
    "undecided": Case(b"a;b,c\n1;2,3\n4;5,6\n", 0, {"ambiguous_delimiter": 2}, lines=3),
    "blank_first_line": Case(b"\nid,a\n1,x\n2,y\n", 0, {"blank_header": 3}, lines=4),
    "error_page": Case(b"<!DOCTYPE html>\n<html>\n<body>404</body>\n", 0, {"not_csv": 2}, lines=3),
    "title": Case(b"Sales 2026\nid,a\n1,x\n", 0, {"header_mismatch": 2}, lines=3),
}


@pytest.mark.parametrize("name", CASES)
def test_file_when_it_runs_through_the_pipeline_has_every_row_accounted_for(
    engine: EmbeddedEngine, tmp_path: Path, name: str
) -> None:
    case = CASES[name]
    file = tmp_path / f"{name}.csv"
    file.write_bytes(case.data)
    finished = run_pipeline(engine, tmp_path, file=file, parameters=case.parameters)
    report = finished.audit
    assert report.conserved, report.findings
    assert (report.updated, dict(report.quarantined), report.dead_lettered) == (case.updated, case.quarantined, 0)
    assert finished.result["spec"]["lines"] == case.lines
