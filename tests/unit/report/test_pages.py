"""Pages: what they say, that they load nothing, and that nothing from outside gets out of its place."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects
import pytest
from msgspec.structs import replace

from harness.compare import compare, subject_of
from harness.errors import UsageError
from harness.report import write_comparison, write_report
from harness.report.comparison_page import comparison_page
from harness.report.gate_page import gate_page
from harness.report.latency_charts import latency_table, quantile_curve
from harness.report.page import Page, render
from harness.report.run_page import run_page
from harness.report.sections import (
    object_table,
    problem_table,
    published_table,
    rejected_table,
    unattributed_table,
    verdict_of,
)
from harness.report.suite_page import suite_page
from harness.results import (
    AuditFigures,
    CleanResult,
    GateResult,
    Latencies,
    LatencyFigures,
    LoadResult,
    RunResult,
    SuiteResult,
    read_stored,
    save_result,
)
from tests.unit.report.support import (
    DATA,
    HOSTILE,
    altered,
    audit_of,
    copy_of,
    frozen,
    gate_of,
    gate_result,
    hostile,
    load_of,
    run_of,
    stored,
    suite_folder,
    typed,
)
from tests.unit.report.support import read as opened


class Reader(HTMLParser):
    """Collects scripts, figures, addresses and inline handlers of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.figures: list[Any] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.policy = ""
        self._script: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.handlers += [name for name in given if name.startswith("on")]
        self.addresses += [str(given[name]) for name in ("src", "href", "action", "data") if name in given]
        if tag == "script":
            self._script = given.get("type") or "text/javascript"
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(given["content"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script == "application/json":
            self.figures.append(json.loads(data))
        elif self._script:
            self.scripts.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def every_page(folder: Path) -> dict[str, Page]:
    """Return a page of every kind, made of frozen results."""
    suite_folder(folder / "suite")
    subjects = [subject_of(read_stored(copy_of("run", folder / name, run=name))) for name in ("a", "b")]
    return {
        "run": run_page(opened(DATA / "run", RunResult)),
        "load": run_page(opened(DATA / "load", LoadResult)),
        "suite": suite_page(opened(folder / "suite", SuiteResult)),
        "gate": gate_page(stored(gate_of())),
        "comparison": comparison_page(compare(subjects)),
    }


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    return every_page(tmp_path_factory.mktemp("pages"))


KINDS = ("run", "load", "suite", "gate", "comparison")


@pytest.mark.parametrize("kind", KINDS)
def test_page_when_rendered_names_no_address_and_allows_only_its_own_scripts(pages: dict[str, Page], kind: str) -> None:
    page = read(render(pages[kind]))
    assert page.addresses == ["data:,"]
    assert page.handlers == []
    digests = {f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in page.scripts}
    assert len(page.scripts) == 2
    allowed = re.search(r"script-src ([^;]+)", page.policy)
    assert allowed is not None
    assert set(allowed.group(1).split()) == digests
    assert page.policy.startswith("default-src 'none'")


@pytest.mark.parametrize("kind", KINDS)
def test_page_when_rendered_has_figures_that_plotly_accepts_and_a_table_beside_each(
    pages: dict[str, Page], kind: str
) -> None:
    html = render(pages[kind])
    figures = read(html).figures
    charts = [chart for section in pages[kind].sections for chart in section.charts]
    assert len(figures) == len(charts) > 0
    for figure in figures:
        # Raises ValueError for a property or a value that plotly does not know.
        plotly.graph_objects.Figure(figure)
    assert len({chart.name for chart in charts}) == len(charts)
    assert all(chart.table.rows and chart.caption for chart in charts)
    assert html.count("<caption>") >= len(charts)
    assert html.count("<figcaption>") == len(charts)


@pytest.mark.parametrize("kind", KINDS)
def test_page_when_everything_from_outside_is_hostile_still_holds(tmp_path: Path, kind: str) -> None:
    if kind == "gate":
        gate = hostile(gate_result())
        gate["versions"] = {HOSTILE: HOSTILE}
        gate |= {"kind": "gate", "verdict": "regressed"}
        html = render(gate_page(stored(typed(gate, GateResult))))
    elif kind in ("run", "load"):
        result = hostile(frozen(kind))
        result["kind"] = kind
        result["audit"]["quarantined"] = {HOSTILE: 3}
        result["audit"]["problems"] = {HOSTILE: 1}
        result["audit"]["findings"] = [{"row": 1, "problem": HOSTILE, "detail": HOSTILE, "key": HOSTILE}]
        result["spec"] = {"file": HOSTILE}
        page_of = typed(result, RunResult) if kind == "run" else typed(result, LoadResult)
        html = render(run_page(stored(page_of, tmp_path / "result.json")))
    else:
        folder = suite_folder(tmp_path / "suite")
        for path in folder.rglob("*.json"):
            data = json.loads(path.read_text())
            kept = {name: data[name] for name in ("kind", "schema_version", "repetitions", "metrics") if name in data}
            path.write_text(json.dumps({**hostile(data), **kept}))
        if kind == "suite":
            html = render(suite_page(opened(folder, SuiteResult)))
        else:
            html = write_comparison([folder, folder], tmp_path / "c.html").read_text()
    page = read(html)
    assert HOSTILE not in html
    assert "alert(" in html
    assert len(page.scripts) == (0 if kind in ("run", "load") and not page.figures else 2)
    assert page.handlers == []
    assert page.addresses == ["data:,"]


def test_page_when_the_text_is_a_template_does_not_run_it() -> None:
    html = render(run_page(stored(run_of(spec={"file": "{{7*7}}.csv"}))))
    assert "{{7*7}}.csv" in html
    assert "49.csv" not in html


def test_run_page_when_conserved_says_so_with_the_sum() -> None:
    page = run_page(opened(DATA / "run", RunResult))
    audit = frozen("run")["audit"]
    assert (page.verdict.tone, page.verdict.word) == ("good", "Conserved")
    assert f"{audit['rows']:,} rows in = {audit['updated']:,} updated" in page.verdict.sentence
    assert [s.title for s in page.sections] == [
        "Beside the published design",
        "The run over time",
        "Stages",
        "Where the other rows are",
        "Environment",
    ]
    assert [c.name for c in page.sections[1].charts] == [
        "throughput",
        "depth",
        "age",
        "concurrency",
        "cold-starts",
        "cpu",
        "memory",
    ]


def test_run_page_when_the_engine_does_not_know_concurrency_leaves_those_charts_out(tmp_path: Path) -> None:
    folder = copy_of("run", tmp_path / "run")
    lines = [json.loads(line) for line in (folder / "timeseries.jsonl").read_text().splitlines()]
    for line in lines:
        for stage in line["stages"]:
            stage |= {"concurrency": None, "concurrency_limit": None, "cold_starts": None}
    (folder / "timeseries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    names = [c.name for s in run_page(opened(folder, RunResult)).sections for c in s.charts]
    assert "concurrency" not in names
    assert "cold-starts" not in names
    assert "throughput" in names


def test_run_page_when_there_is_no_series_has_tables_alone(tmp_path: Path) -> None:
    folder = copy_of("run", tmp_path / "run")
    (folder / "timeseries.jsonl").unlink()
    page = run_page(opened(folder, RunResult))
    assert not any(section.charts for section in page.sections)
    assert read(render(page)).scripts == []


def test_verdict_when_rows_are_lost_is_bad_and_counts_them() -> None:
    audit = audit_of(conserved=False, problems={"lost": 3, "wrong value": 1})
    verdict = verdict_of(audit)
    assert (verdict.tone, verdict.word) == ("bad", "Not conserved")
    assert "3 × lost, 1 × wrong value" in verdict.sentence


@pytest.mark.parametrize(
    ("changed", "failed", "tone", "word"),
    [
        ({"as_expected": False}, 0, "bad", "Conserved, but not as expected"),
        ({}, 2, "warn", "Conserved, 2 uploads failed or missing"),
        ({"with_manifest": False}, 0, "good", "Conserved"),
    ],
)
def test_verdict_when_something_is_missing_says_what(
    changed: dict[str, Any], failed: int, tone: str, word: str
) -> None:
    verdict = verdict_of(audit_of(**changed), failed)
    assert (verdict.tone, verdict.word) == (tone, word)


def test_rejected_table_when_rows_were_refused_has_each_reason_with_its_count() -> None:
    audit = audit_of(quarantined={"wrong_arity": 12, "empty_row": 2000}, dead_letters={"process": {"poison": 3}})
    assert rejected_table(audit).rows == (
        ("quarantine", "empty_row", "2,000"),
        ("quarantine", "wrong_arity", "12"),
        ("process DLQ", "poison", "3"),
    )


def test_problem_table_when_all_is_well_is_none() -> None:
    assert problem_table(audit_of()) is None


def test_published_table_when_computed_has_the_design_beside_ours() -> None:
    result = run_of(
        audit__rows=100_000,
        clean_seconds=10.0,
        stages__insert__rows_per_second=2790.0,
        stages__insert__seconds=35.8,
    )
    table = published_table(result)
    assert table is not None
    assert table.rows == (
        ("clean, object to all batches in SQS", "6,200", "10,000", "1.61 ×", "10.0 s"),
        ("insert, into the table", "1,860", "2,790", "1.50 ×", "35.8 s"),
    )


def test_latency_table_when_a_percentile_is_not_supported_has_a_dash() -> None:
    found = LatencyFigures(count=120, min=5.0, mean=20.0, max=2500.0, percentiles={"50": 18.0, "90": 40.0})
    _, row = latency_table(Latencies(upload=LatencyFigures(count=0), end_to_end=found)).rows
    assert row == ("end to end", "120", "5 ms", "20 ms", "18 ms", "40 ms", "–", "–", "–", "2.50 s")


def test_quantile_curve_when_drawn_ends_where_ten_samples_lie_beyond() -> None:
    x, y = quantile_curve([float(v) for v in range(1, 101)])
    assert (x[0], y[0]) == (round(100 / 99, 4), 1.0)
    assert (x[-1], y[-1]) == (10.0, 90.0)
    assert quantile_curve([1.0] * 10) == ([], [])


def test_write_report_when_done_leaves_one_page_beside_the_result(tmp_path: Path) -> None:
    folder = copy_of("run", tmp_path / "run")
    page = write_report(folder)
    assert page == folder / "report.html"
    assert sorted(p.name for p in folder.iterdir()) == ["report.html", "result.json", "timeseries.jsonl"]
    assert page.read_text().startswith("<!doctype html>")


def clean_result() -> CleanResult:
    seen = run_of()
    audit = AuditFigures(conserved=True, as_expected=True, rows=1)
    return CleanResult(run="r", spec={}, corpus=seen.corpus, fingerprint=seen.fingerprint, audit=audit, cleaners=[])


def test_write_report_when_the_kind_has_no_page_says_which_have(tmp_path: Path) -> None:
    save_result(tmp_path, clean_result())
    with pytest.raises(UsageError, match="kind 'clean'") as caught:
        write_report(tmp_path)
    assert "run, load" in caught.value.hint


def test_suite_page_when_a_repetition_lost_rows_names_it(tmp_path: Path) -> None:
    folder = suite_folder(tmp_path / "suite", conserved=False)
    path = folder / "02" / "result.json"
    path.write_text(json.dumps(altered(json.loads(path.read_text()), audit__conserved=False)))
    page = suite_page(opened(folder, SuiteResult))
    assert page.verdict.tone == "bad"
    assert "In 02 rows" in page.verdict.sentence


@pytest.mark.parametrize(
    ("verdict", "tone", "word"),
    [
        ("pass", "good", "No regression found"),
        ("regressed", "bad", "Regressed"),
        ("inconclusive", "warn", "Inconclusive"),
        ("not_conserved", "bad", "Rows were not conserved"),
        ("failed", "bad", "A trial failed"),
        ("interrupted", "warn", "Interrupted"),
    ],
)
def test_gate_page_when_decided_says_the_verdict_in_words(verdict: str, tone: str, word: str) -> None:
    page = gate_page(stored(gate_of(verdict)))
    assert (page.verdict.tone, page.verdict.word) == (tone, word)
    assert page.title == "working tree fedcba987654 with changes against HEAD~1 0123456789ab"


def test_gate_page_when_there_are_no_metrics_has_no_charts() -> None:
    page = gate_page(stored(gate_of("failed", metrics={})))
    assert not any(section.charts for section in page.sections)


def test_run_page_when_the_warm_up_lost_rows_says_so_first() -> None:
    load = load_of()
    lost = replace(load.audit, conserved=False, problems={"lost": 2})
    page = run_page(stored(replace(load, warmup_audit=lost), DATA / "load" / "result.json"))
    assert (page.verdict.tone, page.verdict.word) == ("bad", "Warm-up: not conserved")
    assert "2 × lost" in page.verdict.sentence
    assert run_page(stored(replace(load, warmup_audit=load.audit))).verdict.word == "Conserved"


def test_run_page_when_figures_are_void_says_so_first() -> None:
    page = run_page(stored(run_of(figures_void_reason="this machine slept for 240 s")))
    assert (page.verdict.tone, page.verdict.word) == ("warn", "Conserved; figures void")
    assert "mean nothing: this machine slept for 240 s" in page.verdict.sentence
    assert "this machine slept for 240 s" in render(page)


def test_unattributed_table_when_messages_name_no_row_lists_them_and_the_verdict_says_so() -> None:
    audit = audit_of(unattributed={"clean": {"no JSON": 2, "JSON null": 1}})
    table = unattributed_table(audit)
    assert table is not None
    assert table.rows == (("clean DLQ", "JSON null", "1"), ("clean DLQ", "no JSON", "2"))
    verdict = verdict_of(audit)
    assert verdict.tone == "good"
    assert "3 dead-letter messages name no row." in verdict.sentence


def test_object_table_when_clean_said_how_it_read_has_delimiters_and_refusals() -> None:
    notes = {"delimiter": {"semicolon": 2}, "rejected": {"blank_header: the first line is blank": 1}}
    table = object_table(run_of(stages__clean__notes=notes))
    assert table is not None
    assert table.rows == (
        ("delimiter", "semicolon", "2"),
        ("refused as a whole", "blank_header: the first line is blank", "1"),
    )
    assert object_table(run_of()) is None


def test_unattributed_table_when_a_result_is_of_before_is_none() -> None:
    assert unattributed_table(audit_of()) is None
