"""Files as people have them, from upload to audit: nothing vanishes, and nothing stops its neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.audit import audit
from harness.audit.blocks import Audited
from harness.corpus import scan_foreign
from harness.engines.embedded import EmbeddedEngine
from harness.experiments.lifecycle import STACK, TEMPLATE
from harness.upload import upload
from tests.contract.support import eventually
from tests.e2e.support import QUICK, run_pipeline


def _wide() -> bytes:
    """40 short rows, one whose message is just over 1 MiB with its 300 column names, 40 short rows."""
    names = [f"measurement_{i:03d}_".ljust(63, "x") + "q" for i in range(300)]
    short = ",".join(["v"] * 300)
    big = ",".join([*(letter * 257_000 for letter in "abcd"), *(["v"] * 296)])
    return "\n".join([",".join(names), *[short] * 40, big, *[short] * 40]).encode() + b"\n"


@dataclass(frozen=True)
class Case:
    """A file, its physical lines, and what must become of its rows; `refused` is why it is refused as a whole."""

    data: bytes
    lines: int
    updated: int
    quarantined: dict[str, int] = field(default_factory=dict)
    refused: str = ""


CASES = {
    "carriage_returns": Case(b"id,name\r" + b"".join(f"{i},row {i}\r".encode() for i in range(1, 501)), 501, 500),
    "wide": Case(_wide(), 82, 80, {"row_too_large": 1}),
    "stray_quotes": Case(b'id,size\n1,"a\n2,5" pipe\n3,"b"\n4,c\n5,"d\ne"\n', 7, 3, {"malformed_quotes": 1}),
    "semicolons": Case("sep=;\r\nStück;Preis\r\nx;12,50\r\ny;7\r\n".encode(), 4, 2),
    "joined": Case(b"\xef\xbb\xbfid,a\n1,x\n" * 2, 4, 2, {"repeated_header": 1}),
    "undecided": Case(b"a;b,c\n1;2,3\n4;5,6\n", 3, 0, {"ambiguous_delimiter": 2}, "ambiguous_delimiter"),
    "blank_first_line": Case(b"\nid,a\n1,x\n2,y\n", 4, 0, {"blank_header": 3}, "blank_header"),
    "error_page": Case(b"<!DOCTYPE html>\n", 1, 0, {}, "not_csv"),
    "title": Case(b"Sales 2026\nid,a\n1,x\n", 3, 0, {"header_mismatch": 2}, "header_mismatch"),
    "empty": Case(b"", 0, 0),
}


def test_files_when_uploaded_together_have_every_row_accounted_for(engine: EmbeddedEngine, tmp_path: Path) -> None:
    deployment = engine.deploy(TEMPLATE, QUICK, stack_name=STACK)
    uploaded: dict[str, Audited] = {}
    for name, case in CASES.items():
        file = tmp_path / f"{name}.csv"
        file.write_bytes(case.data)
        sent = upload(engine, deployment.output("UploadBucket"), f"uploads/{file.name}", file)
        counted = scan_foreign(file)
        assert counted.lines == case.lines
        uploaded[name] = Audited(sent.source, counted.records, None)
    refused = {f"uploads/{name}.csv": case.refused for name, case in CASES.items() if case.refused}

    def at_rest() -> bool:
        report = audit(engine, deployment, list(uploaded.values()))
        return report.conserved and report.refused_objects == refused

    eventually("every row is in its place", at_rest, seconds=240)
    for name, case in CASES.items():
        others = sum(c.updated for other, c in CASES.items() if other != name)
        report = audit(engine, deployment, [uploaded[name]], items_before=others)
        assert report.conserved, (name, report.findings)
        found = (report.updated, dict(report.quarantined), report.dead_lettered)
        assert found == (case.updated, case.quarantined, 0), name


@pytest.mark.parametrize(
    ("data", "parameters", "lines"),
    [
        (b'id,size\n1,5" pipe\n2,"a" b\n3,"c"\n', {"Quotes": "lenient"}, 4),
        (b"a;b\tc\r1\t2\r3\t4\r5\t6\r", {"Delimiter": "tab"}, 4),
    ],
)
def test_file_when_its_dialect_is_given_is_read_by_it(
    engine: EmbeddedEngine, tmp_path: Path, data: bytes, parameters: dict[str, str], lines: int
) -> None:
    file = tmp_path / "given.csv"
    file.write_bytes(data)
    finished = run_pipeline(engine, tmp_path, file=file, parameters=parameters)
    assert (finished.audit.conserved, finished.audit.updated) == (True, 3)
    assert finished.result.spec == {"file": "given.csv", "rows": 3, "lines": lines, "columns": 2}
    assert list(finished.result.stages["clean"].notes["delimiter"]) == [parameters.get("Delimiter", "comma")]
