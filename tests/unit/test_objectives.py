"""Objectives: what is one, what becomes of it, and with which exit code that ends."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.compare import subject_of
from harness.errors import ExitCode, UsageError
from harness.experiments.lifecycle import Setting, judged
from harness.export import junit, markdown
from harness.metrics import Direction, Metric, names_of
from harness.objectives import Objective, exit_code_of, judge_all, parse_objectives, sentence
from harness.report.run_page import run_page
from harness.results import LoadResult, ObjectiveFigures, Outcome, RunResult, SaturationResult
from harness.suites.model import Kind, Suite, load_suite, metrics_of_kind, parse
from tests.unit.report.support import run_of, saturation_of, stored

RATE = "insert_rows_per_second"
METRICS = {RATE: Metric(RATE, "rows/s", Direction.HIGHER, 3000.0)}


def asked(*texts: str, kind: type[RunResult | LoadResult | SaturationResult] = RunResult) -> tuple[Objective, ...]:
    return parse_objectives(texts, names_of(kind), "--require")


@pytest.mark.parametrize(
    ("text", "kind", "objective"),
    [
        ("insert.rows_per_second>3000", RunResult, Objective(RATE, ">", 3000.0)),
        (" insert_rows_per_second  >=  3e3 ", RunResult, Objective(RATE, ">=", 3000.0)),
        ("insert-rows-per-second<=1.5", RunResult, Objective(RATE, "<=", 1.5)),
        ("end_to_end.p95<2000", LoadResult, Objective("end_to_end_p95_ms", "<", 2000.0)),
        ("memory_peak_bytes<4e9", RunResult, Objective("memory_peak_bytes", "<", 4e9)),
        ("saturation.rows_per_second>500", SaturationResult, Objective("saturation_rows_per_second", ">", 500.0)),
    ],
)
def test_parse_when_an_objective_is_said_in_either_spelling_takes_it(
    text: str, kind: type[RunResult], objective: Objective
) -> None:
    assert asked(text, kind=kind) == (objective,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("insert.rows_per_second", "is no objective"),
        ("insert.rows_per_second=3000", "is no objective"),
        ("insert.rows_per_second>3000 rows", "is no objective"),
        ("", "is no objective"),
        ("insert.rows_per_second>many", "'many' is no number"),
        ("insert.rows_per_second>nan", "'nan' is no number"),
        ("insert.rows_per_second>inf", "'inf' is no number"),
        ("insert.speed>3", "there will be no figure 'insert.speed'"),
        ("end_to_end.p95<2000", "there will be no figure 'end_to_end.p95'"),
        ("ms>3", "there will be no figure 'ms'"),
    ],
)
def test_parse_when_it_is_no_objective_of_a_run_names_it_and_the_way_out(text: str, words: str) -> None:
    with pytest.raises(UsageError, match="--require") as caught:
        asked(text)
    assert words in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("comparison", "limit", "outcome"),
    [
        ("<", 3000.0, Outcome.MISSED),
        ("<=", 3000.0, Outcome.KEPT),
        (">", 3000.0, Outcome.MISSED),
        (">=", 3000.0, Outcome.KEPT),
        (">", 2999.9, Outcome.KEPT),
        ("<", 2999.9, Outcome.MISSED),
    ],
)
def test_objective_when_judged_at_its_limit_tells_strict_from_not(
    comparison: str, limit: float, outcome: Outcome
) -> None:
    assert Objective(RATE, comparison, limit).judge(METRICS).outcome is outcome


def test_objective_when_the_figure_is_not_there_is_neither_kept_nor_missed() -> None:
    found = Objective("clean_seconds", "<", 5.0).judge(METRICS)
    assert (found.outcome, found.value) == (Outcome.NOT_MEASURED, None)
    assert sentence(found) == "clean_seconds < 5: not measured"


@given(value=st.floats(-1e12, 1e12), limit=st.floats(-1e12, 1e12))
def test_objective_when_turned_round_is_the_opposite(value: float, limit: float) -> None:
    metrics = {RATE: Metric(RATE, "rows/s", Direction.HIGHER, value)}
    for one, other in (("<", ">="), (">", "<=")):
        outcomes = {Objective(RATE, sign, limit).judge(metrics).outcome for sign in (one, other)}
        assert outcomes == {Outcome.KEPT, Outcome.MISSED}


def figures(*outcomes: Outcome) -> list[ObjectiveFigures]:
    value = {Outcome.KEPT: 4000.0, Outcome.MISSED: 2000.0, Outcome.NOT_MEASURED: None}
    return [
        ObjectiveFigures(
            metric=RATE, comparison=">", limit=3000.0, unit="rows/s", value=value[outcome], outcome=outcome
        )
        for outcome in outcomes
    ]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((), ExitCode.OK),
        ((Outcome.KEPT,), ExitCode.OK),
        ((Outcome.KEPT, Outcome.MISSED, Outcome.NOT_MEASURED), ExitCode.REGRESSION),
        ((Outcome.KEPT, Outcome.NOT_MEASURED), ExitCode.INCONCLUSIVE),
    ],
)
def test_exit_code_when_several_were_asked_for_is_the_worst(outcomes: tuple[Outcome, ...], code: ExitCode) -> None:
    assert exit_code_of(figures(*outcomes)) is code


def test_result_when_objectives_were_asked_for_has_what_became_of_them() -> None:
    run = run_of()
    rate = run.stages["insert"].rows_per_second
    setting = Setting(objectives=asked(f"{RATE}>={rate}", f"{RATE}>{rate}"))
    assert [one.outcome for one in judged(run, setting).objectives] == [Outcome.KEPT, Outcome.MISSED]
    assert list(judged(run, Setting()).objectives) == []


def test_result_when_its_figures_are_void_has_objectives_that_were_not_measured() -> None:
    slept = run_of(figures_void_reason="this machine slept for 240 s")
    (found,) = judged(slept, Setting(objectives=asked(f"{RATE}>1"))).objectives
    assert found.outcome is Outcome.NOT_MEASURED


def test_search_when_it_sustained_a_rate_has_a_figure_to_ask_for() -> None:
    asked_for = asked("saturation.rows_per_second>50", kind=SaturationResult)
    (found,) = judged(saturation_of(), Setting(objectives=asked_for)).objectives
    assert (found.value, found.outcome) == (100.0, Outcome.KEPT)


SUITE = 'description = "a test"\nduration = "1 s"\nkind = "{kind}"\n[objectives]\nrequire = {require}\n'


def suite(require: str, kind: str = "run") -> Suite:
    return parse(SUITE.format(kind=kind, require=require), Path("my.toml"))


def test_suite_when_it_has_objectives_keeps_them_before_those_of_the_command_line() -> None:
    found = suite(f'["{RATE} > 3000"]').requiring(["clean_seconds<9"], "--require")
    assert [str(one) for one in found.objectives] == [f"{RATE} > 3000", "clean_seconds < 9"]


@pytest.mark.parametrize(
    ("require", "words"),
    [
        ('"clean_seconds<9"', "a list of texts is needed"),
        ("[3]", "a list of texts is needed"),
        ('["clean_seconds"]', "is no objective"),
        ('["end_to_end.p95<3"]', "there will be no figure 'end_to_end.p95'"),
    ],
)
def test_suite_when_an_objective_is_none_names_file_and_place(require: str, words: str) -> None:
    with pytest.raises(UsageError, match=r"suite my\.toml: \[objectives\] require") as caught:
        suite(require)
    assert words in str(caught.value)


def test_suite_when_it_is_of_cleaners_may_ask_for_theirs() -> None:
    found = suite('["ours.rows_per_second>1000", "csv-regex.cpu_seconds<60"]', "clean")
    assert [one.metric for one in found.objectives] == ["ours_rows_per_second", "csv_regex_cpu_seconds"]


@pytest.mark.parametrize("kind", list(Kind))
def test_suites_that_come_along_have_figures_to_ask_for(kind: Kind) -> None:
    assert metrics_of_kind(kind)
    assert load_suite("ci").objectives == ()


@pytest.mark.parametrize(
    ("outcomes", "tone", "word"),
    [
        ((Outcome.KEPT,), "good", "Conserved"),
        ((Outcome.KEPT, Outcome.MISSED), "bad", "Conserved; objective missed"),
        ((Outcome.NOT_MEASURED,), "warn", "Conserved; objective not measured"),
    ],
)
def test_page_when_objectives_were_asked_for_begins_with_them(
    outcomes: tuple[Outcome, ...], tone: str, word: str
) -> None:
    page = run_page(stored(replace(run_of(), objectives=figures(*outcomes))))
    assert (page.verdict.tone, page.verdict.word) == (tone, word)
    assert page.sections[0].title == "Objectives"
    assert [row[1] for row in page.sections[0].tables[0].rows] == [outcome.value for outcome in outcomes]


def test_page_when_rows_were_lost_says_that_first() -> None:
    lost = run_of(audit__conserved=False, audit__problems={"lost": 1})
    page = run_page(stored(replace(lost, objectives=figures(Outcome.MISSED))))
    assert page.verdict.word == "Not conserved"


def test_junit_when_objectives_were_asked_for_has_a_case_for_each() -> None:
    subject = subject_of(stored(replace(run_of(), objectives=figures(*Outcome))))
    root = ElementTree.fromstring(junit(subject.runs, subject.objectives))
    found = root[1]
    assert (found.get("name"), found.get("tests"), found.get("failures"), found.get("errors")) == (
        "objectives",
        "3",
        "1",
        "1",
    )
    (failure,), (error,) = root.findall(".//failure"), root.findall(".//error")
    assert failure.get("message") == f"{RATE} > 3,000: 2,000 rows/s"
    assert error.get("message") == f"{RATE} > 3,000: not measured"
    assert (root.get("tests"), root.get("failures")) == ("10", "1")


def test_markdown_when_an_objective_was_missed_lists_it() -> None:
    text = markdown(subject_of(stored(replace(run_of(), objectives=figures(Outcome.MISSED)))))
    assert "- ❌ objective insert_rows_per_second &#62; 3,000: 2,000 rows/s" in text


def test_judge_all_when_asked_keeps_the_order() -> None:
    asked_for = asked(f"{RATE}>1", "clean_seconds<1")
    assert [one.metric for one in judge_all(asked_for, METRICS)] == [RATE, "clean_seconds"]
