"""What may be compared, and what the comparison says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.compare import Measured, Subject, compare, subject_of
from harness.compare.model import SINGLE_NOTE
from harness.errors import ExitCode, UsageError
from harness.results import read_stored
from tests.unit.report.support import frozen, gate_of, load_of, run_of, stored, suite_folder


def subject(name: str = "a", **changed: Any) -> Subject:
    """Return the frozen run as a subject, with fields of its result changed."""
    return subject_of(stored(run_of(run=name, **changed)))


def with_metrics(name: str, **metrics: Measured) -> Subject:
    return replace(subject(name), metrics=metrics)


def test_compare_when_alike_gives_ratios_to_the_first() -> None:
    a = with_metrics("a", rate=Measured("rows/s", "higher", 200.0), seconds=Measured("s", "lower", 4.0))
    b = with_metrics("b", rate=Measured("rows/s", "higher", 250.0), seconds=Measured("s", "lower", 5.0))
    rate, seconds = compare([a, b]).rows
    assert [cell.ratio for cell in rate.cells] == [1.0, 1.25]
    assert [cell.word for cell in rate.cells] == ["", "better"]
    assert [cell.word for cell in seconds.cells] == ["", "worse"]
    assert seconds.cells[1].ratio == 1.25


@pytest.mark.parametrize(
    ("base", "other", "word"),
    [((90, 100, 110), (95, 120, 140), "within spread"), ((90, 100, 110), (111, 120, 140), "better")],
)
def test_compare_when_there_are_spreads_tells_overlap_from_difference(
    base: tuple[float, ...], other: tuple[float, ...], word: str
) -> None:
    subjects = [
        with_metrics(name, rate=Measured("rows/s", "higher", value, low, high))
        for name, (low, value, high) in (("a", base), ("b", other))
    ]
    found = compare(subjects)
    assert found.rows[0].cells[1].word == word
    assert found.reservations == []


def test_compare_when_runs_are_single_says_that_noise_is_not_known() -> None:
    assert compare([subject("a"), subject("b")]).reservations == [SINGLE_NOTE]


def test_compare_when_a_metric_is_missing_or_zero_gives_no_ratio() -> None:
    one = Measured("rows", "lower", 0.0)
    a, b = with_metrics("a", dlq=one), with_metrics("b", dlq=replace(one, value=3.0), more=one)
    dlq, more = compare([a, b]).rows
    assert (dlq.cells[1].ratio, dlq.cells[1].word) == (None, "worse")
    assert (more.cells[0].measured, more.cells[1].ratio, more.cells[1].word) == (None, None, "")


def test_compare_when_three_are_given_compares_each_with_the_first() -> None:
    values = {"a": 100.0, "b": 50.0, "c": 100.0}
    found = compare([with_metrics(n, rate=Measured("rows/s", "higher", v)) for n, v in values.items()])
    assert [cell.ratio for cell in found.rows[0].cells] == [1.0, 0.5, 1.0]
    assert [cell.word for cell in found.rows[0].cells] == ["", "worse", "same"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"corpus__sha256": "ff"}, "corpus SHA-256 is"),
        ({"corpus__file_bytes": 7}, "corpus bytes is"),
        ({"audit__rows": 7}, "rows is 20,000 in a and 7 in b"),
        ({"parameters": {"RowsPerMessage": "1"}}, "parameter RowsPerMessage is not set in a and 1 in b"),
        ({"engine__name": "localstack"}, "engine is embedded in a and localstack in b"),
        ({"engine__versions__ministack": "1.4.21"}, "version of ministack is 1.5.33 in a and 1.4.21 in b"),
        ({"spec__seed": 2}, "spec seed is 1 in a and 2 in b"),
        ({"audit__conserved": False}, "b is not conserved"),
        ({"audit__as_expected": False}, "b is not conserved"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_compare_when_conditions_differ_refuses_and_names_them_even_when_forced(
    changed: dict[str, Any], named: str, force: bool
) -> None:
    with pytest.raises(UsageError, match="cannot be compared") as caught:
        compare([subject("a"), subject("b", **changed)], force=force)
    assert named in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE


def test_compare_when_kinds_differ_refuses() -> None:
    load = subject_of(stored(load_of(run="b")))
    with pytest.raises(UsageError, match="kind is run in a and load in b"):
        compare([subject("a"), load])


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"fingerprint__cpu": "Another CPU"}, "cpu is"),
        ({"fingerprint__cores": 64}, "cores is 2 in a and 64 in b"),
        ({"fingerprint__packages__orjson": "1"}, "package orjson is"),
        ({"engine__limits__function memory": "none"}, "limit function memory is"),
        ({"cpu_stolen_share": 0.07}, "the host withheld 7% of the CPU time from b"),
    ],
)
def test_compare_when_surroundings_differ_refuses_unless_forced_and_then_says_so(
    changed: dict[str, Any], named: str
) -> None:
    subjects = [subject("a"), subject("b", **changed)]
    with pytest.raises(UsageError, match="different surroundings") as caught:
        compare(subjects)
    assert named in str(caught.value)
    assert "--force" in caught.value.hint
    assert any(named in text for text in compare(subjects, force=True).reservations)


def test_compare_when_alone_refuses() -> None:
    with pytest.raises(UsageError, match="one result alone"):
        compare([subject()])


def test_subject_when_a_suite_has_its_medians_and_the_conditions_of_its_repetitions(tmp_path: Path) -> None:
    found = subject_of(read_stored(suite_folder(tmp_path / "s", (100.0, 110.0, 90.0))))
    assert found.metrics == {"pipeline_rows_per_second": Measured("rows/s", "higher", 100.0, 90.0, 110.0)}
    assert found.conditions["suite"] == "tiny"
    assert found.conditions["repetitions"] == "3"
    assert found.conditions["corpus SHA-256"] == frozen("run")["corpus"]["sha256"]
    assert len(found.runs) == 3
    assert found.conserved


def test_subject_when_a_repetition_is_missing_says_which(tmp_path: Path) -> None:
    folder = suite_folder(tmp_path / "s")
    (folder / "02" / "result.json").unlink()
    with pytest.raises(UsageError, match=r"02 holds none of result\.json"):
        subject_of(read_stored(folder))


def test_subject_when_the_kind_has_no_figures_says_so() -> None:
    with pytest.raises(UsageError, match="kind 'gate'"):
        subject_of(stored(gate_of()))


def test_subject_when_a_load_does_not_hold_the_number_of_arrivals_against_another() -> None:
    load = load_of(run="a")
    other = load_of(run="b", audit__rows=load.audit.rows + 1, corpus__file_bytes=1)
    subjects = [subject_of(stored(one)) for one in (load, other)]
    assert len(compare(subjects).subjects) == 2


@pytest.mark.parametrize("force", [False, True])
def test_compare_when_figures_are_void_refuses_whatever_is_forced(force: bool) -> None:
    slept = subject("b", figures_void_reason="this machine slept for 240 s")
    assert slept.metrics == {}
    with pytest.raises(UsageError, match="the figures of b are void: this machine slept for 240 s"):
        compare([subject("a"), slept], force=force)


def test_compare_when_a_repetition_of_a_suite_is_void_refuses(tmp_path: Path) -> None:
    folders = [suite_folder(tmp_path / name) for name in ("a", "b")]
    path = folders[1] / "02" / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "figures_void_reason": "this machine slept for 240 s"}))
    with pytest.raises(UsageError, match="the figures of b are void"):
        compare([subject_of(read_stored(folder)) for folder in folders])


def on(engine: str, name: str, **changed: Any) -> Subject:
    return subject(name, engine__name=engine, engine__capacity="aws", engine__versions={engine: "1"}, **changed)


def test_compare_across_engines_when_rows_ended_alike_says_what_differs_of_the_engines() -> None:
    found = compare([on("aws", "a"), on("embedded", "b")], across_engines=True)
    assert found.elsewhere == []
    assert found.reservations[0] == "engine is aws in a and embedded in b"
    assert SINGLE_NOTE in found.reservations


def test_compare_across_engines_when_rows_ended_elsewhere_says_which() -> None:
    audit = frozen("run")["audit"]
    other = on("embedded", "b", audit__updated=audit["updated"] - 1, audit__quarantined={"empty_row": 1})
    found = compare([on("aws", "a"), other], across_engines=True)
    assert any(text.startswith("rows updated is ") for text in found.elsewhere)
    assert any("rows quarantined as empty_row" in text for text in found.elsewhere)


def test_compare_across_engines_when_the_corpus_differs_refuses() -> None:
    with pytest.raises(UsageError, match="SHA-256"):
        compare([on("aws", "a"), on("embedded", "b", corpus__sha256="0" * 64)], across_engines=True)


def test_compare_when_engines_differ_refuses_unless_asked() -> None:
    with pytest.raises(UsageError, match="engine is aws in a and embedded in b"):
        compare([on("aws", "a"), on("embedded", "b")])
