"""Other tools' formats, against what their documentation asks for and hand-computed values."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from harness.compare import Measured, Subject, subject_of
from harness.errors import UsageError
from harness.export import bencher, checks_of, gate_markdown, github_action_benchmark, junit, markdown
from harness.export.markdown import escape
from harness.results import AuditFigures, read_stored
from tests.unit.report.support import HOSTILE, frozen, gate_of, load_of, run_of, stored, suite_folder

FIGURES = {
    "insert_rows_per_second": Measured("rows/s", "higher", 2000.0, 1900.0, 2100.5),
    "clean_seconds": Measured("s", "lower", 4.5),
}


def subject(**changed: Any) -> Subject:
    found = subject_of(stored(run_of(run="r1", **changed)))
    return replace(found, metrics=FIGURES)


def test_github_action_benchmark_when_smaller_is_better_has_those_metrics_alone() -> None:
    assert json.loads(github_action_benchmark(subject(), "smaller")) == [
        {"name": "run on embedded: clean_seconds", "unit": "s", "value": 4.5, "extra": "run r1, engine embedded"}
    ]


def test_github_action_benchmark_when_bigger_is_better_gives_the_spread_as_range() -> None:
    assert json.loads(github_action_benchmark(subject(), "bigger")) == [
        {
            "name": "run on embedded: insert_rows_per_second",
            "unit": "rows/s",
            "value": 2000.0,
            "range": "1900 – 2100.5",
            "extra": "run r1, engine embedded",
        }
    ]


def test_github_action_benchmark_when_the_direction_is_unknown_names_it() -> None:
    with pytest.raises(UsageError, match="--direction 'sideways'"):
        github_action_benchmark(subject(), "sideways")


def test_bencher_when_exported_has_benchmark_measure_value_and_bounds() -> None:
    assert json.loads(bencher(subject())) == {
        "run on embedded": {
            "insert-rows-per-second": {"value": 2000.0, "lower_value": 1900.0, "upper_value": 2100.5},
            "clean-seconds": {"value": 4.5},
        }
    }


def test_benchmark_name_when_it_is_a_suite_is_the_suites(tmp_path: Path) -> None:
    found = subject_of(read_stored(suite_folder(tmp_path / "s")))
    assert list(json.loads(bencher(found))) == ["tiny on embedded"]


def test_junit_when_conserved_has_seven_passing_cases() -> None:
    root = ElementTree.fromstring(junit([run_of()]))
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "7", "0")
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("7", "0", "0")
    assert len(suite.findall("testcase")) == 7
    assert root.findall(".//failure") == []


def test_junit_when_rows_are_lost_fails_that_check_with_the_findings() -> None:
    findings = [
        {"row": 17, "problem": "lost", "detail": "in no place", "key": "uploads/a.csv"},
        {"row": 18, "problem": "wrong value", "detail": "amount", "key": ""},
    ]
    result = run_of(
        audit__conserved=False,
        audit__problems={"lost": 2, "wrong value": 1},
        audit__findings=findings,
        audit__updated=(run_of().audit.updated or 0) - 2,
    )
    root = ElementTree.fromstring(junit([result, load_of()]))
    assert root.get("failures") == "3"
    failed = {
        case.get("name"): case.find("failure") for case in root.iter("testcase") if case.find("failure") is not None
    }
    assert list(failed) == [
        "no row is lost",
        "every stored value is the expected one",
        "rows in = updated + quarantined + dead-lettered",
    ]
    lost = failed["no row is lost"]
    assert lost is not None
    assert lost.get("message") == "2 × lost"
    assert lost.text == "uploads/a.csv row 17: lost: in no place"


def test_junit_when_a_finding_holds_what_xml_cannot_still_is_xml() -> None:
    finding = {"row": 1, "problem": "lost", "detail": f"\x00\x1b[31m\ud800 {HOSTILE}", "key": "\uffff"}
    result = run_of(audit__problems={"lost": 1}, audit__findings=[finding], audit__conserved=False)
    root = ElementTree.fromstring(junit([result]))
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.text is not None
    assert HOSTILE in failure.text
    assert "\ufffd" in failure.text


def test_checks_when_a_problem_is_new_to_them_fail_one_of_its_own() -> None:
    result = run_of(audit__problems={"melted": 4}, audit__conserved=False)
    assert [(c.name, c.failure) for c in checks_of(result) if c.failure] == [
        ("no row is found to be 'melted'", "4 × melted")
    ]


def test_checks_when_the_audit_says_no_without_a_reason_fail_all_the_same() -> None:
    result = run_of(audit__conserved=False)
    assert [c.failure for c in checks_of(result) if c.failure] == ["the audit says that rows are not conserved"]


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({"load__uploads_failed": 2}, ["2 uploads failed"]),
        ({"load__files": 0}, ["no file was uploaded"]),
        ({"load__files_unsent": 3}, ["3 files were not sent or not reported"]),
        ({"warmup_audit": {**frozen("load")["audit"], "conserved": False, "problems": {"lost": 1}}}, ["1 × lost"]),
        ({}, []),
    ],
)
def test_checks_when_it_is_a_load_look_at_its_uploads(changed: dict[str, Any], failed: list[str]) -> None:
    checks = checks_of(load_of(**changed))
    assert len(checks) == 10 + ("warmup_audit" in changed)
    assert [c.failure for c in checks if c.failure] == failed


def test_checks_when_a_suite_looked_at_one_stage_only_take_its_word() -> None:
    audit = AuditFigures(conserved=False, as_expected=False, rows=5, problems={"lost": 2})
    failures = {c.name: c.failure for c in checks_of(msgspec.structs.replace(run_of(), audit=audit)) if c.failure}
    assert failures == {"no row is lost": "2 × lost", "every row is where the suite ends": "rows are missing"}


def test_markdown_when_conserved_has_verdict_figures_and_folded_tables() -> None:
    text = markdown(subject())
    assert text.startswith(
        "### run on embedded\n\n✅ **Conserved**: 20,000 rows, every one accounted for; 7 checks passed."
    )
    assert "| metric | unit | better | median | low – high |\n| --- | --- | --- | ---: | ---: |" in text
    assert "| insert_rows_per_second | rows/s | higher | 2,000 | 1,900 – 2,100 |" in text
    assert "| clean_seconds | s | lower | 4.50 | – – – |" in text
    assert text.count("<details>") == text.count("</details>") == 1
    assert "| quarantine | wrong_arity | 12 |" in text


def test_markdown_when_rows_are_lost_says_so_first() -> None:
    text = markdown(subject(audit__problems={"lost": 2}, audit__conserved=False))
    assert "❌ **Not conserved**: 1 of 7 checks failed." in text
    assert "- r1 no row is lost: 2 × lost" in text
    assert "✅" not in text


def test_markdown_when_reasons_are_hostile_neither_mentions_nor_links_nor_breaks_a_table() -> None:
    text = markdown(subject(audit__quarantined={f"{HOSTILE}\n| x |": 44}, audit__dead_letters={}))
    line = next(line for line in text.splitlines() if "alert" in line)
    assert line.count("|") == 4
    assert "@" not in line
    assert "<" not in line
    assert "`" not in line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("insert_rows_per_second", "insert_rows_per_second"),
        ("_own_", "&#95;own&#95;"),
        ("a|b", "a&#124;b"),
        ("#12 @me :smile: see: this", "&#35;12 &#64;me &#58;smile: see: this"),
        ("one\ntwo", "one two"),
        ("<b>&amp;", "&#60;b&#62;&#38;amp;"),
    ],
)
def test_escape_when_text_would_be_markup_shows_it_as_it_is(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_gate_markdown_when_regressed_says_what_and_by_how_much() -> None:
    text = gate_markdown(gate_of())
    assert text.startswith("### ❌ Regression gate: Regressed")
    assert "- pipeline_rows_per_second costs 17.6% more" in text
    assert (
        "| pipeline_rows_per_second | rows/s | 2,000 | 1,700 | +17.6% | +11.0% to +24.0% | 0.0004 | +6% | regressed |"
        in text
    )
    assert text.index("pipeline_rows_per_second |") < text.index("<details>") < text.index("clean_seconds")
    assert "- not compared: memory_peak_bytes, base does not report it" in text


def test_gate_markdown_when_passed_has_the_other_mark() -> None:
    assert gate_markdown(gate_of("pass")).startswith("### ✅ Regression gate: No regression found")


def test_exports_when_figures_are_void_refuse_figures_and_say_why_in_words() -> None:
    slept = subject_of(stored(run_of(run="r1", figures_void_reason="this machine slept for 240 s")))
    for export in (bencher, lambda one: github_action_benchmark(one, "bigger")):
        with pytest.raises(UsageError, match="the figures of r1 are void: this machine slept for 240 s"):
            export(slept)
    text = markdown(slept)
    assert "**Figures void**: this machine slept for 240 s" in text
    assert "rows/s | higher" not in text
    assert "Figures void" not in markdown(subject())
