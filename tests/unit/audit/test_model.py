"""The verdict over single rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

import msgspec
import pytest

from harness.audit.model import MAX_FINDINGS, QUARANTINED, AuditReport, Item, Place, Places, dlq, judge
from harness.corpus import ExpectedRow, Outcome

CELLS = ("TX1", "12.50", "EUR")
COLUMNS = ("transaction_id", "amount", "currency")
ATTRIBUTES = {"_amount_minor": "1250", "_amount_base": "12.50", "_risk_band": "low"}


def item(status: str = "processed", cells: tuple[str, ...] = CELLS, own: Mapping[str, str] = ATTRIBUTES) -> Item:
    return Item(dict(zip(COLUMNS, cells, strict=False)), {"_status": status, **own})


def places(
    quarantined: Mapping[int, list[str]] | None = None,
    whole_object: Place | None = None,
    **dlqs: Mapping[int, list[str]],
) -> Places:
    return Places(quarantined or {}, dlqs, whole_object)


def expect(outcome: Outcome = Outcome.UPDATED, reason: str = "") -> ExpectedRow:
    return ExpectedRow(1, None if outcome is Outcome.QUARANTINED else CELLS, outcome, reason)


def verdict(
    found: Item | None,
    where: Places,
    expected: ExpectedRow | None,
    processed: Mapping[str, str] | None = ATTRIBUTES,
) -> AuditReport:
    report = AuditReport(with_manifest=expected is not None)
    judge(report, 1, found, where, expected, processed)
    return report


def problem(report: AuditReport) -> tuple[str, str]:
    [finding] = report.findings
    assert finding.row == 1
    assert report.problems == Counter([finding.problem])
    return finding.problem, finding.detail


@pytest.mark.parametrize(
    ("found", "where", "expected"),
    [
        pytest.param(item(), places(), expect(), id="updated"),
        pytest.param(None, places({1: ["empty_row"]}), expect(Outcome.QUARANTINED, "empty_row"), id="quarantined"),
        pytest.param(
            None,
            places(insert={1: ["refused_by_table"]}),
            expect(Outcome.INSERT_DLQ, "refused_by_table"),
            id="insert_dlq",
        ),
        pytest.param(
            item("inserted", own={}),
            places(process={1: ["unknown_currency"]}),
            expect(Outcome.PROCESS_DLQ, "unknown_currency"),
            id="process_dlq",
        ),
        pytest.param(
            item("inserted", own={}),
            places(update={1: ["refused_by_table"]}),
            expect(Outcome.UPDATE_DLQ, "refused_by_table"),
            id="update_dlq",
        ),
    ],
)
def test_judge_when_the_row_is_where_it_must_be_finds_no_fault(
    found: Item | None, where: Places, expected: ExpectedRow
) -> None:
    report = verdict(found, where, expected)
    assert report.conserved
    assert report.as_expected
    assert report.findings == []
    assert report.items_accounted == (found is not None)
    assert report.updated + sum(report.quarantined.values()) + report.dead_lettered == 1


def test_judge_when_a_row_is_dead_lettered_counts_its_stage_and_reason() -> None:
    report = verdict(None, places(insert={1: ["why"]}), expect(Outcome.INSERT_DLQ, "why"))
    assert report.figures().dead_letters == {"insert": {"why": 1}}


def test_judge_when_a_row_is_quarantined_counts_its_reason() -> None:
    report = verdict(None, places({1: ["empty_row"]}), expect(Outcome.QUARANTINED, "empty_row"))
    assert report.quarantined == {"empty_row": 1}


@pytest.mark.parametrize("expected", [expect(), None])
def test_judge_when_the_row_is_nowhere_says_lost(expected: ExpectedRow | None) -> None:
    report = verdict(None, places(), expected)
    assert problem(report) == ("lost", "in no place")
    assert not report.conserved


@pytest.mark.parametrize("expected", [expect(), None])
def test_judge_when_the_row_was_inserted_alone_says_lost(expected: ExpectedRow | None) -> None:
    report = verdict(item("inserted", own={}), places(), expected)
    assert problem(report) == ("lost", "inserted but never updated")
    assert not report.conserved
    assert report.items_accounted == 1


def test_judge_when_updated_and_dead_lettered_says_in_two_places() -> None:
    report = verdict(item(), places(update={1: ["why"]}), expect())
    assert problem(report) == ("in two places", "updated and update DLQ")
    assert not report.conserved


def test_judge_when_in_two_dlqs_says_in_two_places() -> None:
    where = places(process={1: ["why"]}, update={1: ["why"]})
    report = verdict(item("inserted", own={}), where, expect(Outcome.PROCESS_DLQ, "why"))
    assert problem(report) == ("in two places", "process DLQ and update DLQ")
    assert not report.conserved


def test_judge_when_quarantined_and_inserted_says_in_two_places() -> None:
    where = places({1: ["empty_row"]})
    report = verdict(item("inserted", own={}), where, expect(Outcome.QUARANTINED, "empty_row"), None)
    assert problem(report) == ("in two places", "quarantined, and an item in the table")
    assert not report.conserved


def test_judge_when_quarantined_and_updated_says_in_two_places() -> None:
    report = verdict(item(), places({1: ["empty_row"]}), None)
    assert problem(report) == ("in two places", "updated and quarantined")
    assert not report.conserved


def test_judge_when_a_cell_differs_names_it() -> None:
    report = verdict(item(cells=("TX1", "12.50", "USD")), places(), expect())
    assert problem(report) == ("wrong value", "currency: expected 'EUR', found 'USD'")
    assert not report.conserved


def test_judge_when_a_cell_is_a_number_compares_it_as_text() -> None:
    report = verdict(item(cells=("TX1", "12.5", "EUR")), places(), expect())
    assert problem(report) == ("wrong value", "amount: expected '12.50', found '12.5'")


def test_judge_when_a_long_cell_differs_shortens_it_to_ascii() -> None:
    report = verdict(item(cells=("é" * 100, "12.50", "EUR")), places(), expect())
    _, detail = problem(report)
    assert detail.isascii()
    assert detail.endswith("...'")


def test_judge_when_columns_are_missing_says_how_many() -> None:
    report = verdict(item(cells=CELLS[:2]), places(), expect())
    assert problem(report) == ("wrong value", "expected 3 columns, found 2")


def test_judge_when_a_cell_of_a_dead_lettered_item_differs_names_it() -> None:
    found = item("inserted", cells=("TX2", "12.50", "EUR"), own={})
    report = verdict(found, places(process={1: ["why"]}), expect(Outcome.PROCESS_DLQ, "why"))
    assert problem(report) == ("wrong value", "transaction_id: expected 'TX1', found 'TX2'")


@pytest.mark.parametrize(
    ("name", "got"), [("_risk_band", "high"), ("_amount_minor", "1251"), ("_amount_base", "12.51")]
)
def test_judge_when_a_processed_attribute_differs_names_it(name: str, got: str) -> None:
    report = verdict(item(own={**ATTRIBUTES, name: got}), places(), expect())
    assert problem(report) == ("wrong value", f"{name}: expected {ATTRIBUTES[name]!r}, found {got!r}")
    assert not report.conserved


def test_judge_when_a_processed_attribute_is_missing_names_it() -> None:
    report = verdict(item(own={}), places(), expect())
    assert problem(report) == ("wrong value", "_amount_minor: expected '1250', found ''")


@pytest.mark.parametrize(("want", "got"), [("12.50", "12.5"), ("100", "1E+2"), ("0.00", "0"), ("-3.10", "-3.1")])
def test_judge_when_numbers_are_canonical_takes_them_for_equal(want: str, got: str) -> None:
    report = verdict(item(own={"_amount_base": got}), places(), expect(), {"_amount_base": want})
    assert report.conserved
    assert report.problems == {}


def test_judge_when_the_item_is_not_processed_ignores_processed_attributes() -> None:
    report = verdict(item("inserted", own={}), places(update={1: ["why"]}), expect(Outcome.UPDATE_DLQ, "why"))
    assert report.conserved
    assert report.problems == {}


@pytest.mark.parametrize(
    ("found", "where", "expected"),
    [
        (item(), places(), expect(Outcome.PROCESS_DLQ, "why")),
        (None, places({1: ["empty_row"]}), expect()),
        (item("inserted", own={}), places(update={1: ["why"]}), expect(Outcome.PROCESS_DLQ, "why")),
        (item(), places(), expect(Outcome.QUARANTINED, "empty_row")),
    ],
)
def test_judge_when_the_place_is_unexpected_is_conserved_but_not_as_expected(
    found: Item | None, where: Places, expected: ExpectedRow
) -> None:
    report = verdict(found, where, expected, None)
    assert problem(report)[0] == "unexpected place"
    assert report.conserved
    assert not report.as_expected
    assert report.sentence().endswith("but not all where the manifest expects them")


def test_judge_when_the_reason_is_unexpected_is_conserved_but_not_as_expected() -> None:
    report = verdict(None, places({1: ["wrong_arity"]}), expect(Outcome.QUARANTINED, "empty_row"))
    assert problem(report) == ("unexpected reason", "quarantined: expected empty_row, found wrong_arity")
    assert report.conserved
    assert not report.as_expected


def test_judge_when_letters_come_more_than_once_counts_the_copies() -> None:
    report = AuditReport()
    where = places({1: ["empty_row"] * 3}, process={2: ["why", "why"]})
    judge(report, 1, None, where, None, None)
    judge(report, 2, item("inserted"), where, None, None)
    assert report.duplicate_messages == 3
    assert report.conserved


@pytest.mark.parametrize(
    ("place", "quarantined", "dead"),
    [(dlq("clean"), {}, {"clean": {"whole object": 2}}), (QUARANTINED, {"whole object": 2}, {})],
)
def test_judge_when_the_whole_object_was_given_up_counts_every_row_there(
    place: Place, quarantined: dict[str, int], dead: dict[str, dict[str, int]]
) -> None:
    report = AuditReport()
    for row in (1, 2):
        judge(report, row, None, places(whole_object=place), None, None)
    assert report.conserved
    assert report.quarantined == quarantined
    assert report.figures().dead_letters == dead


def test_judge_when_the_whole_object_was_given_up_but_the_row_was_updated_counts_it_updated() -> None:
    report = verdict(item(), places(whole_object=dlq("clean")), expect())
    assert report.conserved
    assert (report.updated, report.dead_lettered) == (1, 0)


def test_judge_when_the_whole_object_was_given_up_but_the_row_was_inserted_says_lost() -> None:
    report = verdict(item("inserted", own={}), places(whole_object=dlq("clean")), expect())
    assert problem(report) == ("lost", "inserted but never updated")


def test_judge_when_the_whole_object_was_given_up_and_updates_were_expected_is_not_as_expected() -> None:
    report = verdict(None, places(whole_object=dlq("clean")), expect())
    assert report.conserved
    assert not report.as_expected


@pytest.mark.parametrize(
    ("found", "where"),
    [
        (item(), places()),
        (item(cells=("any", "thing"), own={}), places()),
        (None, places({1: ["empty_row"]})),
        (None, places(insert={1: ["why"]})),
        (item("inserted", own={}), places(update={1: ["why"]})),
    ],
)
def test_judge_when_there_is_no_manifest_takes_any_single_place(found: Item | None, where: Places) -> None:
    report = verdict(found, where, None, None)
    assert report.conserved
    assert report.as_expected
    assert not report.with_manifest


def test_judge_when_very_many_rows_are_lost_counts_all_and_names_some() -> None:
    report = AuditReport()
    for row in range(1, 101):
        judge(report, row, None, places(), None, None)
    assert report.problems == {"lost": 100}
    assert [finding.row for finding in report.findings] == list(range(1, MAX_FINDINGS + 1))


def test_report_when_the_table_holds_unknown_items_is_not_conserved() -> None:
    report = verdict(item(), places(), expect())
    report.add(0, "unknown items", "1 items in the table belong to no row")
    assert not report.conserved
    assert report.as_expected


def test_report_when_told_in_one_line_gives_all_sums() -> None:
    report = AuditReport()
    where = places({2: ["empty_row"]}, process={3: ["why"]})
    for row, found in ((1, item()), (2, None), (3, item("inserted"))):
        judge(report, row, found, where, None, None)
    assert report.sentence() == "conserved: 3 in = 1 updated + 1 quarantined + 1 in DLQs"
    judge(report, 4, None, where, None, None)
    assert report.sentence() == "NOT CONSERVED: 4 in = 1 updated + 1 quarantined + 1 in DLQs"


def test_report_when_written_as_json_is_plain_data() -> None:
    report = verdict(None, places(), expect())
    data = json.loads(msgspec.json.encode(report.figures()))
    assert data["conserved"] is False
    assert data["problems"] == {"lost": 1}
    assert data["findings"] == [{"row": 1, "problem": "lost", "detail": "in no place", "key": ""}]


def test_report_when_empty_is_conserved() -> None:
    assert AuditReport().conserved
    assert AuditReport().as_expected


def test_report_when_messages_name_no_row_says_so_and_keeps_the_verdict() -> None:
    report = verdict(item(), places(), None)
    assert report.conserved
    assert report.sentence() == "conserved: 1 in = 1 updated + 0 quarantined + 0 in DLQs"
    report.unattributed = {"clean": Counter({"an Amazon S3 test event": 2}), "insert": Counter({"no JSON": 1})}
    assert report.conserved
    assert report.as_expected
    assert report.sentence().endswith("; 3 dead-letter messages name no row")
    assert report.figures().unattributed == {"clean": {"an Amazon S3 test event": 2}, "insert": {"no JSON": 1}}
    report.unattributed = {"clean": Counter({"no JSON": 1})}
    assert report.sentence().endswith("; 1 dead-letter message names no row")


def test_report_when_a_row_was_in_a_message_that_names_none_is_not_conserved() -> None:
    report = verdict(None, places(), None)
    report.unattributed = {"capture": Counter({"a failed stream batch whose records cannot be read any more": 1})}
    assert not report.conserved
    assert report.sentence().startswith("NOT CONSERVED")
    assert report.unattributed_messages == 1
