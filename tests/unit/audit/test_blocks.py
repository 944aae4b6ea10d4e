"""Blocks of rows: the short way for rows that are as they should be decides as the long one, here and in processes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from handlers.aws import AwsError
from handlers.business_rule import ProcessingError, rule_for
from handlers.record_batch import (
    INSERTED_AT,
    KEY,
    NUMBER_ATTRIBUTES,
    PROCESSED,
    PROCESSED_AT,
    STATUS,
    Source,
    record_id,
)
from harness.audit import workers
from harness.audit.blocks import Audited, Block, BlockAuditor, by_block, rows_of
from harness.audit.model import AuditReport, Places, judge
from harness.audit.readers import item_of
from harness.audit.workers import TableAccess, audit_blocks
from harness.corpus import BLOCK_ROWS, COLUMNS, CorpusSpec, Outcome, expected_block
from harness.errors import EngineError
from harness.results import AuditFigures

SPEC = CorpusSpec(rows=1_500, poison=0.01, quarantine=0.01)
SOURCE = Source("bucket", "key.csv", "v")
AUDITED = Audited(SOURCE, SPEC.rows, SPEC)
RULE = rule_for(COLUMNS)
ROWS = [row for number in range(SPEC.blocks) for row in expected_block(SPEC, number)]
NOWHERE = Places({}, {})


def stored(row: int, cells: tuple[str, ...], processed: Mapping[str, str]) -> dict[str, Any]:
    """Return an updated item as DynamoDB gives it, numbers in their canonical form."""
    item: dict[str, Any] = {
        name: {"S": text} if text else {"NULL": True} for name, text in zip(COLUMNS, cells, strict=True)
    }
    for name, text in processed.items():
        number = text.rstrip("0").rstrip(".") if "." in text else text
        item[name] = {"N": number} if name in NUMBER_ATTRIBUTES else {"S": text}
    item |= {STATUS: {"S": PROCESSED}, INSERTED_AT: {"S": "t"}, PROCESSED_AT: {"S": "t"}}
    return {KEY: {"S": record_id(SOURCE.source_id, row)}, **item}


def everything() -> tuple[dict[int, dict[str, Any]], Places]:
    """Return the table and the other places after a run in which nothing went wrong."""
    items: dict[int, dict[str, Any]] = {}
    quarantined: dict[int, list[str]] = {}
    dlqs: dict[str, dict[int, list[str]]] = {"insert": {}, "process": {}, "update": {}}
    for row in ROWS:
        if row.cells is None:
            quarantined[row.row] = [row.reason]
            continue
        stage = row.outcome.value.removesuffix("_dlq")
        if row.outcome is not Outcome.UPDATED:
            dlqs[stage][row.row] = [row.reason]
        if row.outcome is Outcome.UPDATED:
            items[row.row] = stored(row.row, row.cells, dict(zip(RULE.attributes, RULE.apply(row.cells), strict=True)))
    return items, Places(quarantined, dlqs)


def compact(item: Mapping[str, Any]) -> bytes:
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode()


class FakeReader:
    """Reads from a dict."""

    def __init__(self, items: Mapping[int, dict[str, Any]]) -> None:
        self.items = items

    def read(self, _source: str, rows: Iterable[int]) -> list[bytes]:
        return [compact(self.items[row]) for row in rows if row in self.items]

    def read_status(self, _source: str, rows: Iterable[int]) -> list[bytes]:
        found = [self.items[row] for row in rows if row in self.items]
        return [compact({k: item[k] for k in (KEY, STATUS)}) for item in found]

    def close(self) -> None:
        pass


def blocks(places: Places, audited: Audited = AUDITED) -> Iterator[Block]:
    shares = by_block(places)
    for number in range(-(-audited.rows // BLOCK_ROWS)):
        yield Block(audited, number, shares.get(number, NOWHERE))


def audited(items: Mapping[int, dict[str, Any]], places: Places, what: Audited = AUDITED) -> AuditReport:
    auditor = BlockAuditor(FakeReader(items), {what.spec: 1})  # type: ignore[arg-type]
    report = AuditReport(with_manifest=True)
    for block in blocks(places, what):
        report.merge(auditor.audit(block))
    return report


def judged(items: Mapping[int, dict[str, Any]], places: Places) -> AuditReport:
    """The long way for every row."""
    report = AuditReport(with_manifest=True, object_key=SOURCE.key)
    for row in ROWS:
        processed = None
        if row.cells is not None:
            try:
                processed = dict(zip(RULE.attributes, RULE.apply(row.cells), strict=True))
            except ProcessingError:
                processed = None
        item = items.get(row.row)
        judge(report, row.row, item_of(item, COLUMNS) if item else None, places, row, processed)
    report.object_key = ""
    return report


def test_run_when_nothing_went_wrong_is_conserved_and_as_expected() -> None:
    items, places = everything()
    report = audited(items, places)
    assert report.conserved
    assert report.as_expected
    assert report.rows == SPEC.rows
    assert report.updated == len(items)
    assert report.problems == {}


damage = st.sampled_from(
    [
        "gone",
        "inserted",
        "other value",
        "joined cells",
        "extra",
        "missing column",
        "other rule",
        "no mark",
        "null",
        "dlq",
        "number as text",
        "number with zeros",
        "number in a column",
        "no time",
        "number as time",
        "quoted time",
        "other order",
        "longer rule",
        "empty text",
    ]
)


def without_keys(report: AuditFigures) -> AuditFigures:
    """Return a report whose findings do not say of which object they are."""
    return replace(report, findings=[replace(found, key="") for found in report.findings])


@given(st.dictionaries(st.integers(1, SPEC.rows), damage, max_size=12))
def test_short_way_when_rows_are_damaged_finds_what_the_long_way_finds(damaged: dict[int, str]) -> None:
    items, places = everything()
    for row, kind in damaged.items():
        if kind == "dlq":
            dict(places.dlqs)["update"][row] = ["refused_by_table"]  # type: ignore[index]
        if row not in items:
            continue
        item = items[row]
        if kind == "gone":
            del items[row]
        elif kind == "inserted":
            item[STATUS] = {"S": "inserted"}
        elif kind == "other value":
            item["merchant"] = {"S": "someone else"}
        elif kind == "joined cells":
            item["city"], item["country"] = {"S": ""}, {"S": item["country"].get("S", "") + "\x1f"}
        elif kind == "extra":
            item["surplus"] = {"S": "x"}
        elif kind == "missing column":
            del item["device"]
        elif kind == "other rule":
            item["_risk_band"] = {"S": "unknown"}
        elif kind == "no mark":
            del item["_risk_band"]
        elif kind == "null":
            item["merchant"] = {"NULL": True}
        elif kind == "number as text":
            item["_amount_base"] = {"S": item["_amount_base"]["N"]}
        elif kind == "number with zeros":
            number = item["_amount_base"]["N"]
            item["_amount_base"] = {"N": number + ("00" if "." in number else ".00")}
        elif kind == "number in a column":
            item["card_last4"] = {"N": item["card_last4"]["S"]}
        elif kind == "no time":
            del item[INSERTED_AT]
        elif kind == "number as time":
            item[PROCESSED_AT] = {"N": "1"}
        elif kind == "quoted time":
            item[PROCESSED_AT] = {"S": '"%s\\'}
        elif kind == "other order":
            items[row] = dict(reversed(item.items()))
        elif kind == "longer rule":
            item["_risk_band"] = {"S": item["_risk_band"]["S"] + "0"}
        elif kind == "empty text":
            item["note"] = {"S": ""}
    found, wanted = audited(items, places).figures(), judged(items, places).figures()
    assert without_keys(found) == without_keys(wanted)


def test_object_when_without_a_corpus_is_asked_for_its_status_only() -> None:
    items, places = everything()
    report = audited(items, places, Audited(SOURCE, SPEC.rows, None))
    assert report.conserved
    assert report.updated == len(items)


def test_places_when_divided_by_block_are_all_there() -> None:
    _, places = everything()
    shares = by_block(places)
    assert set().union(*(rows_of(share) for share in shares.values())) == rows_of(places)
    for number, share in shares.items():
        assert all((row - 1) // BLOCK_ROWS == number for row in rows_of(share))


@pytest.fixture
def table() -> Iterator[str]:
    """The URL of a server that answers BatchGetItem from what a run leaves."""
    items, _ = everything()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            ((name, asked),) = request["RequestItems"].items()
            if name == "refuses":
                self._answer(400, {"__type": "ResourceNotFoundException", "message": "no such table"})
                return
            rows = [int(key[KEY]["S"].rpartition("#")[2]) for key in asked["Keys"]]
            self._answer(200, {"Responses": {name: [items[row] for row in rows if row in items]}})

        def _answer(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("processes_from", [1, 1_000_000], ids=["processes", "threads"])
def test_workers_when_they_share_the_blocks_find_every_row_once(
    table: str, processes_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "PROCESSES_FROM_ROWS", processes_from)
    access = TableAccess.of(boto3.Session("test", "test", region_name="us-east-1"), table, "records")
    items, places = everything()
    report = AuditReport(with_manifest=True)
    numbers = []
    for block, found in audit_blocks(blocks(places), SPEC.rows, access, {SPEC: 1}):
        numbers.append(block.number)
        report.merge(found)
    assert numbers == list(range(SPEC.blocks))
    assert report.conserved
    assert report.updated == len(items)


@pytest.mark.parametrize("processes_from", [1, 1_000_000], ids=["processes", "threads"])
def test_workers_when_the_table_refuses_raise_what_it_said(
    table: str, processes_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "PROCESSES_FROM_ROWS", processes_from)
    access = TableAccess(table, "refuses", "us-east-1", ("test", "test", None))
    with pytest.raises(AwsError, match="no such table") as raised:
        list(audit_blocks(blocks(NOWHERE), SPEC.rows, access, {SPEC: 1}))
    assert raised.value.status == 400


def test_workers_when_one_is_killed_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PROCESSES_FROM_ROWS", 1)
    access = TableAccess("http://127.0.0.1:1", "records", "us-east-1", ("test", "test", None))
    found = audit_blocks(_killing(), SPEC.rows, access, {SPEC: 1})
    with pytest.raises(EngineError, match="a process of the audit was killed"):
        list(found)


def _killing() -> Iterator[Block]:
    """Yield blocks; one that cannot be taken in kills the process that takes it."""
    yield Block(AUDITED, 0, Lethal({}, {}))


class Lethal(Places):
    """Places whose arrival kills the process."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os._exit, (1,)
