"""A run's folder: written in one step, read with words about what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import EnvironmentProblem, UsageError
from harness.results import (
    AGGREGATE,
    OLD_VERSION,
    SCHEMA_VERSION,
    SuiteResult,
    memory_scope,
    new_run_folder,
    read_lines,
    read_stored,
    save_result,
)
from tests.unit.report.support import run_of, suite_folder, typed


def test_save_result_when_done_can_be_read_from_folder_and_file(tmp_path: Path) -> None:
    path = save_result(tmp_path, run_of(run="another"))
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]
    for place in (tmp_path, path):
        stored = read_stored(place)
        assert (stored.name, stored.document.kind, stored.folder) == ("another", "run", tmp_path)
        assert stored.document == run_of(run="another")


def test_new_run_folder_when_made_is_the_latest(tmp_path: Path) -> None:
    folder = new_run_folder(tmp_path / "runs")
    assert (tmp_path / "runs" / "latest").resolve() == folder.resolve()
    newer = new_run_folder(tmp_path / "runs")
    assert (tmp_path / "runs" / "latest").resolve() == newer.resolve() != folder.resolve()


def test_new_run_folder_when_it_cannot_be_made_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentProblem, match="cannot hold results"):
        new_run_folder(tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "is no result: it has no schema_version"),
        ('{"kind": "run"}', "is no result: it has no schema_version"),
        ('{"schema_version": 1, "kind": "run"}', "has schema_version 1"),
        ('{"schema_version": "2", "kind": "run"}', "has schema_version '2'"),
        (f'{{"schema_version": {SCHEMA_VERSION}}}', "does not say of what kind"),
        (f'{{"schema_version": {SCHEMA_VERSION}, "kind": "walk"}}', "is of kind 'walk'"),
        (f'{{"schema_version": {SCHEMA_VERSION}, "kind": "run"}}', "is no complete result: .*missing required field"),
        (f'{{"schema_version": {OLD_VERSION}, "kind": "run"}}', "is no complete result: it has no field 'audit'"),
        (f'{{"schema_version": {OLD_VERSION}, "kind": "run", "audit": 3}}', "is no complete result: "),
    ],
)
def test_read_stored_when_the_file_is_no_result_says_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_stored(tmp_path)
    assert str(tmp_path / "result.json") in str(caught.value)
    assert caught.value.hint


def test_read_stored_when_the_file_is_missing_names_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_stored(tmp_path / "nothing.json")


def test_read_lines_when_the_last_was_cut_off_leaves_it_out(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n{"a": ')
    assert read_lines(path) == [{"a": 1}, {"a": 2}]
    path.write_text('{"a": ')
    assert read_lines(path) == []
    assert read_lines(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize(("text", "number"), [('{"a": 1}\nx\n{"a": 2}\n', 2), ("3\n", 1)])
def test_read_lines_when_one_is_no_object_names_its_number(tmp_path: Path, text: str, number: int) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match=f"line {number}, is no"):
        read_lines(path)


def test_read_stored_when_a_suite_and_a_result_are_there_takes_the_result(tmp_path: Path) -> None:
    suite = typed(json.loads((suite_folder(tmp_path / "s") / "aggregate.json").read_text()), SuiteResult)
    save_result(tmp_path, run_of())
    save_result(tmp_path, suite, AGGREGATE)
    assert read_stored(tmp_path).document.kind == "run"
    assert read_stored(tmp_path / AGGREGATE).document.kind == "suite"


@pytest.mark.parametrize(
    ("engine", "words"),
    [("embedded", "all processes together"), ("localstack", "not counted"), ("localstack-data", "not counted")],
)
def test_memory_scope_when_services_run_in_containers_says_that_they_are_not_in_it(engine: str, words: str) -> None:
    assert words in memory_scope(engine)
